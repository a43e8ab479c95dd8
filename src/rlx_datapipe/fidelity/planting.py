"""Planted faults: functions of a stretch, a generator and a strength that spoil it in one known way each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind
from rlx_datapipe.fidelity.market import Window, stamp_resolution
from rlx_datapipe.fidelity.rebuilt import without

MS_NS = 1_000_000
STRETCH_NS = 60_000_000_000
"""Rows are shuffled, and trades scattered, within stretches of this length: rates stay as they are."""
SECOND_NS = 1_000_000_000

Random = np.random.Generator
Mask = npt.NDArray[np.bool_]


def deltas_dropped(whole: Window, rng: Random, share: float) -> Window:
    """A share of the deltas never came; the book is what the others make of it."""
    is_delta = whole.events[Field.KIND] == Kind.BOOK_DELTA
    return without(whole, is_delta & (rng.random(len(is_delta)) < share))


def trades_dropped(whole: Window, rng: Random, share: float) -> Window:
    """A share of the trades is missing."""
    kept = ~(_is_trade(whole) & (rng.random(whole.events.shape[1]) < share))
    return replace(whole, events=whole.events[:, kept], best=whole.best[:, kept])


def trades_late(whole: Window, rng: Random, late_ms: float) -> Window:
    """Every trade bears a time that is late by so many milliseconds."""
    times = whole.events[Field.ORDER_TIME] + np.where(_is_trade(whole), round(late_ms * MS_NS), 0)
    return _retimed(whole, np.minimum(times, whole.end_ns - 1))


def trades_scattered(whole: Window, rng: Random, share: float) -> Window:
    """A share of the trades at times without memory: Poisson arrivals of equal rate."""
    old = whole.events[Field.ORDER_TIME]
    moved = _is_trade(whole) & (rng.random(len(old)) < share)
    start = (old - whole.start_ns) // STRETCH_NS * STRETCH_NS + whole.start_ns
    length = np.minimum(start + STRETCH_NS, whole.end_ns) - start
    times = start + (rng.random(len(old)) * length).astype(np.int64)
    return _retimed(whole, np.where(moved, times, old))


def rows_shuffled(whole: Window, rng: Random, share: float) -> Window:
    """A share of the rows changed places within their minute: all values are there, times are in order."""
    rows = _shuffled(whole.events[Field.ORDER_TIME], whole.start_ns, share, rng)
    events = whole.events[:, rows]
    for name in (Field.ORDER_TIME, Field.ORIGIN_TIME, Field.RECEIVED_TIME):
        events[name] = whole.events[name]
    tops = _shuffled(whole.sample_times, whole.start_ns, share, rng)
    return replace(whole, events=events, best=whole.best[:, rows], samples=whole.samples[tops])


def rows_duplicated(whole: Window, rng: Random, share: float) -> Window:
    """A share of the rows stands twice."""
    twice = np.repeat(np.arange(whole.events.shape[1]), 1 + (rng.random(whole.events.shape[1]) < share))
    return replace(whole, events=whole.events[:, twice], best=whole.best[:, twice])


def times_quantised(whole: Window, rng: Random, step_ms: float) -> Window:
    """Times cut to whole steps: a feed that is told in batches."""
    step = round(step_ms * MS_NS)
    events = whole.events.copy()
    for name in (Field.ORDER_TIME, Field.ORIGIN_TIME):
        events[name] = np.maximum(events[name] // step * step, whole.start_ns)
    coarse = max(whole.resolution_ns, stamp_resolution(events[Field.ORIGIN_TIME]))
    return replace(whole, events=events, resolution_ns=coarse)


def stamps_rounded(whole: Window, rng: Random, step_ms: float) -> Window:
    """Times rounded to the next step."""
    step = round(step_ms * MS_NS)
    events = whole.events.copy()
    for name in (Field.ORDER_TIME, Field.ORIGIN_TIME):
        events[name] = np.clip((events[name] + step // 2) // step * step, whole.start_ns, whole.end_ns - 1)
    coarse = max(whole.resolution_ns, stamp_resolution(events[Field.ORIGIN_TIME]))
    return replace(whole, events=events, resolution_ns=coarse)


def quotes_coalesced(whole: Window, rng: Random, step_ms: float) -> Window:
    """Of all changes of the best prices within a step only the last is told, at its time."""
    step = (whole.events[Field.ORDER_TIME] - whole.start_ns) // round(step_ms * MS_NS)
    publishes = ~_is_trade(whole) & (whole.events[Field.FLAGS] & Flag.GROUP_END != 0)
    rows = np.flatnonzero(publishes)
    silent = rows[:-1][np.diff(step[rows]) == 0] if len(rows) else rows
    events = whole.events.copy()
    events[Field.FLAGS, silent] &= ~np.int64(Flag.GROUP_END)
    return replace(whole, events=events)


def time_reversed(whole: Window, rng: Random, strength: float) -> Window:
    """The stretch told from its end to its beginning."""
    events = whole.events[:, ::-1].copy()
    for name in (Field.ORDER_TIME, Field.ORIGIN_TIME, Field.RECEIVED_TIME):
        events[name] = whole.start_ns + whole.end_ns - 1 - events[name]
    events[Field.FLAGS] |= Flag.GROUP_END
    # After an event of the reversed market the book is what it was before that event.
    before = np.concatenate([whole.opening[:, None], whole.best[:, :-1]], axis=1)[:, ::-1]
    opening = whole.best[:, -1] if whole.best.shape[1] else whole.opening
    times = whole.start_ns + whole.end_ns - 1 - whole.sample_times[::-1]
    return replace(
        whole, events=events, best=before, opening=opening, sample_times=times, samples=whole.samples[::-1]
    )


def sides_flipped(whole: Window, rng: Random, share: float) -> Window:
    """A share of the trades names the wrong aggressor."""
    wrong = _is_trade(whole) & (rng.random(whole.events.shape[1]) < share)
    events = whole.events.copy()
    events[Field.SIDE] = np.where(wrong, 1 - events[Field.SIDE], events[Field.SIDE])
    return replace(whole, events=events)


def tails_clipped(whole: Window, rng: Random, share: float) -> Window:
    """The greatest share of the trade quantities is cut to the least of them."""
    rows = np.flatnonzero(_is_trade(whole))
    if not len(rows):
        return whole
    events = whole.events.copy()
    most = int(np.quantile(events[Field.QUANTITY, rows], 1 - share, method="lower"))
    events[Field.QUANTITY, rows] = np.minimum(events[Field.QUANTITY, rows], most)
    return replace(whole, events=events)


def sizes_scaled(whole: Window, rng: Random, factor: float) -> Window:
    """Every quantity, traded or resting, is so many times what it was."""
    events, best, opening, samples = (
        whole.events.copy(),
        whole.best.copy(),
        whole.opening.copy(),
        whole.samples.copy(),
    )
    events[Field.QUANTITY] = _times(events[Field.QUANTITY], factor)
    best[1::2], opening[1::2] = _times(best[1::2], factor), _times(opening[1::2], factor)
    samples[:, 1::2] = _times(samples[:, 1::2], factor)
    return replace(whole, events=events, best=best, opening=opening, samples=samples)


def deep_depth_scaled(whole: Window, rng: Random, factor: float) -> Window:
    """What rests at the fifth level and behind it is so many times what it was."""
    samples = whole.samples.copy()
    samples[:, 1::2, 4:] = _times(samples[:, 1::2, 4:], factor)
    return replace(whole, samples=samples)


def levels_dropped(whole: Window, rng: Random, kept: float) -> Window:
    """Only the best levels are known."""
    samples = whole.samples.copy()
    samples[:, :, round(kept) :] = NONE
    return replace(whole, samples=samples)


def book_stuck(whole: Window, rng: Random, seconds: float) -> Window:
    """The book stands still for so many seconds an hour, in one go each hour."""
    best, samples = whole.best.copy(), whole.samples.copy()
    for start, end in _stretches(whole, seconds, 3_600.0, rng):
        low, high = np.searchsorted(whole.events[Field.ORDER_TIME], [start, end])
        best[:, low:high] = best[:, low - 1 : low] if low else whole.opening[:, None]
        first, last = np.searchsorted(whole.sample_times, [start, end])
        if first:
            samples[first:last] = samples[first - 1]
    return replace(whole, best=best, samples=samples)


def touch_off(whole: Window, rng: Random, share: float) -> Window:
    """Both best prices are a tick too high for a share of the time, a second at a time."""
    best = whole.best.copy()
    for start, end in _stretches(whole, 1.0, 1.0 / share, rng):
        low, high = np.searchsorted(whole.events[Field.ORDER_TIME], [start, end])
        part = best[::2, low:high]
        best[::2, low:high] = np.where(part == NONE, NONE, part + whole.tick)
    return replace(whole, best=best)


def mid_noise(whole: Window, rng: Random, ticks: float) -> Window:
    """Both best prices of each event jitter together, independently of all else, by so many ticks."""
    jitter = np.rint(rng.standard_normal(whole.best.shape[1]) * ticks).astype(np.int64) * whole.tick
    best = whole.best.copy()
    best[::2] = np.where(best[::2] == NONE, NONE, best[::2] + jitter)
    return replace(whole, best=best)


def regime_removed(windows: Sequence[Window], share: float) -> list[Window]:
    """The most volatile share of the windows is not there."""
    volatility = np.array([np.nanstd(np.diff(one.mids(SECOND_NS))) for one in windows])
    most = np.quantile(volatility, 1 - share)
    return [one for one, wild in zip(windows, volatility, strict=True) if wild <= most]


def _is_trade(whole: Window) -> Mask:
    return np.asarray(whole.events[Field.KIND] == Kind.TRADE)


def _times(values: Int64Array, factor: float) -> Int64Array:
    """Values times a factor, at least 1 where there was something; NONE and 0 as they are."""
    scaled = np.maximum(1, np.rint(values * factor)).astype(np.int64)
    return np.where(values > 0, scaled, values)


def _retimed(whole: Window, times: Int64Array) -> Window:
    """Rows at other times, in the order of these."""
    rows = np.argsort(times, kind="stable")
    events = whole.events[:, rows]
    events[Field.ORDER_TIME] = events[Field.ORIGIN_TIME] = times[rows]
    return replace(whole, events=events, best=whole.best[:, rows])


def _shuffled(times: Int64Array, start_ns: int, share: float, rng: Random) -> npt.NDArray[np.intp]:
    """Which row comes to each place."""
    rows = np.arange(len(times))
    moved = np.flatnonzero(rng.random(len(times)) < share)
    stretch = (times[moved] - start_ns) // STRETCH_NS
    rows[moved] = moved[np.lexsort((rng.random(len(moved)), stretch))]
    return rows


def _stretches(whole: Window, seconds: float, every_s: float, rng: Random) -> list[tuple[int, int]]:
    """Stretches of so many seconds, one at a random place of each period; a shorter period has its share."""
    told = []
    period = round(every_s * SECOND_NS)
    for start in range(whole.start_ns, whole.end_ns, period):
        room = min(period, whole.end_ns - start)
        length = round(seconds * SECOND_NS * room / period)
        at = start + int(rng.random() * (room - length))
        told.append((at, at + length))
    return told
