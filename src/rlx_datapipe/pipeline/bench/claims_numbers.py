"""Claims on numbers and books: scaled integers against decimals, the hybrid book against simpler ones."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow.compute as pc

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.kernels import best_price, set_level, top_levels
from rlx_datapipe.book.layout import ASK, BID, OK, IntArray
from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.pipeline.bench.ablation import Verdict, in_turn, judge
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.simulation.updates import UpdatesConfig, updates
from rlx_datapipe.store.columns import to_decimals

_NUMBERS = 200_000
_UPDATES = 300_000
_LEVELS = 2_700
_TOP = 20
_TOP_EVERY = 400
_CAPACITY = 1 << 14


def decimals(bench: Workbench) -> list[Verdict]:
    """Highest, lowest, sum and number of changes of a column of prices, in three kinds of numbers."""
    scaled = np.random.default_rng(bench.options.seed).integers(5_000_000, 6_000_000, _NUMBERS)
    exact = [Decimal(int(value)).scaleb(-2) for value in scaled]
    column = to_decimals(scaled, 2)

    def integers() -> tuple[int, ...]:
        changes = np.count_nonzero(scaled[1:] != scaled[:-1])
        return int(scaled.max()), int(scaled.min()), int(scaled.sum()), int(changes)

    def python() -> tuple[object, ...]:
        changes = sum(a != b for a, b in pairwise(exact))
        return max(exact), min(exact), sum(exact), changes

    def arrow() -> tuple[object, ...]:
        ends = pc.min_max(column)
        changes = pc.sum(pc.not_equal(column[1:], column[:-1]))
        return ends["max"].as_py(), ends["min"].as_py(), pc.sum(column).as_py(), changes.as_py()

    answers = integers()
    for other in (python(), arrow()):
        if answers != (*(int(value * 100) for value in other[:3]), other[3]):  # type: ignore[operator]
            raise DatapipeError("two kinds of numbers give different answers", found=other, expected=answers)
    return [
        judge(
            f"scaled int64 against {name}",
            f"columns of scaled int64 are at least {bound:g} times as fast as {name}",
            ("scaled int64", name),
            bound,
            in_turn(integers, plain, bench.options.repeats),
            values=_NUMBERS,
        )
        for name, bound, plain in (("Decimal", 50.0, python), ("decimal128", 2.0, arrow))
    ]


@kernel
def _sorted_book(sides: IntArray, keys: IntArray, quantities: IntArray, books: IntArray) -> int:
    """Two sorted arrays of levels in ``books`` (2, 2, capacity): the sum of what is asked after each row."""
    counts = np.zeros(2, np.int64)
    total = 0
    for row in range(len(sides)):
        side, key, quantity = sides[row], keys[row], quantities[row]
        count = counts[side]
        low, high = 0, count
        while low < high:
            middle = (low + high) >> 1
            if books[side, 0, middle] < key:
                low = middle + 1
            else:
                high = middle
        is_held = low < count and books[side, 0, low] == key
        if quantity > 0 and is_held:
            books[side, 1, low] = quantity
        elif quantity > 0:
            for i in range(count, low, -1):
                books[side, 0, i], books[side, 1, i] = books[side, 0, i - 1], books[side, 1, i - 1]
            books[side, 0, low], books[side, 1, low] = key, quantity
            counts[side] += 1
        elif is_held:
            for i in range(low, count - 1):
                books[side, 0, i], books[side, 1, i] = books[side, 0, i + 1], books[side, 1, i + 1]
            counts[side] -= 1
        for one in range(2):
            if counts[one] > 0:
                total += abs(books[one, 0, 0])
            if row % _TOP_EVERY == 0:
                for i in range(min(_TOP, counts[one])):
                    total += books[one, 1, i]
    return total


@kernel
def _hash_book(sides: IntArray, keys: IntArray, quantities: IntArray, tables: IntArray) -> int:
    """Open addressing in ``tables`` (2, 2, capacity), key 0 empty; the best is sought when it is removed."""
    mask = tables.shape[2] - 1
    best = np.full(2, 2**62, np.int64)
    held = np.empty(tables.shape[2], np.int64)
    total = 0
    for row in range(len(sides)):
        side, key, quantity = sides[row], keys[row], quantities[row]
        slot = ((key & 0x7FFFFFFF) * 0x9E3779B1 >> 15) & mask
        while tables[side, 0, slot] not in (0, key):
            slot = (slot + 1) & mask
        if quantity > 0 or tables[side, 0, slot] == key:
            tables[side, 0, slot], tables[side, 1, slot] = key, quantity
        if quantity > 0:
            best[side] = min(best[side], key)
        elif key == best[side]:
            best[side] = 2**62
            for i in range(mask + 1):
                if tables[side, 1, i] > 0:
                    best[side] = min(best[side], tables[side, 0, i])
        for one in range(2):
            if best[one] < 2**62:
                total += abs(best[one])
            if row % _TOP_EVERY == 0:
                count = 0
                for i in range(mask + 1):
                    if tables[one, 1, i] > 0:
                        held[count] = tables[one, 0, i]
                        count += 1
                nearest = np.sort(held[:count])[:_TOP]
                for wanted in nearest:
                    for i in range(mask + 1):
                        if tables[one, 0, i] == wanted:
                            total += tables[one, 1, i]
                            break
    return total


@kernel
def _hybrid_book(
    state: IntArray, sides: IntArray, prices: IntArray, quantities: IntArray, start: int, room: IntArray
) -> tuple[int, int, int]:
    """The book of this package; the row it came to, the status there, and the sum since ``start``."""
    total = 0
    for row in range(start, len(sides)):
        status = set_level(state, sides[row], prices[row], quantities[row])
        if status != OK:
            return row, status, total
        for side in range(2):
            best = best_price(state, side)
            if best > 0:
                total += best
            if row % _TOP_EVERY == 0:
                for i in range(top_levels(state, side, _TOP, room[0], room[1])):
                    total += room[1, i]
    return len(sides), OK, total


def books(bench: Workbench) -> list[Verdict]:
    """The same rows, the same questions: best prices after each row, 20 levels after every 400th."""
    config = UpdatesConfig(seed=bench.options.seed, rows=_UPDATES, levels=_LEVELS)
    _, sides, prices, quantities = (np.concatenate(part) for part in zip(*updates(config), strict=True))
    keys = np.where(sides == ASK, prices, -prices)
    shape = (2, 2, _CAPACITY)

    def hybrid() -> int:
        engine, room = OrderBookEngine(), np.empty((2, _TOP), dtype=np.int64)
        at = total = 0
        while at < len(sides):
            at, status, some = _hybrid_book(engine.state, sides, prices, quantities, at, room)
            total += some
            if status != OK:
                engine.make_room(status, int(prices[at]))
        return total

    ways: dict[str, Callable[[], Any]] = {
        "sorted arrays": lambda: _sorted_book(sides, keys, quantities, np.zeros(shape, dtype=np.int64)),
        "a hash": lambda: _hash_book(sides, keys, quantities, np.zeros(shape, dtype=np.int64)),
    }
    expected = hybrid()
    verdicts = []
    for name, plain in ways.items():
        if plain() != expected:
            raise DatapipeError("two books give different answers", found=plain(), expected=expected)
        verdicts.append(
            judge(
                f"hybrid book against {name}",
                f"the hybrid book is at least 1.5 times as fast as {name}",
                ("hybrid book", name),
                1.5,
                in_turn(hybrid, plain, bench.options.repeats),
                rows=len(sides),
                levels=[int((sides == side).sum()) for side in (BID, ASK)],
            )
        )
    return verdicts
