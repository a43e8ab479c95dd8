"""What metrics are given: quotes with their times, trades, windows; and a dataset read into them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.engine import run_metrics
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window, cut_windows, stamp_resolution
from rlx_datapipe.fidelity.metrics.touch import longest_standstill, touch_error
from rlx_datapipe.fidelity.plugin import Goal
from rlx_datapipe.fidelity.reading import read_side, read_whole
from rlx_datapipe.fidelity.scales import in_one_scale
from rlx_datapipe.fidelity.synthetic import INSTRUMENT
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.store.dataset import Dataset, open_dataset


def quoted(rows: list[tuple[int, int, int]], end: int, flags: dict[int, int] | None = None) -> Window:
    """A window of deltas, each with its time, best bid and best ask in ticks of ten."""
    events = empty_events(len(rows))
    events[Field.KIND] = Kind.BOOK_DELTA
    events[Field.ORDER_TIME] = [row[0] for row in rows]
    events[Field.FLAGS] = [(flags or {}).get(k, 0) | Flag.GROUP_END for k in range(len(rows))]
    best = np.array([[10 * bid, 5, 10 * ask, 5] for _, bid, ask in rows], dtype=np.int64).T
    return Window(INSTRUMENT, 0, end, events, best.reshape(4, len(rows)))


def traded(rows: list[tuple[int, int, int, int]], aggregated: bool = False) -> Window:
    """A window of trades: time, side, price, quantity."""
    events = empty_events(len(rows))
    events[Field.KIND], events[Field.FLAGS] = Kind.TRADE, Flag.GROUP_END
    for field, column in zip(
        (Field.ORDER_TIME, Field.SIDE, Field.PRICE, Field.QUANTITY), np.array(rows).T, strict=True
    ):
        events[field] = column
    best = np.full((4, len(rows)), NONE, dtype=np.int64)
    return Window(INSTRUMENT, 0, 100, events, best, is_aggregated=aggregated)


def test_a_quote_stands_until_the_next_or_the_end() -> None:
    quotes = quoted([(10, 5, 6), (30, 5, 7)], 100).quotes
    assert quotes.time_ns.tolist() == [10, 30]
    assert quotes.hold_ns.tolist() == [20, 70]
    assert quotes.run.tolist() == [1, 1]


def test_a_stretch_without_a_book_belongs_to_no_quote() -> None:
    quotes = quoted([(10, 5, 6), (30, 5, 7), (60, 5, 8)], 100, {1: Flag.BOOK_INVALID}).quotes
    assert quotes.time_ns.tolist() == [10, 60]
    assert quotes.hold_ns.tolist() == [20, 40]
    assert quotes.run[0] != quotes.run[1], "no change is taken across the break"


def test_rows_inside_a_group_publish_nothing() -> None:
    window = quoted([(10, 5, 6), (20, 9, 9), (30, 5, 7)], 100)
    window.events[Field.FLAGS, 1] = 0
    assert window.quotes.time_ns.tolist() == [10, 30]


def test_the_mid_is_the_last_known_one() -> None:
    window = quoted([(10, 5, 6), (30, 5, 7)], 50, {1: Flag.BOOK_INVALID})
    assert np.array_equal(window.mids(10), [np.nan, 5.5, 5.5, np.nan, np.nan], equal_nan=True)
    assert window.returns(10).tolist() == [0.0]
    assert np.isnan(quoted([], 50).mids(10)).all()


def test_trades_that_are_no_market_trades_are_left_out_and_sides_have_signs() -> None:
    window = traded([(1, 0, 50, 2), (1, 0, 50, 3), (1, 1, 50, 4), (2, 1, 50, 1)])
    assert window.trades.sign.tolist() == [1, 1, -1, -1]
    window = replace(window, events=window.events.copy())
    window.events[Field.FLAGS, 3] |= Flag.NOT_MARKET
    assert len(window.trades.time_ns) == 3


def test_trades_are_compared_like_with_like() -> None:
    single = traded([(1, 0, 50, 2), (1, 0, 50, 3), (1, 1, 50, 4), (2, 1, 50, 1)])
    whole = traded([(1, 0, 50, 5), (1, 1, 50, 4), (2, 1, 50, 1)], aggregated=True)
    sides = [
        MarketSide(name, INSTRUMENT, (window,)) for name, window in (("golden", single), ("recon", whole))
    ]
    data = Comparison(sides[0], sides[1])
    assert data.trades(single).quantity.tolist() == data.trades(whole).quantity.tolist() == [5, 4, 1]
    assert Comparison(sides[0], sides[0]).trades(single).quantity.tolist() == [2, 3, 4, 1]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9)), max_size=30), st.integers(1, 99))
def test_parts_of_a_window_have_the_time_of_the_whole(rows: list[tuple[int, int]], at: int) -> None:
    window = quoted([(time, bid, bid + 1) for time, bid in sorted(rows)], 100)
    parts = [window.cut(0, at), window.cut(at, 100)]

    def standing(windows: list[Window]) -> dict[int, int]:
        held: dict[int, int] = {}
        for one in windows:
            for bid, hold in zip(one.quotes.bid.tolist(), one.quotes.hold_ns.tolist(), strict=True):
                held[bid] = held.get(bid, 0) + hold
        return {bid: hold for bid, hold in held.items() if hold}

    assert standing(parts) == standing([window])


def test_windows_lie_on_the_clock_and_leave_gaps_out() -> None:
    window = replace(quoted([(5, 5, 6)], 100), start_ns=5)
    assert [(one.start_ns, one.end_ns) for one in cut_windows(window, 30)] == [(30, 60), (60, 90)]
    gap = np.array([[58, 59]], dtype=np.int64)
    assert [one.start_ns for one in cut_windows(window, 30, gap)] == [60]
    with pytest.raises(OptionError):
        cut_windows(window, 0)


@pytest.mark.parametrize(
    ("times", "step"),
    [
        ([10**18 + k * 10**6 for k in range(50)], 10**6),
        ([(10**18 + k * 33 * 10**6) // 256 * 256 for k in range(50)], 10**6),
        ([10**18 + k * 10**9 for k in range(50)], 10**9),
        ([10**18 + k * 1_000 for k in range(1, 50)], 1_000),
        ([10**18 + 7919 * k for k in range(50)], 1),
        ([], 1),
    ],
)
def test_the_step_of_stamps_is_found_through_float_dust(times: list[int], step: int) -> None:
    assert stamp_resolution(np.array(times, dtype=np.int64)) == step


@pytest.mark.parametrize("silent", [0, 1_023, 1_024, 5_000])
def test_a_window_opens_with_the_last_quote_however_far_back_it_is(silent: int) -> None:
    rows = [(0, 4, 7), (1, 5, 7), *((2 + k, 9, 10) for k in range(silent))]
    whole = quoted(rows, 10_000)
    whole.events[Field.FLAGS, 2:] = 0  # within a group: nothing is published
    assert whole.cut(9_000, 10_000).opening.tolist() == [50, 5, 70, 5]
    whole.events[Field.FLAGS, :2] = 0
    assert whole.cut(9_000, 10_000).opening.tolist() == [NONE] * 4, "what stood at the start of the whole"


def test_the_error_of_the_touch_is_a_time_mean() -> None:
    """One tick off on one side for a tenth of the time."""
    golden = quoted([(0, 5, 7)], 100)
    found = touch_error(golden, quoted([(0, 5, 7), (40, 6, 7), (50, 5, 7)], 100))
    assert found.exact == pytest.approx(0.9)
    assert found.rms_ticks == pytest.approx((0.1 / 2) ** 0.5)
    assert (found.greatest_ticks, found.compared_ns) == (1.0, 100)
    both = touch_error(golden, quoted([(0, 5, 7), (40, 6, 8), (50, 5, 7)], 100))
    assert both.rms_ticks == pytest.approx(0.1**0.5)
    assert touch_error(golden, quoted([], 100)).compared_ns == 0


@pytest.mark.parametrize(
    ("recon", "expected", "why"),
    [
        ([(0, 5, 7), (40, 6, 7), (60, 5, 7), (80, 6, 8)], 0, "equal"),
        ([(0, 5, 7), (80, 6, 8)], 20, "from 40 to 60, when golden came back"),
        ([(0, 4, 7)], 60, "wrong all the time, and behind from golden's first move on"),
        ([(0, 5, 7), (45, 6, 7), (65, 5, 7), (85, 6, 8)], 5, "late by as much"),
        ([(0, 4, 7), (40, 5, 8), (60, 4, 8), (80, 5, 9)], 0, "never equal, but never still"),
        ([], 0, "no quotes stand still"),
    ],
)
def test_how_long_a_book_stood_still_and_wrong(
    recon: list[tuple[int, int, int]], expected: int, why: str
) -> None:
    golden = quoted([(0, 5, 7), (40, 6, 7), (60, 5, 7), (80, 6, 8)], 100)
    assert longest_standstill(golden, quoted(recon, 100)) == expected, why


def test_sides_of_other_scales_or_other_windows_are_refused() -> None:
    window = quoted([(0, 5, 7)], 100)
    side = MarketSide("golden", INSTRUMENT, (window,))
    other = Instrument(exchange="X", symbol="Y", price_decimals=3)
    with pytest.raises(OptionError, match="other scales"):
        Comparison(side, MarketSide("recon", other, ()))
    with pytest.raises(OptionError, match="same windows"):
        Comparison(side, MarketSide("recon", INSTRUMENT, ()), is_paired=True)


def test_sides_of_other_scales_are_brought_to_one_exactly() -> None:
    window = quoted([(0, 5, 7)], 100)
    golden = MarketSide("golden", INSTRUMENT, (window,))
    finer = Instrument(exchange="X", symbol="Y", price_decimals=4, quantity_decimals=3, price_step=1)
    fine = replace(window, instrument=finer, best=np.array([[5000], [5], [NONE], [5]], dtype=np.int64))
    first, second = in_one_scale(golden, MarketSide("recon", finer, (fine,)))
    Comparison(first, second)
    assert first.instrument.price_step == second.instrument.price_step == 1000
    assert first.windows[0].best[:, 0].tolist() == [5000, 5, 7000, 5]
    assert second.windows[0].best[:, 0].tolist() == [5000, 5, NONE, 5]
    assert first.windows[0].quotes.ask.tolist() == [7000]
    assert in_one_scale(golden, golden)[0] is golden
    window.best[0, 0] = 2**62
    with pytest.raises(OptionError, match="does not fit"):
        in_one_scale(golden, MarketSide("recon", finer, (fine,)))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    where: Path = tmp_path_factory.mktemp("fidelity")
    lines = simulate(MarketConfig(venue="binance-spot", duration_s=21, orders_per_s=1_500, seed=11))
    write_capture(lines, where / "capture.gz")
    reconstruct(where / "capture.gz", where / "dataset", Settings())
    return open_dataset(where / "dataset")


@pytest.mark.parametrize("ends_only", [False, True])
def test_a_dataset_is_read_as_its_reading_api_tells_it(dataset: Dataset, *, ends_only: bool) -> None:
    chain = dataset.manifest.chains[0]
    symbol = chain.instrument.symbol
    whole, _ = read_whole(dataset.path, chain.instrument, ends_only=ends_only)
    every = dataset.table("events", symbol=symbol).collect()
    is_end = (every["flags"].to_numpy() & Flag.GROUP_END != 0) | (not ends_only)
    events = every.filter(is_end)
    assert 0 < len(events) <= len(every)
    assert (len(events) < len(every)) == ends_only
    assert whole.events.shape[1] == len(events)
    assert np.array_equal(whole.events[Field.MESSAGE], np.flatnonzero(is_end) + 1)
    assert whole.event_count == len(every) - np.flatnonzero(is_end)[0]
    scale = 10**chain.instrument.price_decimals

    def scaled(name: str, factor: int) -> Int64Array:
        return np.array([NONE if v is None else int(v * factor) for v in events[name]], dtype=np.int64)

    assert np.array_equal(whole.events[Field.PRICE], scaled("price", scale))
    assert np.array_equal(whole.best[2], scaled("best_ask_price", scale))
    assert np.array_equal(whole.events[Field.FLAGS], events["flags"].to_numpy())
    kinds = [Kind(kind).name for kind in whole.events[Field.KIND]]
    assert kinds == events["event_type"].to_list()
    books = dataset.table("books", symbol=symbol).collect()
    assert len(whole.samples) == len(books)
    last = books["ask_prices"][-1].to_list()
    assert whole.samples[-1, 2, : len(last)].tolist() == [int(price * scale) for price in last]
    assert whole.resolution_ns == 1_000_000


def test_a_dataset_against_itself_is_perfect_in_every_metric_that_has_a_number(dataset: Dataset) -> None:
    symbol = dataset.manifest.chains[0].instrument.symbol
    side = read_side(dataset, "golden", symbol=symbol, window_ns=5_000_000_000)
    assert len(side.windows) >= 2
    registry = standard_registry(with_plugins=False)
    measured = run_metrics(registry, Comparison(side, replace(side, name="recon"), is_paired=True))
    assert measured.findings == []
    numbers = {name: one.value for name, one in measured.results.items() if one.value is not None}
    assert len(numbers) >= 12
    for name, value in numbers.items():
        assert value == (1.0 if registry.get(name).goal is Goal.MAXIMISE else 0.0), name


def test_a_chain_without_events_is_refused(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlx_datapipe.fidelity.reading.chain_files", lambda *_: [])
    with pytest.raises(OptionError, match="no events"):
        read_whole(dataset.path, dataset.manifest.chains[0].instrument)
