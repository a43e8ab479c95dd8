"""The messages that Binance sends, and how one payload becomes one of them or a fault."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec

from rlx_datapipe.core.event import NONE

FOUND_CHARACTERS = 80
"""Longest value told in a reject; the whole message stays in its ``raw``."""

Whole = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Levels: TypeAlias = list[tuple[str, str]]


class DepthUpdate(msgspec.Struct, gc=False):
    """A change of the book: absolute quantities, 0 deletes; spot has no ``T`` and no ``pu``."""

    e: Literal["depthUpdate"]
    event_time: Whole = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    first_id: Whole = msgspec.field(name="U")
    last_id: Whole = msgspec.field(name="u")
    bids: Levels = msgspec.field(name="b")
    asks: Levels = msgspec.field(name="a")
    previous_id: Whole = msgspec.field(name="pu", default=NONE)
    time: Whole = msgspec.field(name="T", default=NONE)


class Trade(msgspec.Struct, gc=False):
    """One execution between one buyer and one seller; futures name its kind in ``X``."""

    e: Literal["trade"]
    symbol: str = msgspec.field(name="s")
    trade_id: Whole = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    quantity: str = msgspec.field(name="q")
    time: Whole = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")
    order_kind: str = msgspec.field(name="X", default="")


class AggregateTrade(msgspec.Struct, gc=False):
    """Executions of one taker order at one price, summed."""

    e: Literal["aggTrade"]
    symbol: str = msgspec.field(name="s")
    trade_id: Whole = msgspec.field(name="a")
    price: str = msgspec.field(name="p")
    quantity: str = msgspec.field(name="q")
    time: Whole = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")
    ignored: bool | msgspec.UnsetType = msgspec.field(name="M", default=msgspec.UNSET)
    order_kind: str = msgspec.field(name="X", default="")


class BookTicker(msgspec.Struct, gc=False):
    """The best prices after an update; spot has neither type nor times."""

    symbol: str = msgspec.field(name="s")
    update_id: Whole = msgspec.field(name="u")
    bid_price: str = msgspec.field(name="b")
    bid_quantity: str = msgspec.field(name="B")
    ask_price: str = msgspec.field(name="a")
    ask_quantity: str = msgspec.field(name="A")
    e: Literal["bookTicker"] = "bookTicker"
    time: Whole = msgspec.field(name="T", default=NONE)
    event_time: Whole = msgspec.field(name="E", default=NONE)


class Snapshot(msgspec.Struct, gc=False):
    """The answer of the REST depth request: the whole book down to its limit."""

    last_id: Whole = msgspec.field(name="lastUpdateId")
    bids: Levels
    asks: Levels
    symbol: str = ""
    event_time: Whole = msgspec.field(name="E", default=NONE)
    time: Whole = msgspec.field(name="T", default=NONE)


class Unknown(NamedTuple):
    """A well-formed message that this parser has no use for, by its name."""

    name: str
    symbol: str = ""


class Fault(NamedTuple):
    """What is wrong with a message: the reason, the field, and the value found there."""

    reason: str
    field: str = ""
    found: str = ""


Message: TypeAlias = DepthUpdate | Trade | AggregateTrade | BookTicker | Snapshot | Unknown | Fault
NAMES: dict[type, str] = {
    DepthUpdate: "depthUpdate",
    Trade: "trade",
    AggregateTrade: "aggTrade",
    BookTicker: "bookTicker",
    Snapshot: "snapshot",
}


class _Open(msgspec.Struct, gc=False):
    """Just enough of any object to tell what it is; empty where a field is absent."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    e: str = ""
    last_id: msgspec.Raw = msgspec.field(name="lastUpdateId", default=msgspec.Raw())
    best_bid: msgspec.Raw = msgspec.field(name="B", default=msgspec.Raw())
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    code: msgspec.Raw = msgspec.Raw()


def _frame(kind: type) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(msgspec.defstruct("Frame", [("stream", str), ("data", kind)], gc=False))


_FRAMES = {
    b"dep": _frame(DepthUpdate),
    b"tra": _frame(Trade),
    b"agg": _frame(AggregateTrade),
    b"boo": _frame(BookTicker),
}
_BODIES: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(kind) for kind, name in NAMES.items()
}
_OPEN = msgspec.json.Decoder(_Open)
_RAW = msgspec.json.Decoder(msgspec.Raw)
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_PATH = re.compile(r"(?P<reason>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_LEVEL = re.compile(r"(b|a|bids|asks)\[(\d+)\]\[([01])\]")
_NUMBERS = {"p": "price", "q": "quantity", "b": "price", "B": "quantity", "a": "price", "A": "quantity"}


def decode(payload: bytes) -> tuple[str, Message]:
    """The stream name (empty where there is none) and the message of one payload; never raises."""
    if payload.startswith(b'{"stream":"'):
        at = payload.find(b"@", 11, 96)
        decoder = _FRAMES.get(payload[at + 1 : at + 4])
        if decoder is not None:
            try:
                frame = decoder.decode(payload)
            except _UNREADABLE:
                # The stream name was only a guess at the type: look again, slowly.
                return _decode_carefully(payload)
            return frame.stream, frame.data
    return _decode_carefully(payload)


def _decode_carefully(payload: bytes) -> tuple[str, Message]:
    stream = ""
    body = payload
    try:
        if payload[:1] == b"[":
            _RAW.decode(payload)
            return stream, Unknown("array")
        head = _OPEN.decode(payload)
        stream = head.stream
        body = bytes(head.data) or payload
        if body[:1] == b"[":
            return stream, Unknown(stream[:FOUND_CHARACTERS])
        if body is not payload:
            head = _OPEN.decode(body)
        name = _name(head)
        decoder = _BODIES.get(name)
        return stream, Unknown(name) if decoder is None else decoder.decode(body)
    except _UNREADABLE as error:
        return stream, explain(body, error)


def _name(head: _Open) -> str:
    """Name of a message's type, as in ``counts``."""
    if head.e:
        return head.e[:FOUND_CHARACTERS]
    if bytes(head.last_id):
        return "snapshot"
    if bytes(head.best_bid):
        return "bookTicker"
    if bytes(head.error) or bytes(head.code):
        return "error"
    return "answer" if bytes(head.result) else "unnamed"


def explain(body: bytes, error: Exception) -> Fault:
    """The fault of a message that does not decode, with the field and value where they are known."""
    if isinstance(error, RecursionError):
        return Fault("nested too deeply")
    if isinstance(error, UnicodeError):
        return Fault("not valid UTF-8")
    if not isinstance(error, msgspec.ValidationError):
        return Fault(f"not valid JSON: {error}")
    match = _PATH.fullmatch(str(error))
    reason, path = (match["reason"], match["path"] or "") if match else (str(error), "")
    if missing := _MISSING.fullmatch(reason):
        return Fault("field is missing", missing[1])
    if level := _LEVEL.fullmatch(path):
        path = f"{level[1]}[{level[2]}].{('price', 'quantity')[int(level[3])]}"
        keys: list[str | int] = [level[1], int(level[2]), int(level[3])]
    else:
        keys = [path]
    number = level is not None or path in _NUMBERS
    if number and reason.endswith(("got `int`", "got `float`")):
        reason = "a JSON number where a string is due"
    return Fault(reason, path, _found(body, keys))


def _found(body: bytes, keys: list[str | int]) -> str:
    try:
        value = msgspec.json.decode(body)
        for key in keys:
            value = value[key]
        return msgspec.json.encode(value).decode()[:FOUND_CHARACTERS]
    except (*_UNREADABLE, LookupError, TypeError, OverflowError):
        return ""
