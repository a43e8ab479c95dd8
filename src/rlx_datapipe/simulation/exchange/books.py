"""The book behind the REST answers: seeded by the recording's own snapshots, moved by what has been sent."""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple, Protocol

import numpy as np

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.quotes import Levels
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.core.feed import Frames
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.venues.binance import MARKETS, Market, parse

RECENT_MAX = 2048
"""Depth messages kept to join a snapshot that was taken before they were sent."""
_WAITING_MAX = 256
"""Depth messages after which the book is moved even if nobody asks for it."""
_TIME = re.compile(rb'"([ET])"\s*:\s*(\d+)')
_LEVEL = re.compile(rb'\[\s*"\d+(?:\.(\d+))?"\s*,\s*"\d+(?:\.(\d+))?"\s*\]')


class Statement(NamedTuple):
    """The book at one moment: what a REST snapshot says.

    ``event_time`` and ``time`` are ``E`` and ``T`` in the unit of the feed, NONE where it has none; levels
    are scaled integers, best first; ``places`` are the decimals in which prices and quantities are written.
    """

    last_id: int
    event_time: int
    time: int
    levels: Levels
    places: tuple[int, int]


class BookSource(Protocol):
    """Where an exchange takes its snapshots from; a recording's own, or a simulated market's true book."""

    @property
    def sent_count(self) -> int:
        """Depth messages sent so far."""

    @property
    def recorded(self) -> bytes | None:
        """The last snapshot of the recording that was passed, as received."""

    def sent(self, data: bytes) -> None:
        """Take in that a depth message was sent."""

    def stated(self, body: bytes) -> None:
        """Take in a snapshot at its place in the recording."""

    def statement(self) -> Statement | None:
        """The book after the last message sent; None where there is none."""

    def older(self, messages: int) -> Statement | None:
        """A book at least so many depth messages old, for a fault; None where none is kept."""

    def ahead(self, upcoming: list[bytes]) -> Statement | None:
        """The book as it will be after messages not sent yet, for a fault."""

    def clear(self) -> None:
        """Forget everything: the recording begins anew."""


class ServedBook:
    """The book of one symbol, moved lazily: messages wait until somebody asks or many have come.

    Parameters
    ----------
    instrument, market
        Scales, and the sequence rule that tells a break.
    mark_every
        Depth messages between the copies kept for `older`; 0 keeps none.
    """

    def __init__(self, instrument: Instrument, market: Market, *, mark_every: int = 0) -> None:
        self._instrument, self._market, self._mark_every = instrument, market, mark_every
        self.clear()

    def clear(self) -> None:
        """Forget everything: the recording begins anew."""
        self.sent_count = 0
        self.recorded: bytes | None = None
        self._waiting: list[bytes] = []
        self._recent: deque[bytes] = deque(maxlen=RECENT_MAX)
        self._chain: _Chain | None = None
        self._marks: deque[tuple[int, Statement]] = deque(maxlen=64)
        self._places = (0, 0)

    def sent(self, data: bytes) -> None:
        """Take in that a depth message was sent."""
        self.sent_count += 1
        self._waiting.append(data)
        if len(self._waiting) >= _WAITING_MAX:
            self._move()
        if self._mark_every and self.sent_count % self._mark_every == 0:
            mark = self.statement()
            if mark is not None:
                self._marks.append((self.sent_count, mark))

    def stated(self, body: bytes) -> None:
        """Begin a new book with a snapshot, if the messages kept join it; else the old one goes on."""
        self._move()
        self.recorded = body
        events = self._parsed([body])
        if not events.shape[1] or events[Field.KIND, 0] != Kind.BOOK_SNAPSHOT:
            return
        chain = _Chain(self._market.rule.link, events, body, self._instrument.price_step)
        chain.apply(self._parsed(list(self._recent)), self._recent[-1] if self._recent else body)
        if chain.is_whole:
            self._chain = chain
            self._places = places_of(body)

    def statement(self) -> Statement | None:
        """The book after the last message sent; None where there is none."""
        self._move()
        return None if self._chain is None else self._chain.statement(self._places)

    def older(self, messages: int) -> Statement | None:
        """A book at least so many depth messages old; None where none is kept."""
        for count, mark in reversed(self._marks):
            if count + messages <= self.sent_count:
                return mark
        return None

    def ahead(self, upcoming: list[bytes]) -> Statement | None:
        """The book as it will be after messages not sent yet."""
        self._move()
        if self._chain is None or not upcoming:
            return None
        later = self._chain.copy()
        later.apply(self._parsed(upcoming), upcoming[-1])
        return later.statement(self._places) if later.is_whole else None

    def _move(self) -> None:
        """Apply what waits; behind a break there is no book until the next snapshot."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._recent.extend(waiting)
        if self._chain is not None:
            self._chain.apply(self._parsed(waiting), waiting[-1])
            if not self._chain.is_whole:
                self._chain = None

    def _parsed(self, payloads: list[bytes]) -> Int64Array:
        count = range(len(payloads))
        frames = Frames.of(count, [0] * len(payloads), payloads)
        return parse(frames, "", self._instrument, self._market, "trade").events


class _Chain:
    """An unbroken stretch of a book: a snapshot, and the deltas that follow it by the venue's rule."""

    def __init__(self, link: Link, snapshot: Int64Array, body: bytes, tick: int) -> None:
        self._is_futures = link is Link.PREVIOUS_ID
        self._engine = OrderBookEngine(tick)
        self._last = body
        self._is_joined = False
        self.last_id = int(snapshot[Field.UPDATE_ID, 0])
        self.is_whole = True
        self._apply_rows(snapshot)

    def copy(self) -> _Chain:
        """The same, to be gone on with apart."""
        other = _Chain.__new__(_Chain)
        other.__dict__.update(self.__dict__)
        other._engine = OrderBookEngine.from_array(self._engine.to_array())
        return other

    def apply(self, events: Int64Array, last: bytes) -> None:
        """Apply deltas, int64 (FIELDS, n), message by message until one does not follow."""
        if not events.shape[1]:
            return
        ids = events[Field.MESSAGE]
        starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
        heads = events[:, starts]
        stops = [*starts[1:].tolist(), events.shape[1]]
        taken = np.zeros(events.shape[1], dtype=bool)
        for start, stop, first, final, previous in zip(
            starts.tolist(),
            stops,
            heads[Field.FIRST_ID].tolist(),
            heads[Field.UPDATE_ID].tolist(),
            heads[Field.PREVIOUS_ID].tolist(),
            strict=True,
        ):
            if self._is_old(final):
                continue
            if not self._follows(first, final, previous):
                self.is_whole = False
                break
            taken[start:stop] = True
            self.last_id, self._is_joined = final, True
        if taken.any():
            self._last = last
            self._apply_rows(events[:, taken])

    def _is_old(self, final: int) -> bool:
        if self._is_futures and not self._is_joined:
            return final < self.last_id
        return final <= self.last_id

    def _follows(self, first: int, final: int, previous: int) -> bool:
        if not self._is_futures:
            return first <= self.last_id + 1
        if self._is_joined or previous == self.last_id:
            return previous == self.last_id
        return first <= self.last_id <= final

    def _apply_rows(self, events: Int64Array) -> None:
        rows = events[:, events[Field.FLAGS] & Flag.EMPTY_GROUP == 0]
        self._engine.apply(rows[Field.SIDE], rows[Field.PRICE], rows[Field.QUANTITY])

    def statement(self, places: tuple[int, int]) -> Statement:
        """What a snapshot taken now says."""
        times = {name: int(digits) for name, digits in reversed(_TIME.findall(self._last[:200]))}
        event_time, time = times.get(b"E", NONE), times.get(b"T", NONE)
        return Statement(self.last_id, event_time, time, self._engine.levels(), places)


def warm_up() -> None:
    """Have the kernels compiled before anyone is served, not while: it may take seconds."""
    market = MARKETS["binance-spot"]
    book = ServedBook(Instrument("BINANCE", "X", 0, 0), market)
    book.stated(b'{"lastUpdateId":1,"bids":[["1","1"]],"asks":[["2","1"]]}')
    book.sent(b'{"e":"depthUpdate","E":1700000000000,"s":"X","U":2,"u":2,"b":[["1","2"]],"a":[]}')
    book.statement()
    # A price between two ticks moves all levels, as growth does.
    OrderBookEngine(2).set_level(Side.BID, 3, 1)
    book.ahead([b'{"e":"depthUpdate","E":1700000000000,"s":"X","U":3,"u":3,"b":[["1","0"]],"a":[]}'])


def places_of(body: bytes) -> tuple[int, int]:
    """Decimals in which a snapshot writes its prices and quantities, by its first level."""
    match = _LEVEL.search(body)
    return (len(match[1] or b""), len(match[2] or b"")) if match else (0, 0)
