"""Where Binance's live markets are: addresses, what is served where, limits; checked in November 2026."""

from __future__ import annotations

import msgspec

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.venues.binance_ids import Kind


class Route(msgspec.Struct, frozen=True):
    """One address of a market and the kinds of stream that it serves; others it leaves out in silence."""

    path: str
    kinds: tuple[Kind, ...]


class LiveMarket(msgspec.Struct, frozen=True):
    """One market as it is reached.

    Attributes
    ----------
    format
        Name of the market, as in `venues.binance`.
    stream_url, routes
        Scheme and host of the streams, and the addresses there.
    microseconds
        What is added to an address to get times in microseconds; empty where there is no such thing.
    rest_url, depth_path, depth_limit, depth_weight
        Where the book is asked for, levels a side asked for, and the weight of that.
    weight_per_minute
        Weight that an IP may spend in a minute; the answer's header tells what it has spent.
    streams_max, requests_per_s
        Streams of a connection; messages a second that a client may send on it, pings and pongs counted.
    age_max_s
        Seconds after which the venue cuts a connection.
    source
        Where the limits are published.
    """

    format: str
    stream_url: str
    routes: tuple[Route, ...]
    microseconds: str
    rest_url: str
    depth_path: str
    depth_limit: int
    depth_weight: int
    weight_per_minute: int
    streams_max: int
    requests_per_s: int
    age_max_s: int
    source: str


STREAM_KINDS: tuple[str, ...] = ("trade", "aggTrade", "depth@100ms", "bookTicker")
"""What is recorded of a symbol unless something else is asked for."""

SPOT = LiveMarket(
    format="binance-spot",
    stream_url="wss://stream.binance.com:9443",
    routes=(Route("/stream", ("depth", "trade", "aggTrade", "bookTicker")),),
    microseconds="timeUnit=MICROSECOND",
    rest_url="https://api.binance.com",
    depth_path="/api/v3/depth",
    depth_limit=5_000,
    depth_weight=250,
    weight_per_minute=6_000,
    streams_max=1_024,
    requests_per_s=5,
    age_max_s=24 * 3600,
    source="https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md",
)
USDM = LiveMarket(
    format="binance-usdm",
    stream_url="wss://fstream.binance.com",
    # Split in April 2026: aggregate trades come from another address than all else that is recorded.
    routes=(
        Route("/public/stream", ("depth", "trade", "bookTicker")),
        Route("/market/stream", ("aggTrade",)),
    ),
    microseconds="",
    rest_url="https://fapi.binance.com",
    depth_path="/fapi/v1/depth",
    depth_limit=1_000,
    depth_weight=20,
    weight_per_minute=2_400,
    streams_max=1_024,
    requests_per_s=10,
    age_max_s=24 * 3600,
    source="https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams",
)
LIVE_MARKETS = {market.format: market for market in (SPOT, USDM)}


def live_market(name: str) -> LiveMarket:
    """The market of this name.

    Raises
    ------
    OptionError
        When no market that can be captured has it.
    """
    if name not in LIVE_MARKETS:
        raise OptionError("can't be captured", venue=name, expected=" or ".join(LIVE_MARKETS))
    return LIVE_MARKETS[name]
