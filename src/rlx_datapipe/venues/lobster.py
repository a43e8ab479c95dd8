"""LOBSTER: pairs of a message file and an orderbook file for one NASDAQ ticker and day.

What is known of the format, from the readme inside its sample files (version of 1 September 2013):

- ``TICKER_YYYY-MM-DD_START_END_message_LEVELS.csv`` has a row for each event that touches the best LEVELS
  levels of a side, ``..._orderbook_LEVELS.csv`` as many rows: those levels after each event. No headings.
- Message columns: time in seconds after midnight in New York, down to the nanosecond; type; order id;
  size in shares; price in dollars times 10,000; direction of the order that rests, 1 buy, -1 sell.
- Orderbook columns: ask price, ask size, bid price, bid size of level 1, then of level 2, and so on. Levels
  that are not there have the price 9999999999 (asks) or -9999999999 (bids) and the size 0.
- A trading halt is a message of type 7 with price -1; quoting resumes with price 0, trading with price 1.
- There is no other id than that of the order: neither of messages nor of trades.
"""

from __future__ import annotations

import datetime as dt
import re
from enum import IntEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.sequence import Link, SequenceRule

FORMAT = "lobster"
EXCHANGE = "NASDAQ"
PRICE_DECIMALS, QUANTITY_DECIMALS = 4, 0
PRICE_STEP = 100
"""A cent. Hidden orders may execute between; then the book's window becomes finer by itself."""
ZONE = "America/New_York"
NO_ASK, NO_BID = 9_999_999_999, -9_999_999_999
LEVELS_MAX = 1000
"""More levels than anyone asks for; a row of so many is no longer than 50 kB."""
VALUE_MAX = 2**61 - 1
"""Largest price or size that is accepted."""
NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S

SEQUENCE = SequenceRule(
    link=Link.UNPROVABLE,
    keeps_equal=False,
    source="LOBSTER sample readme: messages have no ids; rows are numbered as they stand in the file, "
    "and each is held against its row of the orderbook file",
)

MESSAGE_FIELDS = ("time", "type", "order_id", "size", "price", "direction")
MESSAGE_DECIMALS = np.array([9, 0, 0, 0, 0, 0], dtype=np.int64)
TIME, TYPE, ORDER, SIZE, PRICE, DIRECTION = range(6)
LEVEL_FIELDS = ("ask_price", "ask_size", "bid_price", "bid_size")


class Type(IntEnum):
    """What a message tells."""

    NEW = 1
    CANCEL = 2
    """A part of an order is withdrawn."""
    DELETE = 3
    EXECUTION = 4
    """Of a visible order."""
    HIDDEN = 5
    """Execution of a hidden order, which no level shows."""
    CROSS = 6
    """An auction: a trade without an aggressor."""
    HALT = 7


TYPE_NAMES = {kind: kind.name.lower() for kind in Type}
HALTS = {-1: "trading halted", 0: "quoting resumed", 1: "trading resumed"}

_NAME = re.compile(
    r"(?P<ticker>[A-Za-z0-9][A-Za-z0-9.+=-]{0,15})_(?P<date>\d{4}-\d{2}-\d{2})_(?P<window>\d+_\d+)"
    r"_(?P<kind>message|orderbook)_(?P<levels>\d{1,4})\.csv",
    re.ASCII,
)
_MESSAGE_LINE = re.compile(rb"\d{1,5}(?:\.\d+)?,[1-7],-?\d+,\d+,-?\d+,-?1\r?", re.ASCII)
_BOOK_LINE = re.compile(rb"-?\d+(?:,-?\d+){3,}\r?", re.ASCII)


class Name(msgspec.Struct, frozen=True):
    """What the name of a file says."""

    ticker: str
    date: dt.date
    window: str
    kind: str
    levels: int

    @property
    def other(self) -> str:
        """The name of the file that it makes a pair with."""
        kind = "orderbook" if self.kind == "message" else "message"
        return f"{self.ticker}_{self.date.isoformat()}_{self.window}_{kind}_{self.levels}.csv"


def parse_name(name: str) -> Name | None:
    """What a file's name says, None if it is not the name of a LOBSTER file."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        date = dt.date.fromisoformat(match["date"])
    except ValueError:
        return None
    levels = int(match["levels"])
    if not 1 <= levels <= LEVELS_MAX:
        return None
    return Name(match["ticker"], date, match["window"], match["kind"], levels)


def looks_like_messages(line: bytes) -> bool:
    """Whether a line could stand in a message file."""
    return _MESSAGE_LINE.fullmatch(line) is not None


def levels_of_line(line: bytes) -> int:
    """How many levels a line of an orderbook file has; 0 if it can't be one."""
    columns = line.count(b",") + 1
    return columns // len(LEVEL_FIELDS) if columns % 4 == 0 and _BOOK_LINE.fullmatch(line) else 0


def midnight_ns(date: dt.date) -> int:
    """The moment from which the seconds of a trading day count, in ns UTC.

    Noon in New York less twelve hours: on the two Sundays of the year when the clock is changed, which are no
    trading days, seconds after midnight would not be those of the clock.

    Raises
    ------
    SourceError
        When this machine has no time zones.
    """
    try:
        noon = dt.datetime.combine(date, dt.time(12), tzinfo=ZoneInfo(ZONE))
    except ZoneInfoNotFoundError as error:
        raise SourceError(
            "times are those of New York, and this machine has no time zones",
            expected=ZONE,
            remedy="Install them: the package tzdata of the system, or of Python",
        ) from error
    return (int(noon.timestamp()) - 12 * 3600) * NS_PER_S


def message_fault(row: list[int]) -> tuple[str, str] | None:
    """Field and reason why a message of six whole numbers can't be believed, None if it can."""
    kind, size, price = row[TYPE], row[SIZE], row[PRICE]
    if not 0 <= row[TIME] < NS_PER_DAY:
        return "time", "not a time of the day"
    if kind not in TYPE_NAMES:
        return "type", "unknown type of message"
    if kind == Type.HALT:
        return None if price in HALTS else ("price", "not one of the three signs of a halt")
    if row[DIRECTION] not in (-1, 1):
        return "direction", "neither 1 nor -1"
    if not (0 if kind == Type.CROSS else 1) <= size <= VALUE_MAX:
        return "size", "not a size greater than 0"
    if not 1 <= price <= VALUE_MAX and size:
        return "price", "not a price greater than 0"
    if kind <= Type.EXECUTION and row[ORDER] < 1:
        return "order_id", "not an id of an order"
    return None


def message_faults(rows: Int64Array) -> Int64Array:
    """Indices of the messages, int64 (n, 6), that `message_fault` finds something wrong with."""
    time, kind, order, size, price, direction = rows.T
    is_halt = kind == Type.HALT
    sound = (time >= 0) & (time < NS_PER_DAY) & (kind >= Type.NEW) & (kind <= Type.HALT)
    sound &= is_halt | (np.abs(direction) == 1)
    sound &= is_halt | ((size >= (kind != Type.CROSS)) & (size <= VALUE_MAX))
    sound &= is_halt | ((price >= 1) & (price <= VALUE_MAX)) | (size == 0)
    sound &= (kind > Type.EXECUTION) | (order >= 1)
    sound &= ~is_halt | ((price >= -1) & (price <= 1))
    return np.flatnonzero(~sound)


def row_fault(row: list[int]) -> tuple[str, str] | None:
    """Field and reason why a row of an orderbook file can't be believed, None if it can."""
    for first, none, sign, name in ((0, NO_ASK, 1, "ask"), (2, NO_BID, -1, "bid")):
        last, ended = 0, False
        for level, at in enumerate(range(first, len(row), len(LEVEL_FIELDS)), 1):
            price, size = row[at], row[at + 1]
            if price == none:
                ended = True
                if size:
                    return f"{name}_size_{level}", "a size at a level that is not there"
                continue
            if ended:
                return f"{name}_price_{level}", "a level behind one that is not there"
            if not 1 <= price <= VALUE_MAX:
                return f"{name}_price_{level}", "not a price greater than 0"
            if not 1 <= size <= VALUE_MAX:
                return f"{name}_size_{level}", "not a size greater than 0"
            if level > 1 and price * sign <= last * sign:
                return f"{name}_price_{level}", "not worse than the level before it"
            last = price
    return None


def row_faults(rows: Int64Array) -> Int64Array:
    """Indices of the rows, int64 (n, 4 * levels), that `row_fault` finds something wrong with."""
    bad = np.zeros(len(rows), dtype=np.bool_)
    for first, none, sign in ((0, NO_ASK, 1), (2, NO_BID, -1)):
        prices, sizes = rows[:, first::4], rows[:, first + 1 :: 4]
        absent = prices == none
        sound = np.where(absent, sizes == 0, (prices >= 1) & (prices <= VALUE_MAX) & (sizes >= 1))
        bad |= (~sound | (sizes > VALUE_MAX)).any(axis=1)
        here, before = prices[:, 1:], prices[:, :-1]
        bad |= ~(absent[:, 1:] | (~absent[:, :-1] & (here * sign > before * sign))).all(axis=1)
    return np.flatnonzero(bad)
