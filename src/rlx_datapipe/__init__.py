"""Recorded and live exchange data as one exact, chronological event stream with the full order book."""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from rlx_datapipe.core.config import Settings
    from rlx_datapipe.core.errors import DatapipeError
    from rlx_datapipe.core.event import Flag
    from rlx_datapipe.core.instrument import Instrument
    from rlx_datapipe.pipeline.assess import assess
    from rlx_datapipe.pipeline.book import book_at
    from rlx_datapipe.pipeline.fidelity import fidelity
    from rlx_datapipe.pipeline.reconstruct import reconstruct
    from rlx_datapipe.pipeline.validate import validate
    from rlx_datapipe.store.dataset import open_dataset

    __version__: str

__all__ = [
    "DatapipeError",
    "Flag",
    "Instrument",
    "Settings",
    "__version__",
    "assess",
    "book_at",
    "fidelity",
    "open_dataset",
    "reconstruct",
    "validate",
]

_HOMES = {
    "DatapipeError": "core.errors",
    "Flag": "core.event",
    "Instrument": "core.instrument",
    "Settings": "core.config",
    "assess": "pipeline.assess",
    "book_at": "pipeline.book",
    "fidelity": "pipeline.fidelity",
    "open_dataset": "store.dataset",
    "reconstruct": "pipeline.reconstruct",
    "validate": "pipeline.validate",
}


class _Called(types.ModuleType):
    """A folder with the name of a function: ``rlx.fidelity(...)`` works, whether it is loaded or not."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)(*args, **kwargs)


class _Face(types.ModuleType):
    """The package: what is loaded below it under the name of a function can be called as that."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _HOMES and isinstance(value, types.ModuleType):
            value.__class__ = _Called
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __getattr__(name: str) -> object:
    # Loaded when first used: importing the package must not load Numba, Polars or Arrow.
    if name == "__version__":
        return importlib.import_module("rlx_datapipe.core.version").VERSION
    if name in _HOMES:
        return getattr(importlib.import_module(f"rlx_datapipe.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'rlx_datapipe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
