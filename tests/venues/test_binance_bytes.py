"""The fast parser gives what the general one gives, or refuses: usual, unusual, damaged and real messages."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as depth_of
from hypothesis import strategies as st
from tests.depth import deep

from rlx_datapipe.core.compiled import config
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import FIELDS, Field, Kind, Quote
from rlx_datapipe.core.feed import AHEAD_BYTES, Frames, Parsed
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.ingestion.lines import read_frames
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.venues import binance, binance_bytes, binance_kernel
from rlx_datapipe.venues.binance_bytes import Usual, read_usual
from rlx_datapipe.venues.binance_numbers import read_whole
from rlx_datapipe.venues.binance_shapes import Programs, programs

EXAMPLES = int(os.environ.get("RLX_VENUES_EXAMPLES", "300"))
EVERY = 7 if config.DISABLE_JIT else 1
"""Which bytes are tried one by one: plain Python takes its time."""
T_MS = 1_723_161_255_208
T_NS = T_MS * 1_000_000
BTC = Instrument("BINANCE", "BTCUSDT", price_decimals=4, quantity_decimals=5)
PERP = Instrument("BINANCE_DELIVERY", "BTCUSD_PERP", price_decimals=4, quantity_decimals=5)

SPOT = """
{"u":8,"s":"BTCUSDT",<best>}
{"u":8,"s":"BTCUSDT","b":"0.00","B":"0.0","a":"62","A":"0.25"}
{"e":"trade","E":<ms>,"s":"BTCUSDT","t":9,"p":"100.5","q":"0.02","T":<ms>,"m":true,"M":true}
{"e":"trade","E":1,"s":"BTCUSDT","t":9,"p":"1","q":"2","b":3,"a":4,"T":<ms>,"m":false,"M":false}
{"e":"aggTrade","E":1,"s":"BTCUSDT","a":3,"p":"1.5","q":"2","f":8,"l":9,"T":<ms>000,"m":true,"M":true}
{"e":"depthUpdate","E":<ms>,"s":"BTCUSDT","U":5,"u":7,"b":<levels>,"a":[]}
{"e":"depthUpdate","E":<ms>,"s":"BTCUSDT","U":7,"u":7,"b":[],"a":[]}
{"lastUpdateId":6,"bids":[["61.5","1"]],"asks":[["62","2"],["63","3"]]}
"""
FUTURES = """
{"e":"bookTicker","u":8,"s":"BTCUSDT",<best>,"T":<ms>,"E":<ms>}
{"e":"trade","E":1,"T":<ms>,"s":"BTCUSDT","t":9,"p":"1","q":"2","X":"MARKET","m":true}
{"e":"aggTrade","E":1,"a":3,"s":"BTCUSDT","p":"1","q":"2","f":8,"l":9,"T":<ms>,"m":false}
{"e":"depthUpdate","E":1,"T":<ms>,"s":"BTCUSDT","U":5,"u":7,"pu":4,"b":[],"a":<levels>}
{"lastUpdateId":6,"E":1,"T":<ms>,"bids":[["61.5","1"]],"asks":[]}
"""
COINM = """
{"u":8,"e":"bookTicker","s":"BTCUSD_PERP","ps":"BTCUSD",<best>,"T":<ms>,"E":<ms>}
{"e":"depthUpdate","E":1,"T":<ms>,"s":"BTCUSD_PERP","ps":"BTCUSD","U":5,"u":7,"pu":4,"b":<levels>,"a":[]}
{"lastUpdateId":6,"E":1,"T":<ms>,"symbol":"BTCUSD_PERP","pair":"BTCUSD","bids":[],"asks":[["62","2"]]}
"""
FILLED = {
    "<ms>": str(T_MS),
    "<levels>": '[["61.50","1.50000"],["60","0.000"]]',
    "<best>": '"b":"61.50","B":"1.5","a":"62","A":"0.25"',
}
STREAMS = {"trade": "trade", "aggTrade": "aggTrade", "depthUpdate": "depth@100ms", "bookTicker": "bookTicker"}
Market = tuple[binance.Market, Instrument, list[bytes]]


def spelled(texts: str, symbol: str) -> list[bytes]:
    """Each message by itself and, where a stream carries it, in a combined frame."""
    for name, text in FILLED.items():
        texts = texts.replace(name, text)
    bodies, framed = texts.split(), []
    for body in bodies:
        message = json.loads(body)
        kind = message.get("e", "bookTicker" if "B" in message else "")
        if kind:
            framed.append(f'{{"stream":"{symbol}@{STREAMS[kind]}","data":{body}}}')
    return [text.encode() for text in (*bodies, *framed)]


MARKETS: list[Market] = [
    (binance.MARKETS["binance-spot"], BTC, spelled(SPOT, "btcusdt")),
    (binance.MARKETS["binance-usdm"], BTC, spelled(FUTURES, "btcusdt")),
    (binance.MARKETS["binance-coinm"], PERP, spelled(COINM, "btcusd_perp")),
]


def frames_of(payloads: Sequence[bytes]) -> Frames:
    count = len(payloads)
    return Frames.of(range(10, 10 + count), range(T_NS, T_NS + count), payloads)


def refuse_all(frames: Frames, *_: Any) -> Usual:
    """A fast parser that leaves everything to the general one."""
    nothing = Parsed()
    return Usual(nothing.events, nothing.quotes, np.arange(len(frames)), nothing.counts)


def told(parsed: Parsed) -> tuple[object, ...]:
    counts = list(parsed.counts.items())
    return parsed.events.tolist(), parsed.quotes.tolist(), parsed.rejects, parsed.kept, counts


def differs(frames: Frames, instrument: Instrument, market: binance.Market, trades: str = "trade") -> str:
    """Where the parser as it is and the general one alone do not give the same; empty if nowhere."""
    both = binance.parse(frames, "file", instrument, market, trades)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binance, "read_usual", refuse_all)
        general = binance.parse(frames, "file", instrument, market, trades)
    names = ("events", "quotes", "rejects", "kept", "counts")
    pairs = zip(names, told(both), told(general), strict=True)
    return ", ".join(name for name, left, right in pairs if left != right)


def accepted(payloads: Sequence[bytes], market: binance.Market, instrument: Instrument) -> list[bool]:
    usual = read_usual(frames_of(payloads), instrument, market.rule.link, "aggTrade")
    return [index not in usual.refused for index in range(len(payloads))]


class TestUsual:
    @pytest.mark.parametrize("market", MARKETS, ids=lambda market: market[0].format)
    def test_each_shape_is_read_by_the_fast_parser_alone(self, market: Market) -> None:
        venue, instrument, payloads = market
        assert all(accepted(payloads, venue, instrument))

    @pytest.mark.parametrize("of_futures", [False, True])
    def test_every_shape_has_its_message_and_every_message_one_shape(
        self, of_futures: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        markets = MARKETS[1:] if of_futures else MARKETS[:1]
        steps, firsts, kinds = programs(markets[0][0].rule.link)
        fitting = []
        for number in range(len(firsts)):
            alone = Programs(steps, firsts[number : number + 1], kinds[number : number + 1])
            monkeypatch.setattr(binance_bytes, "programs", lambda _, alone=alone: alone)
            fitting.append(
                [fits for market, symbol, some in markets for fits in accepted(some, market, symbol)]
            )
        assert all(map(any, fitting)), "each shape fits some message"
        assert set(map(sum, zip(*fitting, strict=True))) == {1}, "each message fits one shape"

    @pytest.mark.parametrize("stream", ["depth", "depth@0ms", "depth@250ms", "depth@1000ms"])
    def test_the_speed_of_a_stream_does_not_matter(self, stream: str) -> None:
        for venue, instrument, payloads in MARKETS:
            some = [p.replace(b"depth@100ms", stream.encode()) for p in payloads if b"depth@100ms" in p]
            assert some
            assert all(accepted(some, venue, instrument))
            assert not differs(frames_of(some), instrument, venue)

    @pytest.mark.parametrize("market", MARKETS, ids=lambda market: market[0].format)
    @pytest.mark.parametrize("trades", ["trade", "aggTrade"])
    def test_it_gives_what_the_general_parser_gives(self, market: Market, trades: str) -> None:
        venue, instrument, payloads = market
        assert not differs(frames_of(payloads * 2), instrument, venue, trades)

    def test_both_parsers_share_a_batch_in_order_of_arrival(self) -> None:
        venue, instrument, usual = MARKETS[0]
        odd = [payload.replace(b":", b": ") for payload in usual] + [b"", b"{}", b'{"e":"kline"}', b"x"]
        payloads = [payload for pair in zip(usual, odd, strict=False) for payload in pair] + odd
        assert set(accepted(payloads, venue, instrument)) == {True, False}
        assert not differs(frames_of(payloads), instrument, venue)
        parsed = binance.parse(frames_of(payloads), "file", instrument, venue, "trade")
        for rows in (parsed.events[Field.MESSAGE], parsed.quotes[Quote.MESSAGE]):
            assert (np.diff(rows) >= 0).all()

    def test_a_batch_of_nothing_is_nothing(self) -> None:
        usual = read_usual(Frames(), BTC, MARKETS[0][0].rule.link, "aggTrade")
        assert usual.events.shape == (FIELDS, 0)
        assert not usual.counts

    def test_a_message_does_not_go_on_in_the_next_one(self) -> None:
        venue, instrument, payloads = MARKETS[0]
        halves = [part for payload in payloads for part in (payload[:40], payload[40:])]
        assert not any(accepted(halves, venue, instrument))
        assert not differs(frames_of(halves), instrument, venue)

    def test_nothing_is_read_behind_the_last_message(self) -> None:
        venue, instrument, payloads = MARKETS[0]
        frames = frames_of(payloads)
        # Without the room behind, no message may be touched: the kernel would read beyond the array.
        frames.data = frames.data[: frames.stops[-1]].copy()
        usual = read_usual(frames, instrument, venue.rule.link, "aggTrade")
        assert len(payloads) - 1 in usual.refused
        assert not differs(frames, instrument, venue)

    @pytest.mark.parametrize("market", MARKETS, ids=lambda market: market[0].format)
    @pytest.mark.parametrize("behind", [b"0", b"9", b"a", b"@", b'["1","1"],', b"0.000000000"])
    def test_a_message_cut_short_leads_no_further_than_the_room_behind(
        self, market: Market, behind: bytes
    ) -> None:
        """Run with bounds checked, too: what comes behind the message looks as if it went on."""
        venue, instrument, payloads = market
        for payload in payloads:
            for stop in range(len(payload)):
                block = payload[:stop] + (behind * AHEAD_BYTES)[:AHEAD_BYTES]
                data = np.frombuffer(bytearray(block), dtype=np.uint8)
                one = np.array([[10], [T_NS], [0], [stop]])
                usual = read_usual(Frames(data, *one), instrument, venue.rule.link, "aggTrade")
                assert usual.refused.tolist() == [0]

    @pytest.mark.parametrize("symbol", ["btcusdt", "BTC-USDT", "BTC/USDT"])
    def test_the_spelling_of_the_symbol_does_not_matter(self, symbol: str) -> None:
        venue, _, payloads = MARKETS[0]
        assert all(accepted(payloads, venue, Instrument("BINANCE", symbol, 4, 5)))

    @pytest.mark.parametrize("symbol", ["ETHUSDT", "BTCUSD", "BTCUSDTT", "\u017fBTC", 'BTC"', "-", ""])
    def test_another_symbol_is_refused(self, symbol: str) -> None:
        venue, _, payloads = MARKETS[0]
        named = [payload for payload in payloads if b"BTC" in payload]
        assert not any(accepted(named, venue, Instrument("BINANCE", symbol, 4, 5)))
        assert not differs(frames_of(payloads), Instrument("BINANCE", symbol, 4, 5), venue)


TRADE = '{"e":"trade","E":%s,"s":"BTCUSDT","t":%s,"p":%s,"q":%s,"T":%s,"m":%s,"M":true}'
DEPTH = '{"e":"depthUpdate","E":%d,"s":"BTCUSDT","U":%s,"u":%s,"b":%s,"a":%s}'
BORDERS_MS = (1_483_228_800_000, 4_102_444_800_000)
NUMBERS = [
    *("0", "1", "00", "01", "10", "007", "-1", "-0", "+1", "1.0", "1.", ".5", "1.5", "1.50000", "1.50001"),
    *("1.500001", "1.5000000", "1.5000001", "0.0", "00.10", "0.00000", "0.000001", "1..5", "1.5.5", "1,5"),
    *("1e5", "1E5", "1_0", "0x1", "NaN", "Infinity", "null", "true", '""', '" 1"', '"1 "', '"1"', "[]", "{}"),
    *('"\\u0031"', '"1\\n"', "1." + "0" * 31, "1." + "0" * 32, "1." + "0" * 33, "1." + "0" * 32 + "1"),
    *("92233720368547.75807", "92233720368547.75808", "9999999999999.99999", "99999999999999.99999"),
    *("9223372036854775807", "9223372036854775808", "999999999999999999", "1000000000000000000"),
    *("18446744073709551617", "123456789012345678901234567890", "12345678", "123456789", "1234567.1234567"),
    *("12345678.12345678", "123456789.123456789", "1234567890123456.1", "1.1234567890123456", "\u0661"),
]


class TestNumbers:
    @pytest.mark.parametrize("decimals", [0, 4, 8, 17, 18])
    @pytest.mark.parametrize("number", NUMBERS)
    def test_any_spelling_is_read_as_by_the_general_parser(self, number: str, decimals: int) -> None:
        quoted = number if number.startswith(('"', "[", "{")) else f'"{number}"'
        texts = [
            TRADE % (number, "1", '"1"', '"1"', T_MS, "true"),
            TRADE % ("1", number, '"1"', '"1"', T_MS, "true"),
            TRADE % ("1", "1", quoted, '"1"', T_MS, "true"),
            TRADE % ("1", "1", '"1"', quoted, T_MS, "true"),
            TRADE % ("1", "1", number, number, T_MS, "true"),
            TRADE % ("1", "1", '"1"', '"1"', number, "true"),
            TRADE % ("1", "1", '"1"', '"1"', T_MS, number),
            DEPTH % (T_MS, number, "7", "[]", "[]"),
            DEPTH % (T_MS, "1", number, "[]", "[]"),
            DEPTH % (T_MS, "1", "1", f'[["1","1"],[{quoted},"1"]]', "[]"),
            DEPTH % (T_MS, "1", "1", "[]", f'[["1",{quoted}],["2","1"]]'),
            f'{{"u":8,"s":"BTCUSDT","b":{quoted},"B":"1","a":"1","A":{quoted}}}',
            f'{{"u":8,"s":"BTCUSDT","b":{quoted},"B":{quoted},"a":"1","A":"1"}}',
            f'{{"lastUpdateId":6,"bids":[["1",{quoted}]],"asks":[]}}',
        ]
        frames = frames_of([text.encode() for text in texts])
        instrument = Instrument("BINANCE", "BTCUSDT", decimals, decimals)
        assert not differs(frames, instrument, MARKETS[0][0])

    @pytest.mark.parametrize("digits", range(14, 24))
    @pytest.mark.parametrize("decimals", [0, 2, 8])
    def test_numbers_of_about_the_largest_size(self, digits: int, decimals: int) -> None:
        texts = [
            TRADE % ("1", number, f'"{number}"', f'"{number[:-2]}.{number[-2:]}"', T_MS, "true")
            for number in ("9" * digits, "1" + "0" * (digits - 1), "9223372036854775807"[:digits])
        ]
        frames = frames_of([text.encode() for text in texts])
        assert not differs(frames, Instrument("BINANCE", "BTCUSDT", decimals, decimals), MARKETS[0][0])

    @pytest.mark.parametrize(
        "time",
        [0, T_MS // 1000, T_NS]
        + [border * scale + step for border in BORDERS_MS for scale in (1, 1000) for step in (-1, 0)],
    )
    def test_times_at_the_borders(self, time: int) -> None:
        texts = [TRADE % ("1", "1", '"1"', '"1"', time, "true"), DEPTH % (time, "1", "1", "[]", "[]")]
        assert not differs(frames_of([text.encode() for text in texts]), BTC, MARKETS[0][0])

    @pytest.mark.parametrize("decimals", [0, 3, 9, 18])
    def test_more_decimals_than_the_scale_are_fine_as_long_as_they_are_zeros(self, decimals: int) -> None:
        payload = (TRADE % ("1", "1", '"7.%s"' % ("0" * 30), '"7"', T_MS, "true")).encode()
        instrument = Instrument("BINANCE", "BTCUSDT", decimals, 3)
        assert accepted([payload], MARKETS[0][0], instrument) == [decimals < 18]
        assert not differs(frames_of([payload]), instrument, MARKETS[0][0])


class TestUnusual:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (":", ": "),
            (",", ", "),
            ("}", " }"),
            ("BTCUSDT", "BTC\\u0055SDT"),
            ("BTCUSDT", "ETHUSDT"),
            ("BTCUSDT", "BTCUSDTX"),
            ("BTCUSDT", ""),
            ("@depth@100ms", "@depth5@100ms"),
            ("@depth@100ms", "@depth20"),
            ("@depth@100ms", "@rpiDepth@500ms"),
            ("@depth@100ms", "@depth@"),
            ("@depth@100ms", "@depth@snapshot"),
            ("@depth@100ms", "@depth@100s"),
            ("@depth@100ms", "@depth@1000000ms"),
            ("@depth@100ms", "@trade"),
            ("@trade", "@depth"),
            ("@trade", "@aggTrade"),
            ("btcusdt@", "btcusdt"),
            ("btcusdt@", "ethusdt@"),
            ("btcusdt@", "@"),
            ("btcusdt@", ""),
            ("true", "TRUE"),
            ("true", "1"),
            ("true", '"true"'),
            ("false", "falsy"),
            ('"u":7', '"u":4'),
            ('"u":7', '"u":7,"u":8'),
            ('"u":7', '"u":7,"pu":6'),
            ('"u":7,', ""),
            ('"pu":4,', ""),
            ('"pu":4,', '"pu":4,"x":[1],'),
            ('"X":"MARKET"', '"X":"ADL"'),
            ('"X":"MARKET"', '"X":"NA"'),
            ('"X":"MARKET",', ""),
            ('"ps":"BTCUSD",', ""),
            ('"ps":"BTCUSD"', '"ps":""'),
            ('"ps":"BTCUSD"', '"ps":"\u00e4"'),
            ("]]", "],]"),
            ("]]", ']],["1","1"]'),
            ("]]", "]"),
            ("[[", "["),
            ("],[", "]["),
            ("],[", "], ["),
            ('","', '" ,"'),
            ("61.50", "0.000"),
            ("1.50000", "0"),
            ("1.50000", "-1"),
            ("0.25", "0"),
        ],
    )
    @pytest.mark.parametrize("market", MARKETS, ids=lambda market: market[0].format)
    def test_a_change_is_read_as_by_the_general_parser(self, market: Market, old: str, new: str) -> None:
        venue, instrument, payloads = market
        changed = [payload.replace(old.encode(), new.encode()) for payload in payloads]
        once = [payload.replace(old.encode(), new.encode(), 1) for payload in payloads]
        assert not differs(frames_of([*changed, *once]), instrument, venue)

    def test_messages_of_one_market_in_a_recording_of_another(self) -> None:
        payloads = [payload for _, _, some in MARKETS for payload in some]
        for venue, instrument, _ in MARKETS:
            assert not differs(frames_of(payloads), instrument, venue)

    def test_a_payload_may_end_in_white_space(self) -> None:
        venue, instrument, payloads = MARKETS[0]
        for end in (b"\r", b" ", b"\n", b"\t", b"\0"):
            assert not differs(frames_of([payload + end for payload in payloads]), instrument, venue)


BYTES = st.one_of(st.integers(0, 255), st.sampled_from(list(b'0123456789."[]{},:-eE tfus@\\')))


@given(st.sampled_from(MARKETS), st.data())
@depth_of(max_examples=EXAMPLES)
def test_mutated_messages_are_read_as_by_the_general_parser(market: Market, data: st.DataObject) -> None:
    venue, instrument, payloads = market
    changed = []
    for payload in data.draw(st.lists(st.sampled_from(payloads), min_size=1, max_size=8)):
        raw = bytearray(payload)
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(raw) - 1))
            length = data.draw(st.integers(0, 2))
            raw[at : at + length] = bytes(data.draw(st.lists(BYTES, max_size=3)))
        changed.append(bytes(raw))
    assert not differs(frames_of(changed), instrument, venue)


def first_difference(market: Market) -> str:
    """The first shape of which a byte left out, doubled or changed is not read as by the general parser."""
    venue, instrument, payloads = market
    for payload in payloads:
        changed = [
            payload[:at] + new + payload[at + 1 :]
            for at in range(0, len(payload), EVERY)
            for new in (b"", payload[at : at + 1] * 2, b"0", b"9", b'"', b" ", b"}", b"\\", b"\x80")
        ]
        if where := differs(frames_of(changed), instrument, venue):
            return f"{where}: {payload!r}"
    return ""


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market[0].format)
def test_every_byte_of_every_shape_counts(market: Market) -> None:
    assert not first_difference(market)


# ── the test itself must be able to fail ──


def cut_off(data: Any, at: int, decimals: int) -> tuple[int, int]:
    """Reads a number as it should, but cuts off what is finer than the scale."""
    text = bytes(data[at:])
    length = len(text) - len(text.lstrip(b"0123456789."))
    whole, _, fraction = text[:length].partition(b".")
    digits = whole + fraction.replace(b".", b"")[:decimals].ljust(decimals, b"0")
    return int(digits[-18:] or b"0"), at + length


def letters_ahead(data: Any) -> int:
    text = bytes(data)
    return len(text) - len(text.lstrip(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"))


FAULTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "what is too fine is cut off": ("read_decimal", cut_off),
    "any symbol will do": ("_skip_symbol", lambda data, at, stop, _: at + letters_ahead(data[at:stop])),
    "any letters are a word": ("_skip_word", lambda data, at, stop: at + bytes(data[at:stop]).find(b'"')),
    "times have no range": ("read_time", read_whole),
    "values are not judged": ("_is_sound", lambda record: True),
    "the end is not looked for": ("_is_end", lambda at, stop: True),
}


@pytest.mark.skipif(not config.DISABLE_JIT, reason="only kernels that are not compiled can be replaced")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_lenient_kernel_is_found(fault: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binance_kernel, *FAULTS[fault])
        assert any(map(first_difference, MARKETS))


def test_an_event_that_is_wrong_by_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_one(*arguments: Any) -> Usual:
        usual = read_usual(*arguments)
        usual.events[Field.PRICE, usual.events[Field.KIND] == Kind.TRADE] += 1
        return usual

    monkeypatch.setattr(binance, "read_usual", by_one)
    venue, instrument, payloads = MARKETS[0]
    assert differs(frames_of(payloads), instrument, venue) == "events"


# ── the real recordings ──

SETS = [
    "binance_spot/btcusdt_20240808.gz",
    "binance_usdm/btcusdt_20220811.dat",
    "binance_usdm/ethusdt_20240719.gz",
    "binance_coinm/ethusd_perp_20240808.gz",
    "binance_spot/btcusdt_20240809.gz",
    "binance_spot/ethusdt_20240808.gz",
    "binance_spot/ethusdt_20240809.gz",
    "binance_usdm/btcusdt_20240718.gz",
    "binance_usdm/btcusdt_20240719.gz",
    "binance_usdm/btcusdt_20240808.gz",
    "binance_usdm/ethusdt_20240718.gz",
    "binance_usdm/ethusdt_20240808.gz",
    "binance_coinm/btcusd_perp_20240808.gz",
    "binance_coinm/btcusd_perp_20240809.gz",
    "binance_coinm/ethusd_perp_20240809.gz",
]
"""One of each market and kind first: those are read whole each time."""
UNUSUAL = {"binance_usdm/btcusdt_20220811.dat": 1}
"""Its snapshot has spaces behind colons and commas."""


@pytest.mark.recordings
@pytest.mark.parametrize("name", [*SETS[:4], *(pytest.param(name, marks=deep) for name in SETS[4:])])
def test_every_line_of_the_recordings(recordings: Path, name: str) -> None:
    path = recordings / name
    [source] = find_sources([path], Settings())
    market = binance.MARKETS[source.format]
    refused = 0
    for frames, _, _ in read_frames(path, 20_000):
        assert not differs(frames, source.instrument, market)
        refused += len(read_usual(frames, source.instrument, market.rule.link, "aggTrade").refused)
    assert refused == UNUSUAL.get(name, 0), "what is usual has become unusual: it is read slowly"


@pytest.mark.recordings
@pytest.mark.parametrize("name", SETS)
def test_mutated_lines_of_the_recordings(recordings: Path, name: str) -> None:
    path = recordings / name
    [source] = find_sources([path], Settings())
    market = binance.MARKETS[source.format]
    dice = random.Random(name)
    alphabet = b'0123456789."[]{},:-eE tfus@\\\x80\n\r\0'
    frames, _, _ = next(iter(read_frames(path, 100_000)))
    changed = []
    for index in dice.choices(range(len(frames)), k=3_000):
        raw = bytearray(frames.payload(index))
        for _ in range(dice.randint(1, 2)):
            at = dice.randrange(len(raw))
            new = bytes(dice.choices(alphabet, k=dice.randint(0, 2)))
            raw[at : at + dice.randint(0, 2)] = new
        changed.append(bytes(raw))
    usual = read_usual(frames_of(changed), source.instrument, market.rule.link, "aggTrade")
    assert 0 < len(usual.refused) < len(changed)
    assert not differs(frames_of(changed), source.instrument, market)


def test_the_names_of_shapes_are_those_of_messages() -> None:
    assert set(binance_bytes.NAMES.values()) == {"depthUpdate", "snapshot", "trade", "aggTrade", "bookTicker"}
