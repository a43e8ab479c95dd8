"""Kernels of the book: a batch of updates, the best prices after each row, the top, a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rlx_datapipe.book import kernels
from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.layout import BID, OK
from rlx_datapipe.simulation.updates import Updates

Benchmark = Callable[..., Any]


@pytest.fixture
def engine(stream: tuple[Updates, Updates]) -> OrderBookEngine:
    """A book of 2,700 levels a side with room for all of the batch."""
    made = OrderBookEngine(deep_log2=14)
    for rows in stream:
        made.apply(rows.sides, rows.prices, rows.quantities)
    return made


def test_apply(benchmark: Benchmark, engine: OrderBookEngine, stream: tuple[Updates, Updates]) -> None:
    rows = stream[1]
    columns = rows.sides, rows.prices, rows.quantities
    assert benchmark(kernels.apply_rows, engine.state, *columns, 0, len(rows.prices)) == (
        len(rows.prices),
        OK,
    )


def test_apply_with_best(
    benchmark: Benchmark, engine: OrderBookEngine, stream: tuple[Updates, Updates]
) -> None:
    rows = stream[1]
    count = len(rows.prices)
    best = np.empty((4, count), dtype=np.int64)
    columns = rows.sides, rows.prices, rows.quantities
    done = benchmark(kernels.apply_rows_with_best, engine.state, *columns, 0, count, *best)
    assert done == (count, OK)


def test_copy_of_the_answers(benchmark: Benchmark, stream: tuple[Updates, Updates]) -> None:
    """What `apply_with_best` is compared with: four columns of answers copied."""
    answers = np.ones((4, len(stream[1].prices)), dtype=np.int64)
    benchmark(np.copyto, np.empty_like(answers), answers)


@pytest.mark.parametrize("levels", [20, 1_000])
def test_top(benchmark: Benchmark, engine: OrderBookEngine, levels: int) -> None:
    prices, quantities = np.empty((2, levels), dtype=np.int64)
    assert benchmark(kernels.top_levels, engine.state, BID, levels, prices, quantities) == levels


def test_checkpoint(benchmark: Benchmark, engine: OrderBookEngine) -> None:
    assert benchmark(engine.to_array).nbytes == engine.state.nbytes


def test_restore(benchmark: Benchmark, engine: OrderBookEngine) -> None:
    state = engine.to_array()
    assert benchmark(OrderBookEngine.from_array, state).best() == engine.best()
