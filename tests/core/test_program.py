"""Our own programs do without pandas and scipy, which others import; who imports the package has both."""

import subprocess
import sys

import pytest

for guest in ("pandas", "scipy"):
    pytest.importorskip(guest)

GUESTS = "print(*(guest for guest in ('pandas', 'scipy') if guest in sys.modules))"
PYARROW = f"import sys, pyarrow; pyarrow.array([1]); {GUESTS}"
NUMBA = f"import sys, numba; numba.njit(lambda x: x + 1)(1); {GUESTS}"
WITHOUT = "from rlx_datapipe.core.program import without_guests; without_guests()\n"


def told_by(*command: str) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(("package", "guest"), [(PYARROW, "pandas"), (NUMBA, "scipy")])
def test_a_package_alone_brings_a_guest_and_a_program_of_ours_has_none(package: str, guest: str) -> None:
    """If the first line fails, that package has become better, and need not be held back any more."""
    assert told_by("-c", package) == guest
    assert told_by("-c", WITHOUT + package) == ""


def test_a_worker_has_none() -> None:
    run = "import runpy, sys; sys.argv = ['', 'rlx_datapipe.pipeline.job']\n"
    begin = "runpy.run_module('rlx_datapipe.core.program', run_name='__main__')\n"
    assert told_by("-c", f"{run}{begin}import rlx_datapipe.sink.rows; {GUESTS}") == ""


def test_a_program_gets_its_arguments() -> None:
    assert "usage" in told_by("-m", "rlx_datapipe.core.program", "tarfile", "--help")
