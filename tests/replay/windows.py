"""Streams of trades and snapshots alone, and what an inference in plain Python makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st
from tests.replay.streams import LAKE, MS, Market, Message
from tests.replay.twin import Sides, Stated, put

from rlx_datapipe.core.event import NONE, Flag, Kind, Side


class Row(NamedTuple):
    """One row that comes out: an event of the source, or a change that was inferred from it."""

    message: int
    kind: Kind
    update_id: int
    side: int
    price: int
    quantity: int
    flags: int


@dataclass
class Plain:
    """The rules of docs/strategies.md, with two dictionaries."""

    book: Sides | None = None
    traded: set[tuple[int, int]] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)
    filled: int = 0
    short: int = 0
    absent: int = 0
    books: list[tuple[int, Sides]] = field(default_factory=list)
    """The book behind each snapshot that was met, with the message's number."""

    def take(self, number: int, message: Message) -> None:
        """Take in one message."""
        if message.kind == Kind.BOOK_SNAPSHOT and not message.flags & Flag.LATE and self.book is not None:
            self._close(number, message)
        if message.kind != Kind.BOOK_DELTA:
            self._copy(number, message)
        if message.kind == Kind.TRADE:
            self._trade(number, message)
        if message.kind == Kind.BOOK_SNAPSHOT and (self.book is None or not message.flags & Flag.LATE):
            if self.book is None:
                self.book = ({}, {})
                put(self.book, message.levels)
            self.books.append((number, (dict(self.book[0]), dict(self.book[1]))))

    def _copy(self, number: int, message: Message) -> None:
        own = message.flags | (0 if message.levels else Flag.EMPTY_GROUP)
        for level in message.levels or ((NONE, NONE, NONE),):
            self.rows.append(Row(number, message.kind, message.update_id, *level, own))

    def _change(self, number: int, update_id: int, side: int, price: int, quantity: int) -> None:
        assert self.book is not None
        put(self.book, [(side, price, quantity)])
        told = Row(number, Kind.BOOK_DELTA, update_id, side, price, quantity, int(Flag.INFERRED))
        self.rows.append(told)

    def _trade(self, number: int, message: Message) -> None:
        key = (message.time, message.trade_id)
        is_first = key not in self.traded
        self.traded.add(key)
        if self.book is None or not is_first or message.flags & (Flag.NOT_MARKET | Flag.LATE):
            return
        own, price, quantity = message.levels[0]
        hit = 1 - own
        for gone in self._through(hit, price):
            if gone != price:
                self._change(number, NONE, hit, gone, 0)
        held = self.book[hit].get(price, 0)
        if held:
            self._change(number, NONE, hit, price, max(0, held - quantity))
        for gone in self._through(own, price):
            self._change(number, NONE, own, gone, 0)
        self.filled += held >= quantity
        self.short += 0 < held < quantity
        self.absent += held == 0

    def _through(self, side: int, price: int) -> list[int]:
        """Levels at a price or better, best first."""
        assert self.book is not None
        held = sorted(self.book[side], reverse=side == Side.BID)
        return [one for one in held if (one >= price if side == Side.BID else one <= price)]

    def _close(self, number: int, message: Message) -> None:
        assert self.book is not None
        stated = Stated(message)
        for side in Side:
            covered = {price for price in self.book[side] if stated.knows(side, price)}
            for price in sorted(covered | stated.sides[side].keys(), reverse=side == Side.BID):
                quantity = stated.sides[side].get(price, 0)
                if quantity != (self.book[side].get(price, 0) if price in covered else 0):
                    self._change(number, message.update_id, int(side), price, quantity)


def infer_plainly(messages: list[Message]) -> Plain:
    plain = Plain()
    for number, message in enumerate(messages, 1):
        plain.take(number, message)
    return plain


class Sampled(Market):
    """A market that tells of trades and snapshots, now and then of a delta that nobody asked for."""

    def __init__(self, random: Random, step: int) -> None:
        super().__init__(LAKE, random, step)

    def go_on(self) -> None:
        self.last_id += self.random.randint(1, 9)
        self.change(self.random.randint(1, 4))

    def sweep(self) -> None:
        """Trades of one taker through several levels, or of more than there is."""
        side = self.random.choice(tuple(Side))
        held = sorted(self.sides[1 - side], reverse=1 - side == Side.BID)
        for price in held[: self.random.randint(1, 6)]:
            self.trade_id += 1
            quantity = self.random.choice((1, 2, 3, 2**62))
            level = (int(side), price, quantity)
            self.tell(Message(Kind.TRADE, self.time, levels=(level,), trade_id=self.trade_id))

    def repeat_trade(self) -> None:
        trades = [m for m in self.told if m.kind == Kind.TRADE and m.time == self.time]
        if trades:
            self.tell(self.random.choice(trades))

    def send_late(self) -> None:
        """Something that comes too late to be put in its place."""
        late = self.snapshot() if self.random.random() < 0.5 else None
        if late is None:
            self.trade()
            late = self.told.pop()
        self.tell(replace(late, flags=late.flags | int(Flag.LATE)))

    def send_unsorted_snapshot(self) -> None:
        plain = self.snapshot(limit=4)
        bids = [level for level in plain.levels if level[0] == Side.BID]
        asks = [level for level in plain.levels if level[0] == Side.ASK]
        if len(bids) < 5 and len(asks) < 5:
            self.tell(replace(plain, levels=(*reversed(bids), *reversed(asks))))

    def send_equal_snapshot(self) -> None:
        self.tell(self.snapshot(limit=3, update_id=NONE if self.random.random() < 0.2 else None))

    def step_on(self) -> None:
        self.time += self.random.choice((1, 30, 100)) * MS


OPS = (
    *("go_on",) * 5,
    *("step_on",) * 4,
    *("trade",) * 4,
    *("send_snapshot",) * 4,
    *("sweep",) * 2,
    *("send_equal_snapshot",) * 2,
    "repeat_trade",
    "send_late",
    "send_unsorted_snapshot",
    "send_empty_snapshot",
    "send_delta",
    "reset_ids",
    "move",
    "send_odd_price",
)


@st.composite
def sampled_streams(draw: st.DrawFn, max_size: int = 45) -> list[Message]:
    """Messages of a source without deltas that count, in the total order."""
    market = Sampled(Random(draw(st.integers(0, 2**32))), draw(st.sampled_from((1, 10))))
    for op in draw(st.lists(st.sampled_from(OPS), min_size=1, max_size=max_size)):
        getattr(market, op)()
    told: list[Any] = market.told
    return told
