"""Every line of the real Binance recordings is read, counted, and held exactly."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from rlx_datapipe.core.event import Field, Kind, Quote
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.units import to_decimal
from rlx_datapipe.ingestion.lines import head_frames, read_frames
from rlx_datapipe.venues.binance import MARKETS, parse, probe, recognise

pytestmark = pytest.mark.recordings

SETS = {
    # Set: market, symbol, lines and depth events; the totals stand in the recordings' README.
    "binance_spot/btcusdt_2024080*.gz": ("binance-spot", "BTCUSDT", 99_574, 6_495),
    "binance_spot/ethusdt_2024080*.gz": ("binance-spot", "ETHUSDT", 79_744, 6_470),
    "binance_usdm/btcusdt_20240808.gz": ("binance-usdm", "BTCUSDT", 93_954, 6_551),
    "binance_usdm/ethusdt_20240808.gz": ("binance-usdm", "ETHUSDT", 74_655, 6_586),
    "binance_usdm/btcusdt_202407*.gz": ("binance-usdm", "BTCUSDT", 71_984, 9_022),
    "binance_usdm/ethusdt_202407*.gz": ("binance-usdm", "ETHUSDT", 69_913, 8_929),
    "binance_usdm/btcusdt_20220811.dat": ("binance-usdm", "BTCUSDT", 1_533, 206),
    "binance_coinm/btcusd_perp_*.gz": ("binance-coinm", "BTCUSD_PERP", 98_386, 44_795),
    "binance_coinm/ethusd_perp_*.gz": ("binance-coinm", "ETHUSD_PERP", 78_314, 39_155),
}


@pytest.mark.parametrize("pattern", SETS)
def test_every_line_of_a_set_is_read(recordings: Path, pattern: str) -> None:
    format_name, symbol, lines, depth_events = SETS[pattern]
    counts: Counter[str] = Counter()
    groups = 0
    for path in sorted(recordings.glob(pattern)):
        head = head_frames(path, 1_000)[0].payloads()
        assert recognise(head) == format_name
        market = MARKETS[format_name]
        assert probe(head, market).symbols.keys() == {symbol}
        instrument = Instrument(market.exchange, symbol)
        for frames, rejects, _ in read_frames(path, 30_000):
            batch = parse(frames, path.name, instrument, market, "trade")
            assert not rejects
            assert not batch.rejects
            assert not batch.kept
            counts += batch.counts
            deltas = batch.events[Field.KIND] == Kind.BOOK_DELTA
            groups += len(set(batch.events[Field.MESSAGE, deltas].tolist()))
    assert counts.total() == lines
    assert counts["depthUpdate"] == groups == depth_events
    assert counts["snapshot"] == 1


def test_every_price_and_quantity_of_a_file_is_held_exactly(recordings: Path) -> None:
    path = recordings / "binance_spot" / "ethusdt_20240808.gz"
    expected_events, expected_quotes = _said_by(path)
    market = MARKETS["binance-spot"]
    (frames, _, _), *others = read_frames(path, 100_000)
    batch = parse(frames, path.name, Instrument(market.exchange, "ETHUSDT"), market, "trade")
    assert not others
    events = zip(batch.events[Field.PRICE].tolist(), batch.events[Field.QUANTITY].tolist(), strict=True)
    assert [(to_decimal(p, 8), to_decimal(q, 8)) for p, q in events] == expected_events
    quotes = batch.quotes[Quote.BID_PRICE : Quote.ASK_QUANTITY + 1].T.tolist()
    assert [tuple(to_decimal(value, 8) for value in quote) for quote in quotes] == expected_quotes


def _said_by(path: Path) -> tuple[list[tuple[Decimal, ...]], list[tuple[Decimal, ...]]]:
    """Prices and quantities of a recording, read the plain and slow way."""
    events: list[tuple[Decimal, ...]] = []
    quotes: list[tuple[Decimal, ...]] = []
    with gzip.open(path, "rb") as source:
        for line in source:
            frame = json.loads(line.partition(b" ")[2])
            message = frame.get("data", frame)
            if "B" in message:
                quotes.append(tuple(Decimal(message[name]) for name in "bBaA"))
            elif message.get("e") == "trade":
                events.append((Decimal(message["p"]), Decimal(message["q"])))
            else:
                bids, asks = (message.get(name[0], message.get(name)) for name in ("bids", "asks"))
                events += [(Decimal(price), Decimal(quantity)) for price, quantity in bids + asks]
    return events, quotes
