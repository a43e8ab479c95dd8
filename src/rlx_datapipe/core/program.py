"""How our own programs begin: without pandas and scipy, which others import for them, to be used by nobody.

``python -m rlx_datapipe.core.program MODULE [ARGUMENT...]`` runs the program of a module so.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_GUESTS = ("pandas", "scipy")
"""pyarrow imports pandas with the first array that it makes, Numba scipy with the first kernel."""


class _WithoutGuests(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in _GUESTS:
            raise ModuleNotFoundError(f"this program does without {fullname}", name=fullname)
        return None


def without_guests() -> None:
    """Refuse pandas and scipy to this process: where they are installed each start would take a second more.

    For our own programs only. Who imports this package has them as ever.
    """
    sys.meta_path.insert(0, _WithoutGuests())


def with_guests() -> None:
    """Take that back, for a program that runs what others wrote after all."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _WithoutGuests)]


if __name__ == "__main__":
    without_guests()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
