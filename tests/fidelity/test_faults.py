"""Planted faults: each does what it says, no more, the same by its seed, and leaves its market alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlx_datapipe.core.event import NONE, Field, Flag, Kind
from rlx_datapipe.fidelity import planting
from rlx_datapipe.fidelity.faults import FAULTS, Fault, fault_named
from rlx_datapipe.fidelity.market import Window
from rlx_datapipe.fidelity.metrics.arrivals import fano
from rlx_datapipe.fidelity.metrics.touch import longest_standstill, touch_error
from rlx_datapipe.fidelity.synthetic import synthetic_side

MINUTE_NS = 60_000_000_000
PLANTED = [fault for fault in FAULTS if fault.plant is not None and fault.name != "deltas_dropped"]
"""The deltas of this market are no book: dropping some of them is tried in test_rebuilt."""


def rng(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def whole() -> Window:
    parts = synthetic_side(3, windows=5).windows
    return replace(
        parts[0],
        end_ns=parts[-1].end_ns,
        events=np.concatenate([one.events for one in parts], axis=1),
        best=np.concatenate([one.best for one in parts], axis=1),
        sample_times=np.concatenate([one.sample_times for one in parts]),
        samples=np.concatenate([one.samples for one in parts]),
    )


def arrays(one: Window) -> list[np.ndarray]:
    return [one.events, one.best, one.opening, one.sample_times, one.samples]


def same(first: Window, second: Window) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(arrays(first), arrays(second), strict=True))


def test_there_are_enough_and_each_has_a_name_and_strengths() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 15
    for fault in FAULTS:
        assert fault.named in fault.strengths
        assert "{" not in fault.sentence(fault.named)
    assert fault_named("deltas_dropped").sentence(0.001) == "0.1 % of the deltas dropped"


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.name)
def test_a_fault_changes_something_the_same_each_time_and_not_what_it_was_given(
    whole: Window, fault: Fault
) -> None:
    before = [array.copy() for array in arrays(whole)]
    spoiled = fault.planted(whole, rng(), fault.strengths[-1])
    assert not same(spoiled, whole)
    assert same(spoiled, fault.planted(whole, rng(), fault.strengths[-1]))
    assert all(np.array_equal(a, b) for a, b in zip(before, arrays(whole), strict=True))
    times = spoiled.events[Field.ORDER_TIME]
    assert (np.diff(times) >= 0).all()
    assert times[0] >= whole.start_ns
    assert times[-1] < whole.end_ns
    assert len(fault.windows(whole, rng(), fault.strengths[-1], MINUTE_NS)) == 5


def test_late_trades_are_late_by_so_much_and_quotes_are_not(whole: Window) -> None:
    late = planting.trades_late(whole, rng(), 50)
    assert np.array_equal(
        late.trades.time_ns, np.minimum(whole.trades.time_ns + 50_000_000, whole.end_ns - 1)
    )
    assert np.array_equal(late.quotes.time_ns, whole.quotes.time_ns)


def test_scattered_trades_keep_their_rate_and_lose_their_clusters(whole: Window) -> None:
    even = planting.trades_scattered(whole, rng(), 1.0)
    minutes = [(one.trades.time_ns - whole.start_ns) // MINUTE_NS for one in (whole, even)]
    assert np.array_equal(np.bincount(minutes[0]), np.bincount(minutes[1]))
    assert sorted(even.trades.quantity) == sorted(whole.trades.quantity)
    told = [fano(one.trades.time_ns, one.start_ns, one.end_ns, 10**9) for one in (whole, even)]
    assert told[0] > 1.5
    assert told[1] < 1.3


def test_shuffled_rows_hold_all_values_and_times_stand(whole: Window) -> None:
    mixed = planting.rows_shuffled(whole, rng(), 1.0)
    assert np.array_equal(mixed.events[Field.ORDER_TIME], whole.events[Field.ORDER_TIME])
    for name in (Field.KIND, Field.SIDE, Field.PRICE, Field.QUANTITY):
        assert np.array_equal(np.sort(mixed.events[name]), np.sort(whole.events[name]))
    assert np.array_equal(np.sort(mixed.best, axis=1), np.sort(whole.best, axis=1))
    few = planting.rows_shuffled(whole, rng(), 0.01)
    assert 0 < (few.best != whole.best).any(axis=0).mean() < 0.02


def test_duplicated_and_dropped_rows_are_as_many_as_asked_for(whole: Window) -> None:
    count = whole.events.shape[1]
    assert planting.rows_duplicated(whole, rng(), 0.1).events.shape[1] == pytest.approx(1.1 * count, rel=0.02)
    left = len(planting.trades_dropped(whole, rng(), 0.2).trades.time_ns)
    assert left == pytest.approx(0.8 * len(whole.trades.time_ns), rel=0.05)


def test_times_lie_on_their_step(whole: Window) -> None:
    for fault in (planting.times_quantised, planting.stamps_rounded):
        coarse = fault(whole, rng(), 100)
        inside = coarse.events[Field.ORDER_TIME]
        on = inside % 100_000_000 == 0
        assert on.mean() > 0.99
        assert coarse.resolution_ns == 100_000_000
        assert np.abs(inside - whole.events[Field.ORDER_TIME]).max() < 100_000_000


def test_coalesced_quotes_are_the_last_of_each_step(whole: Window) -> None:
    few = planting.quotes_coalesced(whole, rng(), 1_000)
    steps = (few.quotes.time_ns - whole.start_ns) // 10**9
    assert len(np.unique(steps)) == len(steps)
    assert few.quotes.bid[-1] == whole.quotes.bid[-1]


def test_reversed_time_twice_is_the_market_again(whole: Window) -> None:
    back = planting.time_reversed(whole, rng(), 1.0)
    assert np.array_equal(back.trades.quantity, whole.trades.quantity[::-1])
    # The grid of the reversed market lies a step off.
    mids = whole.mids(10**9)[21:-20], back.mids(10**9)[::-1][20:-21]
    assert np.abs(mids[0] - mids[1]).mean() < 0.05 * mids[0].std()
    twice = planting.time_reversed(back, rng(), 1.0)
    assert np.array_equal(twice.events[Field.ORDER_TIME], whole.events[Field.ORDER_TIME])


def test_sides_sizes_and_tails_change_by_as_much_as_asked_for(whole: Window) -> None:
    assert (planting.sides_flipped(whole, rng(), 1.0).trades.sign == -whole.trades.sign).all()
    larger = planting.sizes_scaled(whole, rng(), 1.05)
    assert larger.trades.quantity.sum() == pytest.approx(1.05 * whole.trades.quantity.sum(), rel=1e-3)
    assert larger.quotes.bid_quantity.sum() == pytest.approx(1.05 * whole.quotes.bid_quantity.sum(), rel=1e-3)
    clipped = planting.tails_clipped(whole, rng(), 0.05).trades.quantity
    assert clipped.max() <= np.quantile(whole.trades.quantity, 0.95)
    assert (clipped == whole.trades.quantity).mean() == pytest.approx(0.95, abs=0.02)


def test_deep_levels_change_and_the_best_ones_do_not(whole: Window) -> None:
    half = planting.deep_depth_scaled(whole, rng(), 0.5)
    assert np.array_equal(half.samples[:, :, :4], whole.samples[:, :, :4])
    assert half.samples[:, 1::2, 4:].sum() == pytest.approx(0.5 * whole.samples[:, 1::2, 4:].sum(), rel=1e-3)
    short = planting.levels_dropped(whole, rng(), 10)
    assert (short.samples[:, :, 10:] == NONE).all()
    assert np.array_equal(short.samples[:, :, :10], whole.samples[:, :, :10])


def test_the_touch_is_wrong_for_as_long_as_asked_for(whole: Window) -> None:
    off = touch_error(whole, planting.touch_off(whole, rng(), 0.05))
    assert 1 - off.exact == pytest.approx(0.05, abs=0.01)
    assert off.greatest_ticks == 1.0
    stuck = planting.book_stuck(whole, rng(), 120)
    assert stuck.best.shape == whole.best.shape
    still = (np.diff(stuck.best, axis=1) == 0).all(axis=0).mean()
    moving = (np.diff(whole.best, axis=1) == 0).all(axis=0).mean()
    assert still - moving == pytest.approx(120 / 3_600, abs=0.015)


def test_a_stuck_book_is_seen_by_how_long_it_stood(whole: Window) -> None:
    stuck = planting.book_stuck(whole, rng(), 120)
    stood_s = 120 * (whole.end_ns - whole.start_ns) / 3.6e12
    assert longest_standstill(whole, stuck) / 1e9 == pytest.approx(stood_s, abs=1.0)
    assert longest_standstill(whole, whole) == 0
    assert longest_standstill(whole, planting.quotes_coalesced(whole, rng(), 100)) <= 100 * planting.MS_NS


def test_the_wildest_windows_are_those_that_are_removed() -> None:
    windows = list(synthetic_side(4, windows=12).windows)
    kept = planting.regime_removed(windows, 0.25)
    wild = [float(np.nanstd(np.diff(one.mids(10**9)))) for one in windows]
    assert len(kept) == 9
    assert {one.start_ns for one in windows} - {one.start_ns for one in kept} == {
        windows[k].start_ns for k in np.argsort(wild)[-3:]
    }


def test_faults_that_look_at_trades_leave_a_market_without_any_alone() -> None:
    silent = synthetic_side(4, windows=1).windows[0]
    rows = silent.events[Field.KIND] != Kind.TRADE
    quiet = Window(
        silent.instrument, silent.start_ns, silent.end_ns, silent.events[:, rows], silent.best[:, rows]
    )
    assert same(planting.tails_clipped(quiet, rng(), 0.1), quiet)
    assert (quiet.events[Field.FLAGS] & Flag.GROUP_END).all()
