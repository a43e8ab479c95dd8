"""Ids and times of a message, from its head: as a real decoder reads them, or none at all."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.venues.binance_ids import NO_ID, NO_TIME, Ids, kind_of, read_ids, snapshot_id

SPOT_DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208123,"s":"BTCUSDT",'
    b'"U":10,"u":12,"b":[["1.0","0.0"]],"a":[]}}'
)
USDM_DEPTH = (
    b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,'
    b'"s":"BTCUSDT","U":10,"u":12,"pu":7,"b":[],"a":[]}}'
)
TRADE = b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":5,"p":"1"}}'
USDM_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5,'
    b'"p":"1","q":"0","X":"MARKET","m":false}}'
)
SPOT_AGG = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161255343,"s":"BTCUSDT","a":6,"p":"1"}}'
)
USDM_AGG = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161255343,"a":6,"s":"BTCUSDT","p":"1"}}'
)
SPOT_QUOTE = b'{"stream":"btcusdt@bookTicker","data":{"u":8,"s":"BTCUSDT","b":"1","B":"2","a":"3","A":"4"}}'
USDM_QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":8,"s":"BTCUSDT","b":"1","B":"2","a":"3",'
    b'"A":"4","T":1723161256313,"E":1723161256314}}'
)
AT_NS = 1_723_161_255_343_000_000
KNOWN = {
    SPOT_DEPTH: Ids(b"btcusdt@depth@100ms", "depth", 10, 12, NO_ID, 1_723_161_255_208_123_000),
    USDM_DEPTH: Ids(b"btcusdt@depth@0ms", "depth", 10, 12, 7, 1_723_161_256_299_000_000),
    TRADE: Ids(b"btcusdt@trade", "trade", 5, 5, NO_ID, AT_NS),
    USDM_TRADE: Ids(b"btcusdt@trade", "trade", 5, 5, NO_ID, 1_723_161_256_322_000_000),
    SPOT_AGG: Ids(b"btcusdt@aggTrade", "aggTrade", 6, 6, NO_ID, AT_NS),
    USDM_AGG: Ids(b"btcusdt@aggTrade", "aggTrade", 6, 6, NO_ID, AT_NS),
    SPOT_QUOTE: Ids(b"btcusdt@bookTicker", "bookTicker", 8, 8, NO_ID, NO_TIME),
    USDM_QUOTE: Ids(b"btcusdt@bookTicker", "bookTicker", 8, 8, NO_ID, 1_723_161_256_314_000_000),
}
BETWEEN = b'","data":'


@pytest.mark.parametrize("payload", KNOWN)
def test_each_kind_is_read_as_published(payload: bytes) -> None:
    assert read_ids(payload) == KNOWN[payload]


@pytest.mark.parametrize("payload", KNOWN)
def test_fields_in_another_order_are_read_as_well(payload: bytes) -> None:
    told: dict[str, Any] = json.loads(payload)
    told["data"] = dict(reversed(told["data"].items()))
    turned = json.dumps(told, separators=(",", ":")).encode()
    assert turned != payload
    assert read_ids(turned) == KNOWN[payload]


@pytest.mark.parametrize("payload", KNOWN)
def test_whatever_follows_unknown_fields_is_read_as_well(payload: bytes) -> None:
    head, tail = payload.split(BETWEEN + b"{")
    assert read_ids(head + BETWEEN + b'{"new":{"a":[1]},' + tail) == KNOWN[payload]


@pytest.mark.parametrize("payload", KNOWN)
def test_cut_anywhere_it_has_no_ids(payload: bytes) -> None:
    for at in range(len(payload)):
        assert read_ids(payload[:at]).first_id == NO_ID, payload[:at]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; marked by an empty name if it has a field twice, since readers differ about those."""
    return dict(pairs) | ({} if len(dict(pairs)) == len(pairs) else {"": None})


@pytest.mark.parametrize("payload", KNOWN)
def test_any_flipped_bit_gives_what_a_decoder_reads_or_nothing(payload: bytes) -> None:
    for at in range(8 * len(payload)):
        flipped = bytearray(payload)
        flipped[at // 8] ^= 1 << at % 8
        found = read_ids(bytes(flipped))
        if found.first_id == NO_ID:
            continue
        told = json.loads(bytes(flipped), object_pairs_hook=_once)
        data = told["data"]
        if "" in data:
            continue
        number = {"depth": "u", "trade": "t", "aggTrade": "a", "bookTicker": "u"}[found.kind]
        assert told["stream"].encode() == found.stream
        assert data["s"].lower() == told["stream"].partition("@")[0].lower()
        assert data[number] == found.last_id
        assert data.get("pu", NO_ID) == found.previous_id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"s":"BTCUSDT"', b'"s":"ETHUSDT"'),
        (b'"u":12', b'"u":9'),
        (b'"u":12', b'"u":9223372036854775808'),
        (b'"u":12', b'"u":-12'),
        (b'"u":12', b'"u":12.0'),
        (b'"u":12', b'"u":"12"'),
        (b'"u":12', b'"u":012'),
        (b'"u":12', b'"u":null'),
        (b'"pu":7', b'"pu":11'),
        (b'"b":[]', b'"b":[,]'),
        (b'"b":[]', b'"b":NaN'),
        (b'"a":[]', b'"a":["\xff"]'),
    ],
)
def test_what_is_not_as_published_has_no_ids(old: bytes, new: bytes) -> None:
    assert old in USDM_DEPTH
    found = read_ids(USDM_DEPTH.replace(old, new))
    assert (found.kind, found.first_id, found.last_id) == ("unknown", NO_ID, NO_ID)


def test_symbols_need_not_be_ascii() -> None:
    payload = TRADE.decode().replace("btc", "币安人生").replace("BTC", "币安人生")
    assert read_ids(payload.encode()).last_id == 5


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b'{"result":null,"id":3}', "answer"),
        (b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}', "serverShutdown"),
        (b'{"e":"serverShutdown","E":1770123456789}', "serverShutdown"),
        (b'{"stream":"btcusdt@kline_1m","data":{}}', "unknown"),
        (b"", "unknown"),
        (b"{" * 100_000, "unknown"),
        (b'{"stream":"' + b"[" * 100_000 + b'","data":' + b"[" * 100_000, "unknown"),
    ],
)
def test_other_messages_are_told_apart(payload: bytes, kind: str) -> None:
    found = read_ids(payload)
    assert found.kind == kind
    assert found.first_id == NO_ID


@given(
    st.binary(max_size=200)
    | st.sampled_from(list(KNOWN)).flatmap(
        lambda known: st.tuples(st.just(known), st.integers(0, len(known)), st.binary(max_size=6)).map(
            lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
        )
    )
)
def test_nothing_raises(payload: bytes) -> None:
    read_ids(payload)
    snapshot_id(payload)


def test_a_stream_tells_its_kind() -> None:
    names = (
        "btcusdt@depth@100ms",
        "btcusdt@depth",
        "btcusdt@aggTrade",
        "btcusdt@kline_1m",
        "!ticker@arr",
        "",
    )
    assert [kind_of(name) for name in names] == [
        "depth",
        "depth",
        "aggTrade",
        "unknown",
        "unknown",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"lastUpdateId":7,"bids":[["1","2"]],"asks":[]}', 7),
        (b'{"lastUpdateId":7,"E":1,"T":2,"bids":[],"asks":[]}', 7),
        (b'{ "asks": [], "bids": [], "lastUpdateId": 7 }', 7),
        (b'{"lastUpdateId":7,"bids":[["1","2"]],"asks":[]', NO_ID),
        (b'{"lastUpdateId":"7","bids":[],"asks":[]}', NO_ID),
        (b'{"lastUpdateId":9223372036854775808,"bids":[],"asks":[]}', NO_ID),
        (b'{"code":-1003,"msg":"Too many requests"}', NO_ID),
        (b"<html>", NO_ID),
    ],
)
def test_a_snapshot_tells_its_id(body: bytes, expected: int) -> None:
    assert snapshot_id(body) == expected


@pytest.mark.recordings
@pytest.mark.parametrize("name", ["binance_spot/btcusdt_20240808.gz", "binance_usdm/btcusdt_20240808.gz"])
def test_real_messages_are_read_as_a_decoder_reads_them(recordings: Path, name: str) -> None:
    count = 0
    with gzip.open(recordings / name, "rb") as lines:
        for line in lines:
            payload = line.partition(b" ")[2].rstrip(b"\n")
            told = json.loads(payload)
            if "stream" not in told:
                assert snapshot_id(payload) == told["lastUpdateId"]
                continue
            found, data = read_ids(payload), told["data"]
            last = data.get("t", data.get("u"))
            assert found.stream.decode() == told["stream"]
            assert (found.first_id, found.last_id) == (data.get("U", last), last)
            assert found.previous_id == data.get("pu", NO_ID)
            assert found.event_ns == (data["E"] * 1_000_000 if "E" in data else NO_TIME)
            count += 1
    assert count > 40_000
