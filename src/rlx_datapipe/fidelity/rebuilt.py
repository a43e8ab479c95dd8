"""The book of a stretch rebuilt from its deltas: best prices after each event, and tops at given times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.kernels import best_price, best_quantity, clear, set_level, top_levels
from rlx_datapipe.book.layout import OK
from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind
from rlx_datapipe.fidelity.market import Window


@kernel
def rebuild(
    events: Int64Array,
    skipped: npt.NDArray[np.bool_],
    row: int,
    sample: int,
    book: Int64Array,
    published: Int64Array,
    best: Int64Array,
    times: Int64Array,
    samples: Int64Array,
) -> tuple[int, int, int]:
    """Go on from a row; the row reached, the samples taken, and the status of the book.

    ``published`` (4,) holds the best prices as last published; ``best`` (4, n) and ``samples`` (k, 4, depth)
    are filled. A sample is the book after all events up to its time.
    """
    depth = samples.shape[2]
    while row < events.shape[1]:
        while sample < times.shape[0] and times[sample] < events[Field.ORDER_TIME, row]:
            for side in range(2):
                top_levels(book, side, depth, samples[sample, 2 * side], samples[sample, 2 * side + 1])
            sample += 1
        kind, flags = events[Field.KIND, row], events[Field.FLAGS, row]
        counts = flags & (Flag.NOT_APPLIED | Flag.SAMPLED) == 0 and not skipped[row]
        if kind != Kind.TRADE and counts:
            if kind == Kind.BOOK_SNAPSHOT and (
                row == 0
                or events[Field.KIND, row - 1] != Kind.BOOK_SNAPSHOT
                or events[Field.FLAGS, row - 1] & Flag.GROUP_END != 0
            ):
                clear(book)
            if flags & Flag.EMPTY_GROUP == 0:
                status = set_level(
                    book,
                    events[Field.SIDE, row],
                    events[Field.PRICE, row],
                    events[Field.QUANTITY, row],
                )
                if status != OK:
                    return row, sample, status
        if kind != Kind.TRADE and flags & Flag.GROUP_END != 0:
            for side in range(2):
                price = best_price(book, side)
                published[2 * side] = price
                published[2 * side + 1] = best_quantity(book, side) if price >= 0 else NONE
        for i in range(4):
            best[i, row] = published[i]
        row += 1
    while sample < times.shape[0]:
        for side in range(2):
            top_levels(book, side, depth, samples[sample, 2 * side], samples[sample, 2 * side + 1])
        sample += 1
    return row, sample, OK


def rebuilt(
    whole: Window,
    skipped: npt.NDArray[np.bool_] | None = None,
    *,
    sample_times: Int64Array | None = None,
    depth: int | None = None,
) -> Window:
    """A stretch that begins without a book, with best prices and samples as its events give them.

    Parameters
    ----------
    whole
        Events from the first snapshot on; no levels are known before.
    skipped
        Rows that change nothing, bool (n,); they stay among the events.
    sample_times, depth
        When tops are taken, and of how many levels; by default as the stretch has them.
    """
    count = whole.events.shape[1]
    times = whole.sample_times if sample_times is None else sample_times
    levels = whole.samples.shape[2] if depth is None else depth
    best = np.full((4, count), NONE, dtype=np.int64)
    samples = np.full((len(times), 4, levels), NONE, dtype=np.int64)
    published = np.full(4, NONE, dtype=np.int64)
    none = np.zeros(count, dtype=np.bool_) if skipped is None else skipped
    engine = OrderBookEngine(tick=whole.tick)
    row = sample = 0
    while row < count or sample < len(times):
        row, sample, status = rebuild(
            whole.events, none, row, sample, engine.state, published, best, times, samples
        )
        if status == OK:
            break
        engine.make_room(status, int(whole.events[Field.PRICE, row]))
    return replace(whole, best=best, sample_times=times, samples=samples)


def without(whole: Window, dropped: npt.NDArray[np.bool_]) -> Window:
    """A stretch without some of its rows, its book rebuilt from the others; groups keep their end."""
    told = rebuilt(whole, dropped)
    ends = told.events[Field.FLAGS] & Flag.GROUP_END != 0
    group = np.cumsum(ends) - ends
    kept = np.flatnonzero(~dropped)
    last = kept[np.append(np.diff(group[kept]) != 0, True)] if len(kept) else kept
    events, best = told.events.copy(), told.best.copy()
    end_rows = np.flatnonzero(ends)
    whole_groups = last[group[last] < len(end_rows)]
    events[Field.FLAGS, whole_groups] |= Flag.GROUP_END
    best[:, whole_groups] = told.best[:, end_rows[group[whole_groups]]]
    return replace(told, events=events[:, kept], best=best[:, kept])
