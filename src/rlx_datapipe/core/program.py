"""How our own programs begin: without pandas, which pyarrow would import with the first array that it makes.

python -m rlx_datapipe.core.program MODULE [ARGUMENT...]    runs the program of a module so
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _WithoutPandas(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("this program does without pandas", name=fullname)
        return None


def without_pandas() -> None:
    """Refuse pandas to this process: where it is installed it would cost each start half a second.

    For our own programs only. Who imports this package may use pandas as ever.
    """
    sys.meta_path.insert(0, _WithoutPandas())


if __name__ == "__main__":
    without_pandas()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
