"""Bitstamp's level-3 feed as recorders log it: a line for each message, ``<ms> <event> <JSON>``.

What is known of the format, from the log of 1 May 2015 (see ``docs/mapping.md``) and Bitstamp's description
of its live orders:

- ``order_created``, ``order_changed`` and ``order_deleted`` carry id, side (``order_type``: 0 bid, 1 ask),
  price, and the quantity left (``amount``). A deleted order whose amount is 0 was executed whole; else that
  much was withdrawn.
- An order that crosses the book is created at its limit, too, and is deleted or changed as it trades, some
  100 ms later. Each trade comes behind the messages of both its orders.
- ``trade`` has price, amount and id; in later logs also ``type``, the aggressor's side. Its numbers may have
  passed through floats.
- ``order_book`` is the book as it was asked for by REST, cut at some levels, without a time of its own.
- ``datetime`` is when an order was created, in whole seconds, whatever happens to it now. So the only time
  of a message is that of the recorder.
- There is no counter of messages.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

import msgspec

from rlx_datapipe.core.sequence import Link, SequenceRule

FORMAT = "bitstamp"
EXCHANGE = "BITSTAMP"
SYMBOL = "BTCUSD"
"""The pair of the feed that names none: the first that Bitstamp had."""

SEQUENCE = SequenceRule(
    link=Link.UNPROVABLE,
    keeps_equal=False,
    source="Bitstamp's live orders have no counter of messages; rows are numbered as they stand in the log",
)

TIME_FROM_MS = 1_293_840_000_000
"""2011, when Bitstamp began; and 2100."""
TIME_TO_MS = 4_102_444_800_000


class Op(IntEnum):
    """What a line tells."""

    CREATED = 0
    CHANGED = 1
    DELETED = 2
    TRADE = 3
    SNAPSHOT = 4


EVENTS = {
    b"order_created": Op.CREATED,
    b"order_changed": Op.CHANGED,
    b"order_deleted": Op.DELETED,
    b"trade": Op.TRADE,
    b"order_book": Op.SNAPSHOT,
}

Number = str | int | float


class Order(msgspec.Struct):
    """An order as the venue tells it."""

    id: int
    order_type: int
    price: Number
    amount: Number


class Trade(msgspec.Struct):
    """A trade as the venue tells it."""

    id: int
    price: Number
    amount: Number
    type: int | None = None


class Book(msgspec.Struct):
    """A book as the venue states it, best levels first: price and quantity of each."""

    bids: list[tuple[Number, Number]]
    asks: list[tuple[Number, Number]]


Message = Order | Trade | Book

_LINE = re.compile(rb"(\d{13}) ([a-z_]+) (\{.*\})\r?", re.ASCII | re.DOTALL)
_DECODERS: dict[Op, msgspec.json.Decoder[Any]] = {
    Op.CREATED: msgspec.json.Decoder(Order),
    Op.CHANGED: msgspec.json.Decoder(Order),
    Op.DELETED: msgspec.json.Decoder(Order),
    Op.TRADE: msgspec.json.Decoder(Trade),
    Op.SNAPSHOT: msgspec.json.Decoder(Book),
}


class Line(msgspec.Struct, frozen=True):
    """One line of a log, read but not yet believed."""

    time_ms: int
    op: Op
    message: Message


class Other(msgspec.Struct, frozen=True):
    """A well-formed line of an event that tells nothing of trades or books."""

    event: str


class Fault(msgspec.Struct, frozen=True):
    """Why a line is not believed."""

    reason: str
    field: str = ""
    found: str = ""


def looks_like_log(line: bytes) -> bool:
    """Whether a line could stand in such a log."""
    match = _LINE.fullmatch(line)
    return match is not None and match[2] in EVENTS


def parse_line(line: bytes) -> Line | Other | Fault:
    """One line read, or what is wrong with it."""
    match = _LINE.fullmatch(line)
    if match is None:
        return Fault("not a line of the form '<ms> <event> <JSON>'")
    time_ms, event = int(match[1]), match[2]
    if not TIME_FROM_MS <= time_ms < TIME_TO_MS:
        return Fault("receive time out of range (2011 to 2100)", "time", match[1].decode())
    op = EVENTS.get(event)
    if op is None:
        return Other(event.decode())
    try:
        message: Message = _DECODERS[op].decode(match[3])
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        return Fault(f"not a message of its event: {error}")
    if isinstance(message, Order):
        if message.order_type not in (0, 1):
            return Fault("neither bid (0) nor ask (1)", "order_type", str(message.order_type))
        if not 0 < message.id < 1 << 62:
            return Fault("not an id of an order", "id", str(message.id))
    elif isinstance(message, Trade):
        if message.type not in (None, 0, 1):
            return Fault("neither bought (0) nor sold (1)", "type", str(message.type))
        if not 0 <= message.id < 1 << 62:
            return Fault("not an id of a trade", "id", str(message.id))
    return Line(time_ms, op, message)
