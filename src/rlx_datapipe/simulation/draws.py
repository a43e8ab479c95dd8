"""Endless random draws, taken from a generator in blocks for speed."""

from collections.abc import Iterator
from typing import Final

import numpy as np

_BLOCK: Final = 8_192


def uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Uniform draws on [0, 1)."""
    while True:
        yield from rng.random(_BLOCK).tolist()


def exponentials(rng: np.random.Generator) -> Iterator[float]:
    """Standard exponential draws."""
    while True:
        yield from rng.standard_exponential(_BLOCK).tolist()


def normals(rng: np.random.Generator) -> Iterator[float]:
    """Standard normal draws."""
    while True:
        yield from rng.standard_normal(_BLOCK).tolist()
