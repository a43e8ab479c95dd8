"""Our own programs do without pandas, which pyarrow would import; who imports the package keeps it."""

import subprocess
import sys

import pytest

pytest.importorskip("pandas")
ARRAY = "import sys, pyarrow; pyarrow.array([1]); print('pandas' in sys.modules)"


def told_by(*command: str) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_pyarrow_alone_brings_pandas_in() -> None:
    """If this fails, pyarrow has become better, and `core.program` may go."""
    assert told_by("-c", ARRAY) == "True"


def test_a_program_of_ours_has_no_pandas_and_its_arrays_are_whole() -> None:
    without = "from rlx_datapipe.core.program import without_pandas; without_pandas()\n"
    assert told_by("-c", without + ARRAY) == "False"


def test_a_program_gets_its_arguments() -> None:
    assert "usage" in told_by("-m", "rlx_datapipe.core.program", "tarfile", "--help")


def test_a_worker_has_no_pandas() -> None:
    run = "import runpy, sys; sys.argv = ['', 'rlx_datapipe.pipeline.job']\n"
    told = run + "runpy.run_module('rlx_datapipe.core.program', run_name='__main__')\n"
    rows = "import rlx_datapipe.sink.rows; print('pandas' in sys.modules)"
    assert told_by("-c", told + rows) == "False"
