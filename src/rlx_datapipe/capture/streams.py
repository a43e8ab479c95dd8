"""What is listened to and where: symbols and kinds of stream become the addresses of one market."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.venues.binance_endpoints import STREAM_KINDS, LiveMarket
from rlx_datapipe.venues.binance_ids import kind_of

URL_CHARACTERS = 4_000
"""An address is no longer than this; what has no room in it is subscribed to by messages."""
_NAMES_AT_ONCE = 100
_CHECKED_LEVELS = 5
_SYMBOL = re.compile(r"[^\W_][\w-]{0,49}")
_KIND = re.compile(r"depth(@(0|100|250|500|1000)ms)?|trade|aggTrade|bookTicker")


class Address(NamedTuple):
    """One combined connection: where it goes, what it carries, what must be subscribed to once it stands."""

    name: str
    url: str
    streams: tuple[str, ...]
    subscribed: tuple[str, ...]


class Plan(NamedTuple):
    """What one capture listens to."""

    market: LiveMarket
    symbols: tuple[str, ...]
    addresses: tuple[Address, ...]
    rest_url: str

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of all streams."""
        return tuple(stream for address in self.addresses for stream in address.streams)

    def snapshot_url(self, symbol: str) -> str:
        """Where the book of a symbol is asked for."""
        return self._depth_url(symbol, self.market.depth_limit)

    def check_url(self, symbol: str) -> str:
        """Where a symbol is asked for only to hear whether the venue knows it, at the least weight."""
        return self._depth_url(symbol, _CHECKED_LEVELS)

    def _depth_url(self, symbol: str, levels: int) -> str:
        asked = f"symbol={quote(symbol, safe='')}&limit={levels}"
        return f"{self.rest_url}{self.market.depth_path}?{asked}"


def plan(
    market: LiveMarket,
    symbols: Sequence[str],
    kinds: Sequence[str] = STREAM_KINDS,
    *,
    ws_url: str = "",
    rest_url: str = "",
    microseconds: bool = True,
) -> Plan:
    """Addresses for these symbols and kinds of stream, each stream on the address that serves it.

    Parameters
    ----------
    symbols
        Such as ``BTCUSDT``, in any case; one named twice counts once.
    kinds
        ``trade``, ``aggTrade``, ``depth@100ms`` (or another cadence) and ``bookTicker``, or some of them.
    ws_url, rest_url
        Scheme and host to use in place of the venue's, such as ``ws://127.0.0.1:9443``.
    microseconds
        Whether times are asked for in microseconds, where the venue has them.

    Raises
    ------
    OptionError
        For a name that can't be a symbol or a kind, or more streams than a connection may have.
    """
    named = tuple(dict.fromkeys(_symbol(symbol) for symbol in symbols))
    wanted = tuple(dict.fromkeys(_kind(kind) for kind in kinds))
    if not named or not wanted:
        raise OptionError("there is nothing to capture", symbols=len(named), streams=len(wanted))
    base = _base(ws_url or market.stream_url, ("ws", "wss"))
    addresses = []
    for route in market.routes:
        mine = [kind for kind in wanted if kind_of(f"@{kind}") in route.kinds]
        streams = tuple(f"{symbol.lower()}@{kind}" for symbol in named for kind in mine)
        if len(streams) > market.streams_max:
            raise OptionError(
                f"{len(streams):,} streams are more than one connection may have",
                expected=f"at most {market.streams_max}",
                remedy="Capture fewer symbols or kinds here, the others into a folder of their own",
            )
        if streams:
            addresses.append(
                _address(f"{base}{route.path}", market.microseconds if microseconds else "", streams)
            )
    rest = _base(rest_url or market.rest_url, ("http", "https"))
    return Plan(market, named, tuple(addresses), rest)


def subscriptions(streams: Sequence[str]) -> list[tuple[str, ...]]:
    """Streams in bundles, one for each SUBSCRIBE message."""
    return [tuple(streams[at : at + _NAMES_AT_ONCE]) for at in range(0, len(streams), _NAMES_AT_ONCE)]


def _address(place: str, query: str, streams: tuple[str, ...]) -> Address:
    names, length = [], len(place) + len(query)
    for stream in streams:
        name = quote(stream, safe="@")
        length += len(name) + 1
        if length > URL_CHARACTERS:
            break
        names.append(name)
    asked = f"streams={'/'.join(names)}" + (f"&{query}" if query else "")
    return Address(urlsplit(place).path, f"{place}?{asked}", streams, streams[len(names) :])


def _symbol(symbol: str) -> str:
    name = symbol.strip()
    # Symbols need not be ASCII; what could end a part of an address or of a stream's name is no symbol.
    if not _SYMBOL.fullmatch(name):
        raise OptionError(f"{symbol!a} is no symbol", remedy="Write them like BTCUSDT,ETHUSDT")
    return name.upper()


def _kind(kind: str) -> str:
    name = kind.strip().removeprefix("@")
    name = "depth@100ms" if name == "depth" else name
    if not _KIND.fullmatch(name):
        expected = ", ".join(STREAM_KINDS)
        raise OptionError(f"{kind!a} is no stream that is captured", expected=expected)
    return name


def _base(url: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or parts.query or parts.fragment or parts.username:
        expected = f"{schemes[0]}://HOST:PORT or {schemes[1]}://HOST"
        raise OptionError(f"{url!a} is no address", expected=expected)
    return url.rstrip("/")
