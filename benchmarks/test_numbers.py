"""Numbers on their way: floats and texts to scaled integers, and these to decimals and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.units import parse_texts, scale_floats
from rlx_datapipe.store.columns import from_decimals, to_decimals

Benchmark = Callable[..., Any]

ROWS = 65_536
DECIMALS = 8


@pytest.fixture(scope="module")
def values() -> Int64Array:
    """Prices with two decimals, scaled by eight."""
    return np.random.default_rng(7).integers(5_000_000, 7_000_000, ROWS) * 10**6


def test_floats_to_integers(benchmark: Benchmark, values: Int64Array) -> None:
    floats = values / 10.0**DECIMALS
    found, status = np.empty_like(values), np.empty_like(values)
    benchmark(scale_floats, floats, DECIMALS, found, status)
    assert np.array_equal(found, values)
    assert not status.any()


def test_texts_to_integers(benchmark: Benchmark, values: Int64Array) -> None:
    texts = [f"{value // 10**DECIMALS}.{value % 10**DECIMALS:08d}".encode() for value in values.tolist()]
    offsets = np.cumsum([0, *map(len, texts)])
    found, status = np.empty_like(values), np.empty_like(values)
    data = np.frombuffer(bytearray(b"".join(texts)), dtype=np.uint8)
    benchmark(parse_texts, data, offsets, DECIMALS, found, status)
    assert np.array_equal(found, values)
    assert not status.any()


def test_integers_to_decimals(benchmark: Benchmark, values: Int64Array) -> None:
    assert len(benchmark(to_decimals, values, DECIMALS)) == ROWS


def test_decimals_to_integers(benchmark: Benchmark, values: Int64Array) -> None:
    column = to_decimals(values, DECIMALS)
    assert np.array_equal(benchmark(from_decimals, column, DECIMALS), values)


def test_copy(benchmark: Benchmark, values: Int64Array) -> None:
    """What the others are compared with."""
    benchmark(np.copyto, np.empty_like(values), values)
