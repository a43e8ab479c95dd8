"""The symbols of a batch are those that each payload names when it is looked at by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.feed import Frames
from rlx_datapipe.venues import binance_names
from rlx_datapipe.venues.binance_names import NAMELESS, symbols_of
from rlx_datapipe.venues.binance_probe import symbol_of

PAYLOADS = [
    b'{"stream":"btcusdt@depth@100ms","data":{"s":"BTCUSDT"}}',
    b'{"stream":"ethusdt@trade","data":{"s":"BTCUSDT"}}',
    b'{"stream":"ethusd_perp@trade","data":{}}',
    b'{"stream":"ETHUSDT@trade"}',
    b'{ "stream" : "btcusdt@trade"}',
    b'{"stream":"btc\\u0075sdt@trade"}',
    b'{"stream":"btc\xffusdt@trade"}',
    b'{"stream":"!ticker@arr","data":[{"s":"BTCUSDT"}]}',
    b'{"stream":"@trade","data":{"s":"BTCUSDT"}}',
    b'{"stream":"btcusdt","data":{"s":"ETHUSDT","x":"@"}}',
    b'{"stream":"btcusdt',
    b'{"stream":"btcusdt@',
    b'{"stream":"',
    b'{"stream":',
    b'{"e":"trade","s":"BTCUSDT"}',
    b'{"e":"trade","s":""}',
    b'{"lastUpdateId":1}',
    b"",
]


def named(payloads: list[bytes]) -> list[bytes]:
    names, numbers = symbols_of(Frames.of(range(len(payloads)), range(len(payloads)), payloads))
    assert len(set(names)) == len(names)
    return [b"" if number == NAMELESS else names[number] for number in numbers.tolist()]


@given(st.lists(st.sampled_from(PAYLOADS)))
def test_each_is_named_as_by_itself(payloads: list[bytes]) -> None:
    assert named(payloads) == list(map(symbol_of, payloads))


@given(st.lists(st.one_of(st.binary(max_size=20), st.binary(max_size=20).map(b'{"stream":"'.__add__))))
def test_any_bytes_are_named_as_by_themselves(payloads: list[bytes]) -> None:
    assert named(payloads) == list(map(symbol_of, payloads))


def test_more_names_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance_names, "_NAMES_MAX", 3)
    payloads = [b'{"stream":"s%d@trade"}' % (number % 7) for number in range(50)]
    assert named(payloads) == list(map(symbol_of, payloads))
