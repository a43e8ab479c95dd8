"""Which ids and what time a message of a Binance stream bears, read from its head alone."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import msgspec

NO_ID = -1
NO_TIME = -1

Kind = Literal["depth", "trade", "aggTrade", "bookTicker", "serverShutdown", "answer", "unknown"]

_OPENING = b'{"stream":"'
_BETWEEN = b'","data":'
_ANY = msgspec.json.Decoder(msgspec.Raw)
_INT64_MAX = (1 << 63) - 1
_SHUTDOWN = b"!serverShutdown"
_ID = rb"(0|[1-9]\d{0,18})"
_TIME = rb"([1-9]\d{12,18})"
_SYMBOL = rb'"s":"([^"\\]+)"'
_MATCHED = rb'(?:,"T":\d+)?'


def _traded(event: bytes, number: bytes) -> re.Pattern[bytes]:
    """The head of a trade; USD-M's aggregate trades tell the number before the symbol."""
    first = _SYMBOL + b',"' + number + b'":' + _ID
    other = b'"' + number + b'":' + _ID + b"," + _SYMBOL
    return re.compile(
        b'{"e":"' + event + b'","E":' + _TIME + _MATCHED + b",(?:" + first + b"|" + other + b"),"
    )


# The groups: of depth time, symbol, U, u and pu; of a quote u and symbol; of a trade as `_traded` says.
_DEPTH = _TIME + _MATCHED + b"," + _SYMBOL + b',"U":' + _ID + b',"u":' + _ID + b'(?:,"pu":' + _ID + b")?"
_HEADS: dict[bytes, tuple[Kind, re.Pattern[bytes]]] = {
    b"depth": ("depth", re.compile(b'{"e":"depthUpdate","E":' + _DEPTH + rb',"b":\[')),
    b"trade": ("trade", _traded(b"trade", b"t")),
    b"aggTrade": ("aggTrade", _traded(b"aggTrade", b"a")),
    b"bookTicker": (
        "bookTicker",
        re.compile(b'{(?:"e":"bookTicker",)?"u":' + _ID + b"," + _SYMBOL + b',"b":"'),
    ),
}
_TICKER_TIME = re.compile(rb',"E":' + _TIME + rb"\}\}$")
_TAIL_BYTES = 40
_LAST_UPDATE = re.compile(rb'\{"lastUpdateId":' + _ID + rb'(?:,"E":\d+,"T":\d+)?,"bids":\[')


class Ids(NamedTuple):
    """What a message says of its place in its stream.

    ``stream`` is the name in the envelope, empty if there is none; ``first_id`` and ``last_id`` are the
    update ids ``U`` and ``u``, or twice the only id that there is; ``previous_id`` is ``pu``, on futures
    only. ``event_ns`` is the venue's time in ns UTC. What is not there is -1.
    """

    stream: bytes
    kind: Kind
    first_id: int = NO_ID
    last_id: int = NO_ID
    previous_id: int = NO_ID
    event_ns: int = NO_TIME


def kind_of(stream: str) -> Kind:
    """What a stream of this name carries: ``btcusdt@depth@100ms`` carries depth updates."""
    name = stream.partition("@")[2].partition("@")[0]
    known = _HEADS.get(name.encode())
    return known[0] if known else "unknown"


def read_ids(payload: bytes) -> Ids:
    """The place in its stream of a message of a combined stream; never raises.

    What is not wholly as published, such as another symbol than the stream's, is ``unknown`` and has no ids:
    nobody may take it for the message that it is not. Which of two fields of one name counts is not told.
    """
    end = payload.find(_BETWEEN, len(_OPENING))
    if not payload.startswith(_OPENING) or end < 0 or not _is_json(payload):
        return _bare(payload)
    stream = payload[len(_OPENING) : end]
    symbol, _, rest = stream.partition(b"@")
    known = _HEADS.get(rest.partition(b"@")[0])
    if known is None:
        return Ids(stream, "serverShutdown" if stream == _SHUTDOWN else "unknown")
    kind, head = known
    match = head.match(payload, end + len(_BETWEEN))
    if match is None or not payload.endswith(b"}}"):
        return _decoded(stream, symbol, kind, payload)
    previous: bytes | None = None
    time: bytes | None = None
    if kind == "depth":
        time, named, first, last, previous = match.groups()
    elif kind == "bookTicker":
        first, named = match.groups()
        last, timed = first, _TICKER_TIME.search(payload, max(0, len(payload) - _TAIL_BYTES))
        time = timed[1] if timed else None
    else:
        time, named, first, other, named_behind = match.groups()
        named = named or named_behind
        last = first = first or other
    if not _same_name(named, symbol):
        return Ids(stream, "unknown")
    return _checked(stream, kind, int(first), int(last), int(previous) if previous else NO_ID, _ns(time))


def snapshot_id(body: bytes) -> int:
    """``lastUpdateId`` of the answer to a REST depth request; -1 if the body is no such answer."""
    match = _LAST_UPDATE.match(body)
    if match is not None and _is_json(body):
        return int(match[1]) if int(match[1]) <= _INT64_MAX else NO_ID
    try:
        found = msgspec.json.decode(body, type=_Snapshot)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return NO_ID
    return found.last_id if 0 <= found.last_id <= _INT64_MAX else NO_ID


def refused_symbol(body: bytes) -> str | None:
    """What the venue says, where an error object of its REST side names a bad symbol; None if it does not.

    Code -1121 is "Invalid symbol."; -1100 is told of any parameter, and names it.
    """
    try:
        found = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    is_symbol = found.code == -1121 or (found.code == -1100 and "'symbol'" in found.said)
    return found.said[:200] if is_symbol else None


class _Refusal(msgspec.Struct):
    code: int
    said: str = msgspec.field(name="msg")


class _Snapshot(msgspec.Struct):
    last_id: int = msgspec.field(name="lastUpdateId")
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


def _is_json(payload: bytes) -> bool:
    try:
        _ANY.decode(payload)
        # The decoder looks into no text for its encoding.
        return payload.isascii() or bool(payload.decode())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


class _Data(msgspec.Struct):
    """The fields that count, in whatever order they come."""

    symbol: str = msgspec.field(name="s")
    event: str | None = msgspec.field(name="e", default=None)
    event_time: int | None = msgspec.field(name="E", default=None)
    first: int | None = msgspec.field(name="U", default=None)
    last: int | None = msgspec.field(name="u", default=None)
    previous: int | None = msgspec.field(name="pu", default=None)
    trade: int | None = msgspec.field(name="t", default=None)
    aggregate: int | None = msgspec.field(name="a", default=None)


class _QuoteData(msgspec.Struct):
    """Of a quote the field ``a`` is a price."""

    symbol: str = msgspec.field(name="s")
    last: int = msgspec.field(name="u")
    event_time: int | None = msgspec.field(name="E", default=None)


class _DepthData(msgspec.Struct):
    """Of a depth update the field ``a`` is a list."""

    symbol: str = msgspec.field(name="s")
    event_time: int = msgspec.field(name="E")
    first: int = msgspec.field(name="U")
    last: int = msgspec.field(name="u")
    previous: int | None = msgspec.field(name="pu", default=None)


class _Message(msgspec.Struct):
    stream: str
    data: _Data


class _QuoteMessage(msgspec.Struct):
    stream: str
    data: _QuoteData


class _DepthMessage(msgspec.Struct):
    stream: str
    data: _DepthData


def _bare(payload: bytes) -> Ids:
    """A message without the envelope: an answer to a request of ours, a shutdown, or something else."""
    if payload.startswith((b'{"result":', b'{"error":', b'{"id":')):
        return Ids(b"", "answer")
    if b'"e":"serverShutdown"' in payload[:64]:
        return Ids(b"", "serverShutdown")
    return Ids(b"", "unknown")


def _decoded(stream: bytes, symbol: bytes, kind: Kind, payload: bytes) -> Ids:
    """The same by a real decoder, for fields in another order than usual."""
    unknown = Ids(stream, "unknown")
    try:
        if kind == "depth":
            depth = msgspec.json.decode(payload, type=_DepthMessage).data
            named, time = depth.symbol, depth.event_time
            ids = (depth.first, depth.last, NO_ID if depth.previous is None else depth.previous)
        elif kind == "bookTicker":
            quote = msgspec.json.decode(payload, type=_QuoteMessage).data
            named, time, ids = quote.symbol, quote.event_time or 0, (quote.last, quote.last, NO_ID)
        else:
            trade = msgspec.json.decode(payload, type=_Message).data
            number = trade.trade if kind == "trade" else trade.aggregate
            if number is None or trade.event != kind:
                return unknown
            named, time, ids = trade.symbol, trade.event_time or 0, (number, number, NO_ID)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return unknown
    if not _same_name(named.encode(), symbol) or min(ids) < NO_ID or ids[0] < 0:
        return unknown
    return _checked(stream, kind, *ids, _ns(str(time).encode()))


def _checked(stream: bytes, kind: Kind, first: int, last: int, previous: int, event_ns: int) -> Ids:
    if first > last or last > _INT64_MAX or previous >= first:
        return Ids(stream, "unknown")
    return Ids(stream, kind, first, last, previous, event_ns)


def _same_name(named: bytes, symbol: bytes) -> bool:
    """Whether a stream of this lower-case name carries this symbol; symbols need not be ASCII."""
    if named.lower() == symbol and named.isascii():
        return True
    return named.decode("utf-8", "replace").lower() == symbol.decode("utf-8", "replace").lower()


_SCALES = {13: 1_000_000, 16: 1_000, 19: 1}


def _ns(time: bytes | None) -> int:
    """A time in ms, us or ns as ns; the number of digits tells which, from 2001 to 2286."""
    scale = _SCALES.get(len(time)) if time else None
    return int(time) * scale if time and scale else NO_TIME
