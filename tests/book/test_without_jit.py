"""The book's tests again, once as plain Python and once with every array access checked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.depth import deep

INSIDE = "RLX_BOOK_TESTS_INSIDE"
HERE = Path(__file__).parent


@pytest.mark.skipif(INSIDE in os.environ, reason="already inside such a run")
@pytest.mark.parametrize("switch", ["NUMBA_DISABLE_JIT", pytest.param("NUMBA_BOUNDSCHECK", marks=deep)])
def test_the_books_tests_pass_with_the_switch_on(switch: str, tmp_path: Path) -> None:
    environment = os.environ | {
        switch: "1",
        INSIDE: "1",
        "RLX_BOOK_EXAMPLES": "15",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", str(HERE)]
    run = subprocess.run(
        command,
        cwd=HERE.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
