"""How kernels are compiled: by Numba, cached on disk under a digest of the sources that they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba import njit

P = ParamSpec("P")
R = TypeVar("R")

config: Any = numba.config

_PACKAGE = Path(__file__).parent.parent
_HOMES = (
    "assessment",
    "book",
    "core",
    "fidelity",
    "fidelity/metrics",
    "fidelity/stream",
    "ingestion",
    "pipeline",
    "replay",
    "simulation/lob",
    "sink",
    "store",
    "validation",
    "venues",
)
"""Folders that hold kernels, or constants that kernels take in."""


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function with Numba, cached on disk; plain Python under NUMBA_DISABLE_JIT=1.

    Numba's own cache sees a change of the file that a kernel stands in, but not of the constants and
    kernels that it takes from other files: after an upgrade it could run old code without a word. So the
    cache lies in a folder that is named by a digest of the sources.

    Division by zero is not checked (``error_model="numpy"``): no kernel divides by what comes from outside.
    """
    return _compiled(function)


def helper(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that kernels call with arrays, and that makes none itself.

    The owners of its arrays are not counted, as they are in a `kernel`, which costs more than what a small
    helper does; whoever calls the kernel holds on to them.
    """
    return _compiled(function, _nrt=False)


def _compiled(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    if config.DISABLE_JIT:
        return function
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_cache_folder())
    try:
        compiled = njit(cache=True, error_model="numpy", nogil=True, **options)(function)
        return cast("Callable[P, R]", compiled)
    finally:
        config.CACHE_DIR = before


def is_cached(name: str) -> bool:
    """Whether a kernel of this name was compiled by an earlier run, from the sources as they are now."""
    return any(_cache_folder().rglob(f"*.{name}-*.nbi"))


def _cache_folder() -> Path:
    return Path(config.CACHE_DIR or _PACKAGE / "__pycache__") / f"kernels-{_source_digest()}"


@cache
def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for home in _HOMES for path in (_PACKAGE / home).glob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
