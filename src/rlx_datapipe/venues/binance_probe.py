"""What the head of a Binance recording says of itself: its market, symbols and decimals."""

from __future__ import annotations

import re
from itertools import chain

from rlx_datapipe.core.event import NONE
from rlx_datapipe.core.feed import Probe
from rlx_datapipe.core.instrument import MAX_DECIMALS
from rlx_datapipe.venues.binance_messages import (
    NAMES,
    AggregateTrade,
    BookTicker,
    DepthUpdate,
    Fault,
    Message,
    Snapshot,
    Trade,
    Unknown,
    decode,
)

SAMPLE_PRICES = 4096
_STREAM = re.compile(rb'\{\s*"stream"\s*:\s*"([^"@!]*)@')
_NAMED = re.compile(rb'"s"\s*:\s*"([^"\\]+)"')
_COIN_MARGINED = re.compile(r"USD_(PERP|\d{6})$")
_PLAIN = re.compile(r"(\d{1,19})(?:\.(\d+))?", re.ASCII)


def symbol_of(payload: bytes) -> bytes:
    """The symbol that a payload names, as it is spelled there; empty if it names none. Nothing is decoded."""
    match = _STREAM.match(payload) or _NAMED.search(payload)
    return match[1] if match else b""


def is_snapshot(payload: bytes) -> bool:
    """Whether a payload is the answer of a REST depth request."""
    return isinstance(decode(payload)[1], Snapshot)


def recognise(payloads: list[bytes]) -> str | None:
    """Format of the market that sent these payloads, or None if they are not Binance's.

    Decided by the first message whose fields can come from one market only; a snapshot without times, which
    is spot's but bears the least marks, decides if nothing else does.
    """
    fallback = None
    for payload in payloads:
        message = decode(payload)[1]
        futures = _from_futures(message)
        if futures is None:
            continue
        if isinstance(message, Snapshot) and not futures:
            fallback = "binance-spot"
            continue
        symbol = "" if isinstance(message, (Unknown, Fault)) else message.symbol
        if not futures:
            return "binance-spot"
        if symbol:
            return "binance-coinm" if _COIN_MARGINED.search(symbol.upper()) else "binance-usdm"
    return fallback


def _from_futures(message: Message) -> bool | None:
    """Whether a message comes from a futures market; None if it does not say."""
    if isinstance(message, DepthUpdate):
        return message.previous_id != NONE or message.time != NONE
    if isinstance(message, Trade):
        return bool(message.order_kind)
    if isinstance(message, AggregateTrade):
        return not isinstance(message.ignored, bool)
    if isinstance(message, (BookTicker, Snapshot)):
        return message.time != NONE or message.event_time != NONE
    return None


def probe(payloads: list[bytes], exchange: str) -> Probe:
    """Statistics of the head of a recording; values that no scale can hold are left out."""
    found = Probe(exchange=exchange)
    prices: dict[str, None] = {}
    quantities: dict[str, None] = {}
    for payload in payloads:
        message = decode(payload)[1]
        if isinstance(message, Fault):
            found.kinds["rejected"] += 1
            continue
        if isinstance(message, Unknown):
            found.kinds[f"unknown:{message.name}"] += 1
            continue
        found.kinds[NAMES[type(message)]] += 1
        if message.symbol:
            found.symbols[message.symbol] += 1
        texts = _numbers(message)
        prices.update(dict.fromkeys(texts[::2]))
        quantities.update(dict.fromkeys(texts[1::2]))
    found.price_decimals, found.price_largest = _extent(prices)
    found.quantity_decimals, found.quantity_largest = _extent(quantities)
    plain = (text for text in prices if _PLAIN.fullmatch(text))
    found.price_texts = [text for text, _ in zip(plain, range(SAMPLE_PRICES), strict=False)]
    return found


def _numbers(message: DepthUpdate | Trade | AggregateTrade | BookTicker | Snapshot) -> list[str]:
    """Prices and quantities of a message in turn."""
    if isinstance(message, (DepthUpdate, Snapshot)):
        return list(chain.from_iterable(chain(message.bids, message.asks)))
    if isinstance(message, BookTicker):
        return [message.bid_price, message.bid_quantity, message.ask_price, message.ask_quantity]
    return [message.price, message.quantity]


def _extent(texts: dict[str, None]) -> tuple[int, int]:
    """Most decimals needed and largest whole part."""
    decimals = largest = 0
    for text in texts:
        match = _PLAIN.fullmatch(text)
        if match is None:
            continue
        needed = len((match[2] or "").rstrip("0"))
        if needed <= MAX_DECIMALS:
            decimals = max(decimals, needed)
            largest = max(largest, int(match[1]))
    return decimals, largest
