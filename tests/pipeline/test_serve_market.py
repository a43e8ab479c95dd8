"""A seeded market behind the exchange: clients hold its true book, and get its messages byte for byte."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from tests.simulation.exchange.stage import everything, line_to, run
from tests.simulation.exchange.twin import Followed, follow

from rlx_datapipe.pipeline.market import write_market
from rlx_datapipe.pipeline.serve_market import market_exchange
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.lob.parameters import load_parameters
from rlx_datapipe.simulation.lob.source import market_messages

CLOSE = ExchangeOptions(at_end="close")
STEPS = {
    "binance-spot": ("/api/v3", Decimal("0.01"), Decimal("0.00001")),
    "binance-usdm": ("/fapi/v1", Decimal("0.1"), Decimal("0.001")),
}


def file_of(folder: Path, venue: str = "binance-spot") -> Path:
    path = folder / "market.toml"
    text = f"""
    venue = "{venue}"
    duration_s = 6
    [flow]
    speed = 2.0
    [truth]
    book_every_ms = 100
    book_levels = 900
    [[episodes]]
    kind = "layering"
    at_s = 2.0
    hold_ms = 1000
    """
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("venue", STEPS)
def test_a_client_holds_the_true_book_at_every_message(venue: str, tmp_path: Path) -> None:
    """What it came to hold by the published rule is in the truth, as of the same update id."""
    api, tick, lot = STEPS[venue]
    file = file_of(tmp_path, venue)
    truth = Path(write_market(file, tmp_path / "out")["truth"])
    found: list[Followed] = []

    async def test() -> None:
        async with market_exchange(file, CLOSE) as exchange:
            found.append(await follow(exchange.url, api, "BTCUSDT"))

    run(test)
    true = {row["update_id"]: row for row in pl.read_parquet(truth / "books.parquet").iter_rows(named=True)}
    both = found[0].books.keys() & true.keys()
    assert len(both) > 30
    for update_id in both:
        book, row = found[0].books[update_id], true[update_id]
        for side, name in (("b", "bid"), ("a", "ask")):
            told = zip(row[f"{name}_ticks"], row[f"{name}_lots"], strict=True)
            expected = {price * tick: lots * lot for price, lots in told}
            best = sorted(book[side].items(), reverse=side == "b")[: len(expected)]
            assert dict(best) == expected


def test_every_stream_comes_byte_for_byte(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    streams = ["depth@100ms", "trade", "aggTrade", "bookTicker"]
    got: list[list[bytes]] = []

    async def test() -> None:
        async with market_exchange(file, ExchangeOptions(at_end="close", wait_for=len(streams))) as exchange:

            async def client(stream: str) -> list[bytes]:
                async with line_to(exchange, f"/ws/btcusdt@{stream}") as line:
                    return await everything(line)

            got.extend(await asyncio.gather(*map(client, streams)))

    run(test)
    messages = [one for batch in market_messages(load_parameters(file)) for one in batch]
    for stream, told in zip(streams, got, strict=True):
        assert told == [one.data for one in messages if one.stream == f"btcusdt@{stream}"]
        assert len(told) > 30
