"""`rlx bench book`: updates a second of the book kernel, best prices told after each, at several depths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlx_datapipe.book import kernels
from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.layout import ASK, BID, OK, IntArray
from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, cpu_seconds
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.simulation.updates import Updates, UpdatesConfig, updates

ROWS = 2_000_000
LEVELS = (270, 2_700, 27_000)
"""Levels a side at first; three quarters of them stay."""
_TYPICAL = 2_700
_PLAIN_ROWS = 2_000
_TARGET_PER_S = 50_000_000


@dataclass
class Stream:
    """Updates behind the opening message, in one array each, and room for the best prices after each."""

    opening: Updates
    sides: IntArray
    prices: IntArray
    quantities: IntArray
    best: IntArray


def measure(bench: Workbench) -> Measured:
    """Measure the book: rows a second of processor time, best prices and quantities after each row.

    The ratio is to a book of two plain dicts with max and min after each row, on the first 2,000 rows of the
    same stream; both must give the same best prices. Beside it stands what a copy of the answers takes.

    Input: seeded updates, 70 % within 20 ticks of a touch that wanders, 23 % deletions (--rows).
    """
    figures = []
    told = {}
    for levels in LEVELS:
        rows = _rows(UpdatesConfig(seed=bench.options.seed, rows=bench.rows(ROWS), levels=levels))
        bench.on_step(f"book of {levels:,} levels a side at first")
        figure = _measure(rows, levels, bench.options.repeats)
        figures.append(figure)
        if levels == _TYPICAL:
            told = {"rows_per_second": figure.figure, "ratio_to_dict_book": figure.ratio, **figure.detail}
    return Measured(figures, told)


def _rows(config: UpdatesConfig) -> Stream:
    stream = updates(config)
    opening = next(stream)
    _, sides, prices, quantities = (np.concatenate(parts) for parts in zip(*stream, strict=True))
    return Stream(opening, sides, prices, quantities, np.empty((4, len(prices)), dtype=np.int64))


def _measure(rows: Stream, levels: int, repeats: int) -> Figure:
    count = len(rows.prices)
    engines = [_opened(rows.opening) for _ in range(repeats + 1)]
    # The first run loads the kernel and touches the memory of the answers.
    apply(engines.pop(), rows)
    took_s = cpu_seconds(lambda: apply(engines.pop(), rows), repeats)
    some = min(count, _PLAIN_ROWS)
    plain: list[tuple[int, ...]] = []
    plain_s = cpu_seconds(lambda: plain.extend(_plain(rows, some)), 1)
    if plain != [tuple(after) for after in rows.best[:, :some].T.tolist()]:
        raise DatapipeError("the book and two plain dicts differ in their best prices")
    room = np.empty_like(rows.best)
    room[:] = rows.best
    copy_s = cpu_seconds(lambda: np.copyto(room, rows.best), repeats)
    rate = count / took_s
    last = _opened(rows.opening)
    apply(last, rows)
    return Figure(
        claim=f"book, {min(last.level_count(BID), last.level_count(ASK)):,} levels",
        figure=rate,
        unit="rows/s",
        target=f"≥ {_TARGET_PER_S:,}" if levels == _TYPICAL else "",
        is_met=rate >= _TARGET_PER_S if levels == _TYPICAL else None,
        ratio=rate * plain_s / some,
        ratio_to="dict book",
        detail={
            "rows": count,
            "ns_per_row": 1e9 * took_s / count,
            "dict_book_ns_per_row": 1e9 * plain_s / some,
            "memory_copy_ns_per_row": 1e9 * copy_s / count,
            "levels": [last.level_count(side) for side in (BID, ASK)],
        },
    )


def _opened(opening: Updates) -> OrderBookEngine:
    engine = OrderBookEngine()
    engine.apply(opening.sides, opening.prices, opening.quantities)
    return engine


def apply(engine: OrderBookEngine, rows: Stream) -> None:
    """Apply all rows, the best prices and quantities after each into ``rows.best``."""
    at, count = 0, len(rows.prices)
    while at < count:
        at, status = kernels.apply_rows_with_best(
            engine.state, rows.sides, rows.prices, rows.quantities, at, count, *rows.best
        )
        if status != OK:
            engine.make_room(status, int(rows.prices[at]))


def _plain(rows: Stream, count: int) -> list[tuple[int, ...]]:
    """The same answers from two dicts, for the first rows."""
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    both = (bids, asks)
    opening = rows.opening
    for side, price, quantity in zip(*(column.tolist() for column in opening[1:]), strict=True):
        both[side][price] = quantity
    answers: list[tuple[int, ...]] = []
    columns = (column[:count].tolist() for column in (rows.sides, rows.prices, rows.quantities))
    for side, price, quantity in zip(*columns, strict=True):
        if quantity:
            both[side][price] = quantity
        else:
            both[side].pop(price, None)
        bid, ask = max(bids, default=-1), min(asks, default=-1)
        answers.append((bid, bids.get(bid, 0), ask, asks.get(ask, 0)))
    return answers
