"""Which addresses a capture listens to."""

from __future__ import annotations

import pytest

from rlx_datapipe.capture.streams import URL_CHARACTERS, plan, subscriptions
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.venues.binance_endpoints import SPOT, USDM, live_market


def test_spot_is_one_connection_in_microseconds() -> None:
    made = plan(SPOT, ["btcusdt", "ETHUSDT", "BTCUSDT"], ["trade", "depth"])
    assert made.symbols == ("BTCUSDT", "ETHUSDT")
    (address,) = made.addresses
    assert address.streams == (
        "btcusdt@trade",
        "btcusdt@depth@100ms",
        "ethusdt@trade",
        "ethusdt@depth@100ms",
    )
    names = "btcusdt@trade/btcusdt@depth@100ms/ethusdt@trade/ethusdt@depth@100ms"
    assert address.url == f"wss://stream.binance.com:9443/stream?streams={names}&timeUnit=MICROSECOND"
    assert made.snapshot_url("BTCUSDT") == "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000"


def test_spot_sends_milliseconds_if_it_is_not_asked_for_more() -> None:
    (address,) = plan(SPOT, ["BTCUSDT"], ["trade"], microseconds=False).addresses
    assert address.url == "wss://stream.binance.com:9443/stream?streams=btcusdt@trade"


def test_usdm_is_one_connection_for_each_of_its_addresses() -> None:
    made = plan(USDM, ["BTCUSDT"])
    assert {address.name: address.streams for address in made.addresses} == {
        "/public/stream": ("btcusdt@trade", "btcusdt@depth@100ms", "btcusdt@bookTicker"),
        "/market/stream": ("btcusdt@aggTrade",),
    }
    assert made.addresses[1].url == "wss://fstream.binance.com/market/stream?streams=btcusdt@aggTrade"
    assert made.snapshot_url("BTCUSDT") == "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
    assert len(plan(USDM, ["BTCUSDT"], ["depth@0ms"]).addresses) == 1


def test_other_hosts_keep_the_paths() -> None:
    made = plan(USDM, ["BTCUSDT"], ws_url="ws://127.0.0.1:9443/", rest_url="http://127.0.0.1:9443")
    assert made.addresses[0].url.startswith("ws://127.0.0.1:9443/public/stream?streams=")
    assert made.snapshot_url("BTCUSDT").startswith("http://127.0.0.1:9443/fapi/v1/depth?")


def test_symbols_need_not_be_ascii() -> None:
    made = plan(SPOT, ["币安人生USDT"], ["trade"])
    assert made.addresses[0].streams == ("币安人生usdt@trade",)
    assert "streams=%E5%B8%81" in made.addresses[0].url
    assert "symbol=%E5%B8%81" in made.snapshot_url("币安人生USDT")


def test_what_has_no_room_in_the_address_is_subscribed_to() -> None:
    symbols = [f"COIN{number:03d}USDT" for number in range(256)]
    (address,) = plan(SPOT, symbols).addresses
    assert len(address.streams) == 1_024
    assert len(address.url) <= URL_CHARACTERS
    named = address.url.partition("streams=")[2].partition("&")[0].split("/")
    assert (*named, *address.subscribed) == address.streams
    bundles = subscriptions(address.subscribed)
    assert sum(bundles, ()) == address.subscribed
    assert max(map(len, bundles)) == 100


@pytest.mark.parametrize(
    "symbol", ["", " ", "BTC/USDT", "BTC@USDT", "a&b", "a?b", "..", "-BTC", "A" * 51, "B\nTC", "%2F", '"']
)
def test_what_is_no_symbol_is_refused(symbol: str) -> None:
    with pytest.raises(OptionError, match="is no symbol"):
        plan(SPOT, [symbol])


@pytest.mark.parametrize("kind", ["", "kline_1m", "depth@5ms", "trades", "depth5"])
def test_what_is_no_stream_is_refused(kind: str) -> None:
    with pytest.raises(OptionError, match="is no stream"):
        plan(SPOT, ["BTCUSDT"], [kind])


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:80", "http://host", "ws://", "ws://host:0", "ws://host:port", "ws://u@host", "ws://h?a=1"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(OptionError, match="is no address"):
        plan(SPOT, ["BTCUSDT"], ws_url=url)


def test_too_many_streams_and_other_markets_are_refused() -> None:
    with pytest.raises(OptionError, match="1,028 streams are more than one connection may have"):
        plan(SPOT, [f"COIN{number}" for number in range(257)])
    with pytest.raises(OptionError, match="can't be captured"):
        live_market("kraken")
    with pytest.raises(OptionError, match="nothing to capture"):
        plan(SPOT, [])
