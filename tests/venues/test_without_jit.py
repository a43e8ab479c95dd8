"""The tests of the parsing kernels again, once as plain Python and once with every array access checked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.depth import deep

INSIDE = "RLX_VENUES_TESTS_INSIDE"
HERE = Path(__file__).parent
TESTED = (
    HERE / "test_binance_bytes.py",
    HERE / "test_binance_names.py",
    HERE.parent / "ingestion" / "test_line_kernel.py",
    HERE.parent / "ingestion" / "test_mixed.py",
)


@pytest.mark.skipif(INSIDE in os.environ, reason="already inside such a run")
@deep
@pytest.mark.parametrize("switch", ["NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"])
def test_the_kernels_tests_pass_with_the_switch_on(switch: str, tmp_path: Path) -> None:
    if switch == "NUMBA_BOUNDSCHECK" and not os.environ.get("RLX_TEST_BOUNDS"):
        pytest.skip("compiles everything anew for most of a minute; RLX_TEST_BOUNDS=1 does it")
    environment = os.environ | {
        switch: "1",
        INSIDE: "1",
        "RLX_VENUES_EXAMPLES": "30",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    # Each takes seconds as plain Python: one tail of cut messages is enough, and planted faults are the same.
    chosen = ["-m", "not recordings", "-k", "not lenient and (not cut_short or 0-binance)"]
    options = ["-n", "0", "-p", "no:cacheprovider", *chosen]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, TESTED)],
        cwd=HERE.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
