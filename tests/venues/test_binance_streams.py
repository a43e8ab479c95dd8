"""Payloads taken out of their envelopes, byte for byte."""

from __future__ import annotations

import pytest

from rlx_datapipe.venues.binance_streams import depth_symbol, unwrap

TRADE = b'{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"1","q":"1","T":1,"m":true,"M":true}'


@pytest.mark.parametrize(
    ("payload", "stream", "data"),
    [
        (b'{"stream":"btcusdt@trade","data":' + TRADE + b"}", "btcusdt@trade", TRADE),
        (b'{ "stream": "btcusdt@trade", "data": ' + TRADE + b" }", "btcusdt@trade", TRADE),
        (b'{"stream":"x@y","data":{ "a" : [1, 2] }}', "x@y", b'{ "a" : [1, 2] }'),
        (b'{"stream":"!ticker@arr","data":[{},{}]}', "!ticker@arr", b"[{},{}]"),
        (
            '{"stream":"\u5e01\u5b89\u4eba\u751fusdt@trade","data":{}}'.encode(),
            "\u5e01\u5b89\u4eba\u751fusdt@trade",
            b"{}",
        ),
        (TRADE, "btcusdt@trade", TRADE),
        (b'{"lastUpdateId":1,"bids":[],"asks":[]}', "@snapshot", b'{"lastUpdateId":1,"bids":[],"asks":[]}'),
        (b'{"result":null,"id":1}', "", b'{"result":null,"id":1}'),
        (b"no json", "", b"no json"),
        (b'{"stream":"cut', "", b'{"stream":"cut'),
    ],
)
def test_a_payload_is_taken_out_of_its_envelope(payload: bytes, stream: str, data: bytes) -> None:
    assert unwrap(payload) == (stream, data)


@pytest.mark.parametrize(
    ("stream", "symbol"),
    [
        ("btcusdt@depth", "btcusdt"),
        ("btcusdt@depth@100ms", "btcusdt"),
        ("btcusd_perp@depth@0ms", "btcusd_perp"),
        ("btcusdt@depth5", ""),
        ("btcusdt@depth20@100ms", ""),
        ("btcusdt@rpiDepth@500ms", ""),
        ("btcusdt@trade", ""),
        ("!ticker@arr", ""),
    ],
)
def test_only_streams_of_whole_depth_updates_move_a_book(stream: str, symbol: str) -> None:
    assert depth_symbol(stream) == symbol
