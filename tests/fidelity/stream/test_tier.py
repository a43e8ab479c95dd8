"""Tier 1 measures what a reading of whole windows does, however events are cut, and speaks up at once."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side, empty_events
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.state import State
from rlx_datapipe.fidelity.market import MarketSide, Window, cut_windows
from rlx_datapipe.fidelity.metrics.arrivals import SECOND_NS
from rlx_datapipe.fidelity.metrics.flow import flow_and_moves, quote_flow, slope
from rlx_datapipe.fidelity.metrics.noise import hausman_fast
from rlx_datapipe.fidelity.metrics.spread import SpreadStream
from rlx_datapipe.fidelity.moments import Moments
from rlx_datapipe.fidelity.stream.layout import WINDOW_NS, Count
from rlx_datapipe.fidelity.stream.measured import Measured, measured_windows
from rlx_datapipe.fidelity.stream.tier import RECENT, Alert, StreamTier
from rlx_datapipe.fidelity.synthetic import INSTRUMENT, synthetic_side
from rlx_datapipe.store.state_bytes import pack, unpack

NO_SAMPLES, NO_HEADS = np.zeros((0, 4, 1), dtype=np.int64), np.zeros((0, 4), dtype=np.int64)
START_NS = 1_700_000_100 * SECOND_NS
assert START_NS % WINDOW_NS == 0


def replayed(events: Int64Array, best: Int64Array) -> Replayed:
    flags = np.ascontiguousarray(events[Field.FLAGS])
    return Replayed(0, np.ascontiguousarray(events), np.ascontiguousarray(best), flags, NO_SAMPLES, NO_HEADS)


def market(windows: int = 3) -> Window:
    """Some minutes of a market as one stretch, that begin and end within a window."""
    parts = synthetic_side(3, windows=windows * 5, window_s=60).windows
    first, last = parts[0], parts[-1]
    events = np.concatenate([part.events for part in parts], axis=1)
    # Stamps of exchanges are whole milliseconds, so events do lie at the edges of seconds.
    for name in (Field.ORDER_TIME, Field.ORIGIN_TIME):
        events[name] = events[name] // 100_000_000 * 100_000_000
    best = np.concatenate([part.best for part in parts], axis=1)
    return Window(INSTRUMENT, first.start_ns, last.end_ns, events, best)


def seen(events: Int64Array, best: Int64Array, cuts: list[int], *, stored: bool = False) -> StreamTier:
    """Tier 1 behind events that come in stretches; stored and restored between them if asked for."""
    tier, closed = StreamTier(INSTRUMENT), []
    for start, stop in zip([0, *cuts], [*cuts, events.shape[1]], strict=True):
        tier.see(replayed(events[:, start:stop], best[:, start:stop]))
        if stored:
            closed += [one] if (one := tier.take_closed()) else []
            state = unpack(pack({"tier": tier.state()}))["tier"]
            tier = StreamTier(INSTRUMENT)
            tier.restore(state)
    tier.finish()
    closed += [one] if (one := tier.take_closed()) else []
    tier.windows = [window for one in closed for window in measured_windows(one)]  # type: ignore[attr-defined]
    return tier


def windows(tier: StreamTier) -> list[Measured]:
    found: list[Measured] = tier.windows  # type: ignore[attr-defined]
    return found


def whole_windows(stretch: Window) -> list[Window]:
    return list(MarketSide("golden", INSTRUMENT, cut_windows(stretch, WINDOW_NS)).windows)


def test_it_measures_what_a_reading_of_the_windows_does() -> None:
    stretch = market()
    tier = seen(stretch.events, stretch.best, [1_000, 7_777])
    found = {one.start_ns: one for one in windows(tier)}
    compared = whole_windows(stretch)
    assert len(compared) >= 2
    for window in compared:
        one = found[window.start_ns]
        assert one.end_ns == window.end_ns
        _same_quotes(window, one)
        _same_flow(window, one)
        _same_arrivals(window, one)


def _same_quotes(window: Window, one: Measured) -> None:
    stream = SpreadStream()
    stream.update(window)
    assert one.counts[Count.QUOTED_NS] == window.quotes.hold_ns.sum()
    assert np.array_equal(one.sketch("spread_ticks_by_ns").counts, stream.sketch.counts)
    for moment in ("mean", "variance", "skewness", "excess_kurtosis"):
        assert getattr(one.spread, moment) == pytest.approx(getattr(stream.moments, moment), rel=1e-9)
    depth = Moments()
    both = (window.quotes.bid_quantity + window.quotes.ask_quantity).astype(np.float64)
    depth.update(both, window.quotes.hold_ns / 1e9)
    assert one.depth.mean == pytest.approx(depth.mean, rel=1e-9)
    assert one.depth.variance == pytest.approx(depth.variance, rel=1e-9)
    returns = window.returns(SECOND_NS)
    assert one.returns == len(returns)
    assert one.hausman == pytest.approx(hausman_fast(returns).statistic, rel=1e-9)


def _same_flow(window: Window, one: Measured) -> None:
    flows = quote_flow(window.quotes)[1:]
    assert one.counts[Count.FLOWS] == len(flows)
    assert one.counts[Count.FLOW] == flows.sum()
    assert one.counts[Count.FLOW_SIZE] == np.abs(flows).sum()
    flow, moves = flow_and_moves(window, SECOND_NS)
    assert one.flow_slope == pytest.approx(slope(flow, moves)[0], rel=1e-9)
    assert one.sketch("flow_per_second").total == WINDOW_NS // SECOND_NS


def _same_arrivals(window: Window, one: Measured) -> None:
    times, is_trade = window.events[Field.ORDER_TIME], window.events[Field.KIND] == Kind.TRADE
    assert one.counts[Count.MESSAGES] == len(times)
    assert one.counts[Count.TRADES] == is_trade.sum() == one.sketch("trade_quantity").total
    assert one.counts[Count.VOLUME] == window.events[Field.QUANTITY, is_trade].sum()
    signs = 1 - 2 * window.events[Field.SIDE, is_trade]
    assert one.counts[Count.SIGNED_VOLUME] == (window.events[Field.QUANTITY, is_trade] * signs).sum()
    for step, squares in ((SECOND_NS, Count.COARSE_SQUARES), (SECOND_NS // 10, Count.FINE_SQUARES)):
        _, counts = np.unique(times[~is_trade] // step, return_counts=True)
        assert one.counts[squares] == (counts**2).sum()
    # The gap to the last message of the window before counts where it ends.
    assert abs(one.counts[Count.TIES] - int((np.diff(times) == 0).sum())) <= 1


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 3_999), max_size=6, unique=True))
def test_neither_cuts_nor_checkpoints_change_a_bit(cuts: list[int]) -> None:
    stretch = market()
    events, best = stretch.events[:, 5_000:9_000], stretch.best[:, 5_000:9_000]
    expected = windows(seen(events, best, []))
    for found in (windows(seen(events, best, sorted(cuts), stored=stored)) for stored in (False, True)):
        assert [one.start_ns for one in found] == [one.start_ns for one in expected]
        for one, other in zip(found, expected, strict=True):
            assert np.array_equal(one.words, other.words)
            assert one.numbers.tobytes() == other.numbers.tobytes()


def test_windows_add_up() -> None:
    stretch = market()
    parts = windows(seen(stretch.events, stretch.best, []))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.joined(part)
    is_trade = stretch.events[Field.KIND] == Kind.TRADE
    assert whole.counts[Count.TRADES] == is_trade.sum()
    assert whole.spread.weight == pytest.approx(whole.counts[Count.QUOTED_NS] / 1e9)
    assert whole.sketch("spread_ticks_by_ns").total == whole.counts[Count.QUOTED_NS]


def steady(seconds: int, per_s: int = 50, *, burst_at: int = -1, burst: int = 0) -> Int64Array:
    """Messages at even distances, and a burst of so many within 50 ms."""
    times = START_NS + np.arange(seconds * per_s, dtype=np.int64) * (SECOND_NS // per_s)
    if burst:
        more = START_NS + burst_at * SECOND_NS + np.linspace(0, 5e7, burst).astype(np.int64)
        times = np.sort(np.concatenate([times, more]))
    events = empty_events(len(times))
    events[Field.KIND], events[Field.SIDE] = Kind.BOOK_DELTA, Side.BID
    events[Field.ORIGIN_TIME] = events[Field.ORDER_TIME] = times
    events[Field.PRICE], events[Field.QUANTITY] = 6_000_000, 1_500
    events[Field.FLAGS] = Flag.GROUP_END
    return events


def alerts(events: Int64Array, best: Int64Array | None = None, cut: int = 10_000) -> list[Alert]:
    """Alerts in the order in which they came, each in the stretch that has its event."""
    told: list[Alert] = []
    tier = StreamTier(INSTRUMENT, told.append)
    standing = np.full((4, events.shape[1]), NONE, dtype=np.int64) if best is None else best
    for at in range(0, events.shape[1], cut):
        before = len(told)
        tier.see(replayed(events[:, at : at + cut], standing[:, at : at + cut]))
        for alert in told[before:]:
            assert events[Field.ORIGIN_TIME, at] <= alert.time_ns
    assert sum(finding.measures["count"] for finding in tier.findings()) == len(told)
    return told


def test_a_burst_is_told_once_with_the_events_before_it() -> None:
    assert alerts(steady(1_000)) == []
    [alert] = alerts(steady(1_000, burst_at=900, burst=400))
    assert alert.kind == "message_rate"
    assert "200 depth messages within 100 ms, where 5 are usual" in alert.message
    assert len(alert.recent) == RECENT
    assert alert.recent[-1]["time_ns"] == alert.time_ns
    assert alert.recent[-1] == {
        "time_ns": alert.time_ns, "type": "BOOK_DELTA", "side": "bid", "price": "60000", "quantity": "1.5",
    }  # fmt: skip
    assert alerts(steady(1_000, burst_at=900, burst=400), cut=7) == [alert]


def test_a_burst_of_trades_is_the_market() -> None:
    events = steady(1_000, burst_at=900, burst=400)
    events[Field.KIND, events[Field.ORIGIN_TIME] % (SECOND_NS // 50) != 0] = Kind.TRADE
    assert alerts(events) == []


def test_before_it_knows_what_is_usual_nothing_is_told() -> None:
    assert alerts(steady(1_000, burst_at=20, burst=400)) == []


def test_a_feed_that_falls_silent_is_told() -> None:
    events = steady(1_200, per_s=200)
    times = events[Field.ORIGIN_TIME]
    silent = (times > START_NS + 900 * SECOND_NS) & (times < START_NS + 945 * SECOND_NS)
    [alert] = alerts(events[:, ~silent])
    assert (alert.kind, "no message for 45 s" in alert.message) == ("message_rate", True)


def test_a_book_that_is_lost_again_and_again_is_told() -> None:
    events = steady(10)
    best = np.full((4, events.shape[1]), 100, dtype=np.int64)
    best[2] = 200
    lost = np.arange(events.shape[1]) % 100 == 50
    events[Field.FLAGS, lost] |= Flag.BOOK_INVALID
    [alert] = alerts(events, best)
    assert alert.kind == "sequence"
    assert "the book was lost 3 times within 5 minutes" in alert.message
    assert alert.time_ns == events[Field.ORIGIN_TIME, 250]


def test_ids_that_jump_or_go_back_are_counted() -> None:
    events = steady(4, per_s=10)
    events[Field.KIND] = Kind.TRADE
    events[Field.TRADE_ID] = [*range(20), *range(25, 45)]
    found = windows(seen(events, np.full((4, 40), NONE, dtype=np.int64), []))[0].counts
    assert (found[Count.TRADE_JUMPS], found[Count.TRADES_MISSING]) == (1, 5)
    events[Field.KIND] = Kind.BOOK_DELTA
    events[Field.UPDATE_ID] = [*range(20), 3, *range(20, 39)]
    found = windows(seen(events, np.full((4, 40), NONE, dtype=np.int64), []))[0].counts
    assert found[Count.BACK] == 1


def test_a_foreign_state_is_refused() -> None:
    tier = StreamTier(INSTRUMENT)
    state = tier.state()
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(state.values))
    for name in state.arrays:
        arrays = {**state.arrays, name: np.zeros(5, dtype=np.int64)}
        with pytest.raises(ValueError, match="not a state of this stage"):
            StreamTier(INSTRUMENT).restore(State(values, arrays))
