"""Recordings and datasets served: byte for byte, merged by time, and with the book that we rebuild."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.depth import deep
from tests.pipeline.captures import capture
from tests.simulation.exchange.stage import everything, line_to, run
from tests.simulation.exchange.twin import Followed, Sides, follow, within

from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.core.event import Flag
from rlx_datapipe.pipeline.book import book_at
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.serve import exchange_of
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.faults import drop_depth
from rlx_datapipe.store.dataset import Dataset, open_dataset
from rlx_datapipe.venues.binance_streams import unwrap

MARKET = MarketConfig(duration_s=4, levels=150, snapshot_levels=100, orders_per_s=800)
CLOSE = ExchangeOptions(at_end="close")
SETS = {
    "spot": ("binance_spot/btcusdt_20240808.gz", "/api/v3", "BTCUSDT", 300.0),
    "USD-M": ("binance_usdm/ethusdt_20240718.gz", "/fapi/v1", "ETHUSDT", 300.0),
    "COIN-M": ("binance_coinm/ethusd_perp_20240808.gz", "/dapi/v1", "ETHUSD_PERP", 300.0),
}
EVERY = 200
"""Of so many update groups one is compared with our book."""


def lines_of(*paths: Path) -> list[tuple[str, bytes]]:
    """Streams and messages of recordings in the order of their files."""
    found = []
    for path in paths:
        with gzip.open(path) as file:
            found += [unwrap(line.rstrip(b"\n").partition(b" ")[2]) for line in file]
    return [(stream, data) for stream, data in found if not stream.endswith("@snapshot")]


def got_by(paths: list[Path], options: ExchangeOptions, *targets: str) -> list[list[bytes]]:
    """What clients at these addresses get of a replay."""
    got: list[list[bytes]] = []

    async def test() -> None:
        async with exchange_of(paths, options) as exchange:

            async def client(target: str) -> list[bytes]:
                async with line_to(exchange, target) as line:
                    return await everything(line)

            got.extend(await asyncio.gather(*map(client, targets)))

    run(test, 120)
    return got


def enveloped(messages: list[tuple[str, bytes]]) -> list[bytes]:
    return [b'{"stream":"%b","data":%b}' % (stream.encode(), data) for stream, data in messages]


def test_several_symbols_and_days_are_merged_by_time_and_each_keeps_its_order(tmp_path: Path) -> None:
    paths = []
    for symbol, start in (("BTCUSDT", 0), ("ETHUSDT", 1), ("BTCUSDT", 8)):
        config = MarketConfig(
            symbol=symbol,
            duration_s=3,
            levels=100,
            orders_per_s=200,
            start_ns=MARKET.start_ns + start * 10**9,
        )
        paths.append(tmp_path / f"{symbol}-{start}.gz")
        capture(paths[-1], config)
    first, second, third = (lines_of(path) for path in paths)
    channels = ("depth@100ms", "trade", "bookTicker")
    streams = "/".join(f"{name}@{one}" for name in ("btcusdt", "ethusdt") for one in channels)
    [got] = got_by(paths, CLOSE, f"/stream?streams={streams}")
    bitcoin = [message for message in got if b'"btcusdt@' in message[:30]]
    assert bitcoin == enveloped(first + third)
    assert [message for message in got if b'"ethusdt@' in message[:30]] == enveloped(second)
    times = [json.loads(one)["data"]["E"] for one in got if b"depthUpdate" in one]
    assert times == sorted(times)


def test_a_capture_of_ours_is_played_without_its_own_notes(tmp_path: Path) -> None:
    start = 1_723_161_570_000_000_000
    trade = b'{"e":"trade","E":1723161570000,"s":"BTCUSDT","t":1,"p":"1.0","q":"2.0",'
    trade += b'"T":1723161570000,"m":true,"M":true}'
    file = tmp_path / "segment.jsonl"
    lines = [("!open", b'{"url":"x","streams":[]}'), ("btcusdt@trade", trade), ("!close", b'{"reason":"x"}')]
    file.write_bytes(
        b"".join(
            b'{"capture_ns":%d,"monotonic_ns":5,"connection":1,"stream":"%b","data":%b}\n'
            % (start + at, stream.encode(), data)
            for at, (stream, data) in enumerate(lines)
        )
    )
    [got] = got_by([file], CLOSE, "/ws/btcusdt@trade/!open/!close")
    assert got == [trade]


def test_only_the_symbols_that_were_named_are_played(tmp_path: Path) -> None:
    path = tmp_path / "capture.gz"
    capture(path, MARKET)
    with pytest.raises(DatapipeError, match="no such symbol"):
        exchange_of([path], symbols=["ETHUSDT"])


def test_crypto_lake_files_are_refused_with_the_way_to_play_them(recordings: Path, tmp_path: Path) -> None:
    del recordings
    dataset = tmp_path / "dataset"
    path = tmp_path / "capture.gz"
    capture(path, MARKET)
    reconstruct([path], dataset)
    from rlx_datapipe.pipeline.export import export

    export(dataset, tmp_path / "lake")
    with pytest.raises(DatapipeError, match="Reconstruct it, then replay the dataset"):
        exchange_of([tmp_path / "lake"])


def fields(message: bytes) -> dict[str, Any]:
    """A message with its numbers as decimals, which are equal however they are written."""
    told = json.loads(message)
    levels = {side: [[Decimal(p), Decimal(q)] for p, q in told[side]] for side in "ba" if "U" in told}
    numbers = {name: Decimal(told[name]) for name in ("p", "q") if name in told}
    return {**told, **levels, **numbers}


@pytest.mark.parametrize("venue", ["binance-spot", "binance-usdm"])
def test_a_dataset_is_played_as_the_messages_that_it_was_made_of(venue: str, tmp_path: Path) -> None:
    path = tmp_path / "capture.gz"
    config = MarketConfig(venue=venue, duration_s=3, levels=100, orders_per_s=300)
    capture(path, config)
    reconstruct([path], tmp_path / "dataset")
    targets = [f"/ws/btcusdt@{name}" for name in ("depth@100ms", "trade", "bookTicker")]
    options = ExchangeOptions(at_end="close", wait_for=3)
    recorded, rebuilt = got_by([path], options, *targets), got_by([tmp_path / "dataset"], options, *targets)
    for kind, (true, got) in enumerate(zip(recorded, rebuilt, strict=True)):
        assert len(true) == len(got) > 10
        for before, after in zip(map(fields, true), map(fields, got), strict=True):
            if kind == 0:
                # Levels are a set; U of the first, and of futures every U, are not stored; E is T.
                assert {side: sorted(before[side]) for side in "ba"} == {s: sorted(after[s]) for s in "ba"}
                assert (before["u"], before["s"]) == (after["u"], after["s"])
            elif kind == 1:
                assert [before[name] for name in "tpqTms"] == [after[name] for name in "tpqTms"]
            else:
                assert {n: Decimal(before[n]) for n in "ubBaA"} == {n: Decimal(after[n]) for n in "ubBaA"}


def test_a_gap_of_a_dataset_is_a_gap_when_it_is_played(tmp_path: Path) -> None:
    path = tmp_path / "capture.gz"
    capture(path, MARKET, lambda lines: drop_depth(lines, k=20))
    reconstruct([path], tmp_path / "dataset")
    [got] = got_by([tmp_path / "dataset"], CLOSE, "/ws/btcusdt@depth@100ms")
    updates = [json.loads(message) for message in got]
    broken = [at for at in range(1, len(updates)) if updates[at]["U"] != updates[at - 1]["u"] + 1]
    assert broken == [20]


@pytest.fixture(scope="module")
def ours(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Dataset]]:
    """A recording and the dataset that we make of it, each made once."""
    made: dict[str, tuple[Path, Dataset]] = {}

    def make(name: str) -> tuple[Path, Dataset]:
        if name not in made:
            path = recordings / SETS[name][0]
            folder = tmp_path_factory.mktemp("served") / "dataset"
            reconstruct([path], folder)
            made[name] = path, open_dataset(folder)
        return made[name]

    return make


def our_books(dataset: Dataset, update_ids: list[int]) -> dict[int, Sides]:
    """Our book after each of these update ids."""
    frame = dataset.events.filter(
        pl.col("update_id").is_in(update_ids),
        pl.col("event_type") == "BOOK_DELTA",
        (pl.col("flags") & int(Flag.GROUP_END)) > 0,
    )
    events = frame.select("update_id", "event_id").collect()
    books = {}
    for update_id, event in events.iter_rows():
        state = book_at(dataset, event=event)
        assert state.is_valid
        books[update_id] = {"b": dict(state.bids), "a": dict(state.asks)}
    return books


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("name", "snapshots"),
    [("spot", "book"), ("spot", "recorded"), ("USD-M", "book"), pytest.param("COIN-M", "book", marks=deep)],
)
def test_a_client_by_the_published_rule_holds_our_book(
    name: str, snapshots: Any, ours: Callable[[str], tuple[Path, Dataset]]
) -> None:
    path, dataset = ours(name)
    _, api, symbol, speed = SETS[name]
    options = ExchangeOptions(at_end="close", speed=speed, snapshots=snapshots)
    followed = Followed()
    seen = 0

    def keep(_: int) -> bool:
        nonlocal seen
        seen += 1
        return seen % EVERY == 1

    async def test() -> None:
        nonlocal followed
        async with exchange_of([path], options) as exchange:
            followed = await follow(exchange.url, api, symbol, keep=keep)

    run(test, 120)
    books = our_books(dataset, list(followed.books))
    assert len(books) == len(followed.books) > 10
    for update_id, book in followed.books.items():
        assert within(book, followed.snapshot) == within(books[update_id], followed.snapshot), update_id


@pytest.mark.recordings
@pytest.mark.parametrize("name", SETS)
def test_every_message_of_a_recording_comes_once_byte_for_byte(
    name: str, ours: Callable[[str], tuple[Path, Dataset]]
) -> None:
    path, _ = ours(name)
    recorded = lines_of(path)
    streams = "/".join(dict.fromkeys(stream for stream, _ in recorded))
    [got] = got_by([path], CLOSE, f"/stream?streams={streams}")
    assert got == enveloped(recorded)
