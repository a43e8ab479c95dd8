"""Acceptance on real recordings: no gaps, nothing changed, the same book by two roads."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from heapq import nlargest, nsmallest
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.depth import deep
from tests.pipeline.plain_reading import Book, Ladder, PlainReplay, best, events_of, kind_of, messages

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Flag
from rlx_datapipe.pipeline.book import book_at
from rlx_datapipe.pipeline.export import export
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.store.dataset import Dataset, open_dataset

pytestmark = pytest.mark.recordings

SETS = {
    "spot BTC": ("binance_spot/btcusdt_*.gz", 2, 6_495, 6_493),
    "spot ETH": ("binance_spot/ethusdt_*.gz", 2, 6_470, 6_468),
    "USD-M BTC, 2024-08": ("binance_usdm/btcusdt_20240808.gz", 1, 6_551, 6_547),
    "USD-M ETH, 2024-08": ("binance_usdm/ethusdt_20240808.gz", 1, 6_586, 6_581),
    "USD-M BTC, 2024-07": ("binance_usdm/btcusdt_202407*.gz", 2, 9_022, 9_017),
    "USD-M ETH, 2024-07": ("binance_usdm/ethusdt_202407*.gz", 2, 8_929, 8_924),
    "COIN-M BTC": ("binance_coinm/btcusd_perp_*.gz", 2, 44_795, 44_772),
    "COIN-M ETH": ("binance_coinm/ethusd_perp_*.gz", 2, 39_155, 39_133),
}
"""Files, their number, depth events, and those applied, as the recordings' own README counts them."""
EVERY_GROUP = Settings(books_every_ms=0)

Made = tuple[dict[str, Any], Dataset]


@pytest.fixture(scope="session")
def made(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Summary and dataset of one of the sets, each made once; ``books`` after every update group."""
    done: dict[str, Made] = {}

    def make(name: str) -> Made:
        if name not in done:
            folder = tmp_path_factory.mktemp("recorded") / "dataset"
            summary = reconstruct(files(recordings, name), folder, EVERY_GROUP)
            done[name] = (summary, open_dataset(folder))
        return done[name]

    return make


def files(recordings: Path, name: str) -> list[Path]:
    pattern, count, *_ = SETS[name]
    found = sorted(recordings.glob(pattern))
    assert len(found) == count
    return found


@pytest.mark.parametrize(
    "name",
    [name if name in ("spot BTC", "USD-M BTC, 2024-07") else pytest.param(name, marks=deep) for name in SETS],
)
def test_a_recording_has_no_gap_no_cross_and_nothing_unread(
    name: str, made: Callable[[str], Made], recordings: Path
) -> None:
    _, _, depth, applied = SETS[name]
    summary, dataset = made(name)
    chain = summary["chains"][0]
    told = {key: chain[key] for key in ("gaps", "crossed", "locked", "quarantined", "late", "duplicates")}
    assert told == dict.fromkeys(told, 0)
    assert chain["messages"]["depthUpdate"] == depth
    groups = dataset.events.filter(
        pl.col("event_type") == "BOOK_DELTA", (pl.col("flags") & Flag.GROUP_END) != 0
    ).select("update_id", ((pl.col("flags") & Flag.NOT_APPLIED) == 0).alias("applied"))
    counted = groups.collect()
    assert counted.height == depth
    assert counted["applied"].sum() == applied
    assert counted["update_id"].is_unique().all()
    events = dataset.events.select("event_id", "flags", "origin_time").collect()
    assert events["event_id"].to_list() == list(range(summary["events"]))
    assert ((events["flags"] & (Flag.CROSSED | Flag.LOCKED | Flag.LATE)) == 0).all()
    assert events["origin_time"].is_sorted()
    # Every frame is accounted for.
    lines = sum(1 for _ in _lines(files(recordings, name)))
    assert sum(chain["messages"].values()) == lines


def test_a_short_recording_with_microseconds_is_read(recordings: Path, tmp_path: Path) -> None:
    source = recordings / "binance_usdm/btcusdt_20220811.dat"
    summary = reconstruct(source, tmp_path / "dataset")
    with source.open() as lines:
        assert sum(summary["chains"][0]["messages"].values()) == sum(1 for _ in lines) == 1_533
    assert (summary["quarantined"], summary["crossed"]) == (0, 0)


@pytest.mark.parametrize("name", ["spot BTC", pytest.param("spot ETH", marks=deep)])
def test_every_price_and_quantity_is_found_again(
    name: str, made: Callable[[str], Made], recordings: Path
) -> None:
    """Read by gzip, json and Decimal alone; equal as multisets keyed by update id or trade id."""
    levels: Counter[tuple[Any, ...]] = Counter()
    trades: Counter[tuple[Any, ...]] = Counter()
    quotes: Counter[tuple[Any, ...]] = Counter()
    strings = 0
    for received, body in messages(files(recordings, name)):
        kind = kind_of(body)
        if kind in ("depthUpdate", "snapshot"):
            is_delta = kind == "depthUpdate"
            key = ("BOOK_DELTA", body["u"]) if is_delta else ("BOOK_SNAPSHOT", body["lastUpdateId"])
            for side, field in (("bid", "b"), ("ask", "a")):
                for price, quantity in body[field if is_delta else f"{side}s"]:
                    levels[*key, received, side, Decimal(price), Decimal(quantity)] += 1
                    strings += 2
        elif kind == "trade":
            side = "sell" if body["m"] else "buy"
            trades[body["t"], received, side, Decimal(body["p"]), Decimal(body["q"])] += 1
            strings += 2
        else:
            assert kind == "bookTicker"
            quotes[body["u"], received, *(Decimal(body[field]) for field in "bBaA")] += 1
            strings += 4
    _, dataset = made(name)
    columns = ("received_time", "side", "price", "quantity")
    events = dataset.events.with_columns(pl.col("received_time").dt.epoch("ns"))
    is_trade = pl.col("event_type") == "TRADE"
    found_levels = rows(events.filter(~is_trade).select("event_type", "update_id", *columns))
    found_trades = rows(events.filter(is_trade).select("trade_id", *columns))
    best_quotes = ("bid_price", "bid_quantity", "ask_price", "ask_quantity")
    found_quotes = rows(
        dataset.quotes.select("update_id", pl.col("received_time").dt.epoch("ns"), *best_quotes)
    )
    for expected, found in ((levels, found_levels), (trades, found_trades), (quotes, found_quotes)):
        assert expected.total() > 0
        assert expected == found
    assert strings == 2 * found_levels.total() + 2 * found_trades.total() + 4 * found_quotes.total()
    # The same count by another way: every string of digits that stands where a price or quantity stands.
    assert strings == sum(map(_count_strings, _lines(files(recordings, name))))


def rows(frame: pl.LazyFrame) -> Counter[tuple[Any, ...]]:
    return Counter(frame.collect().iter_rows())


def _lines(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        with gzip.open(path, "rt") as lines:
            yield from lines


def _count_strings(line: str) -> int:
    """JSON strings that are decimal numbers, whatever their place."""
    count = 0

    def walk(value: Any) -> None:
        nonlocal count
        if isinstance(value, str):
            count += value.replace(".", "", 1).isdigit()
        elif isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                walk(inner)

    walk(json.loads(line.partition(" ")[2]))
    return count


@pytest.mark.parametrize("name", ["spot BTC", pytest.param("USD-M ETH, 2024-07", marks=deep)])
def test_every_event_and_its_best_prices_are_those_of_a_plain_replay(
    name: str, made: Callable[[str], Made], recordings: Path
) -> None:
    expected = events_of(files(recordings, name))
    _, dataset = made(name)
    table = dataset.events.with_columns(pl.col("origin_time", "received_time").dt.epoch("ns")).collect()
    assert table.height == len(expected)
    for row, kind, time, received, update, trade, side, price, quantity in zip(
        expected,
        *(table[c] for c in ("event_type", "origin_time", "received_time", "update_id", "trade_id")),
        *(table[c] for c in ("side", "price", "quantity")),
        strict=True,
    ):
        assert (row.kind, row.time, row.received, row.side) == (kind, time, received, side)
        assert (row.price, row.quantity) == (price, quantity)
        assert (row.update, row.trade) == (-1 if update is None else update, -1 if trade is None else trade)
    replay = PlainReplay(expected)
    names = ("best_bid_price", "best_bid_quantity", "best_ask_price", "best_ask_quantity")
    told = table.select(*names, (pl.col("flags") & Flag.BOOK_INVALID) == 0).iter_rows()
    last, now = 0, best(replay.state)
    for (_, state), row_told in zip(replay.states(), told, strict=True):
        if replay.changes != last:
            last, now = replay.changes, best(state)
        assert row_told == (*now, state.valid)
    assert replay.applied == SETS[name][3]


@pytest.mark.parametrize("name", ["spot BTC", pytest.param("spot ETH", marks=deep)])
def test_a_book_by_way_of_crypto_lake_is_the_same_at_every_update(
    name: str, made: Callable[[str], Made], tmp_path: Path
) -> None:
    _, direct = made(name)
    told = export(direct.path, tmp_path / "lake")
    assert told["chains"][0]["rows"]["book"] == SETS[name][3]
    summary = reconstruct(tmp_path / "lake", tmp_path / "dataset", EVERY_GROUP)
    assert {key: summary[key] for key in ("gaps", "crossed", "quarantined")} == {
        "gaps": 0,
        "crossed": 0,
        "quarantined": 0,
    }
    derived = open_dataset(tmp_path / "dataset")
    # The archive has no book before the first update: from that on it has one.
    ours, theirs = best_by_update(direct).slice(1), best_by_update(derived)
    assert ours.height == SETS[name][3] - 1
    assert ours.equals(theirs)
    expected, found = top_by_update(direct), dict(replayed_top(derived))
    assert len(expected) == SETS[name][3]
    assert expected == found
    # In full depth too, as far as the twenty levels of the archive let it be known.
    updates, compared = theirs["update_id"].to_list(), 0
    for update in updates[:: len(updates) // 12]:
        left, right = (book_at(dataset, event=last_event(dataset, update)) for dataset in (direct, derived))
        low, high = right.known_low_price, right.known_high_price
        assert low is not None
        assert high is not None
        expected_bids, bids = ([level for level in s.bids if level[0] >= low] for s in (left, right))
        expected_asks, asks = ([level for level in s.asks if level[0] <= high] for s in (left, right))
        assert (expected_bids, expected_asks) == (bids, asks)
        compared += len(bids) + len(asks)
    assert compared > 12 * 2 * 20


def last_event(dataset: Dataset, update: int) -> int:
    """The last event at an update id: of the archive that is its book row, where there is one."""
    wanted = dataset.events.filter(pl.col("update_id") == update, (pl.col("flags") & Flag.GROUP_END) != 0)
    return int(wanted.select(pl.col("event_id").max()).collect().item())


def best_by_update(dataset: Dataset) -> pl.DataFrame:
    """The best prices told with the last row of each applied delta group, by update id."""
    ends = dataset.events.filter(
        pl.col("event_type") == "BOOK_DELTA",
        (pl.col("flags") & (Flag.GROUP_END | Flag.NOT_APPLIED)) == Flag.GROUP_END,
    )
    names = ("best_bid_price", "best_bid_quantity", "best_ask_price", "best_ask_quantity")
    return ends.select("update_id", *names).sort("update_id").collect()


def top_by_update(dataset: Dataset) -> dict[int, tuple[Ladder, Ladder]]:
    """Top 20 after each applied delta group, from ``books``."""
    events = dataset.events.select("event_id", pl.col("update_id").forward_fill())
    ladders = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")
    tops = dataset.books.join(events, on="event_id").select("update_id", *ladders).collect()
    return {
        update: (list(zip(bids, bid_sizes, strict=True)), list(zip(asks, ask_sizes, strict=True)))
        for update, bids, bid_sizes, asks, ask_sizes in tops.iter_rows()
    }


def replayed_top(dataset: Dataset) -> Iterator[tuple[int, tuple[Ladder, Ladder]]]:
    """Top 20 at each update id by applying the rows of ``events`` to dictionaries.

    A snapshot states its side whole from the best level to its last one.
    """
    book: Book = ({}, {})
    columns = ("event_type", "update_id", "side", "price", "quantity", "flags")
    rows = dataset.events.filter(pl.col("update_id").is_not_null()).select(columns).collect().iter_rows()
    for update, group in groupby(rows, key=itemgetter(1)):
        levels = [row for row in group if not row[5] & Flag.NOT_APPLIED]
        for side, name in enumerate(("bid", "ask")):
            stated = {row[3]: row[4] for row in levels if row[0] == "BOOK_SNAPSHOT" and row[2] == name}
            deltas = {row[3]: row[4] for row in levels if row[0] == "BOOK_DELTA" and row[2] == name}
            book[side].update(deltas)
            if stated:
                last = min(stated) if name == "bid" else max(stated)
                beyond = {p: q for p, q in book[side].items() if (p < last if name == "bid" else p > last)}
                book[side].clear()
                book[side].update(stated | beyond)
            for price in [price for price, quantity in book[side].items() if not quantity]:
                del book[side][price]
        if levels:
            yield update, (nlargest(20, book[0].items()), nsmallest(20, book[1].items()))
