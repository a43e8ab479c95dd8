"""Random streams of ordered messages, with everything that a feed can do wrong, as messages and as events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import numpy as np
from hypothesis import strategies as st

from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side, empty_events
from rlx_datapipe.core.sequence import Link, SequenceRule

SPOT = SequenceRule(Link.FIRST_ID, keeps_equal=False, source="spot")
FUTURES = SequenceRule(Link.PREVIOUS_ID, keeps_equal=True, source="futures")
LAKE = SequenceRule(Link.UNPROVABLE, keeps_equal=False, source="lake")
RULES = (SPOT, FUTURES, LAKE)

START = 1_700_000_000_000_000_000
MS = 1_000_000

Level = tuple[int, int, int]
"""Side, price, quantity."""


@dataclass(frozen=True)
class Message:
    """One message of a stream, before it becomes columns."""

    kind: Kind
    time: int
    update_id: int = NONE
    first_id: int = NONE
    previous_id: int = NONE
    levels: tuple[Level, ...] = ()
    trade_id: int = NONE
    flags: int = 0

    @property
    def rows(self) -> int:
        return max(1, len(self.levels))


def to_events(messages: list[Message], first: int = 1) -> Int64Array:
    """Events of the messages, numbered from ``first``; one without levels has one row without side."""
    events = empty_events(sum(message.rows for message in messages))
    at = 0
    for number, message in enumerate(messages, first):
        levels = message.levels or ((NONE, NONE, NONE),)
        flags = message.flags | (0 if message.levels else Flag.EMPTY_GROUP)
        for side, price, quantity in levels:
            column = dict.fromkeys(Field, NONE) | {
                Field.KIND: message.kind,
                Field.ORDER_TIME: message.time,
                Field.ORIGIN_TIME: message.time,
                Field.RECEIVED_TIME: message.time + 5,
                Field.UPDATE_ID: message.update_id,
                Field.FIRST_ID: message.first_id,
                Field.PREVIOUS_ID: message.previous_id,
                Field.TRADE_ID: message.trade_id,
                Field.SIDE: side,
                Field.PRICE: price,
                Field.QUANTITY: quantity,
                Field.FLAGS: flags,
                Field.MESSAGE: number,
            }
            events[:, at] = [column[field] for field in Field]
            at += 1
    return events


class Market:
    """A book that changes at random and tells of it, truly or not, as one of the feeds would."""

    def __init__(self, rule: SequenceRule, random: Random, step: int = 1) -> None:
        self.rule, self.random, self.step = rule, random, step
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.last_id, self.sent_id = 1_000, 1_000
        self.time, self.mid, self.trade_id = START, 50_000, 100
        self.told: list[Message] = []
        self.change(8)

    def change(self, count: int) -> list[Level]:
        """Change that many levels, mostly near the middle, now and then far away."""
        levels = []
        for _ in range(count):
            side = self.random.choice((Side.BID, Side.ASK))
            away = self.random.choice((-1, 0, 1, 1, 2, 2, 3, 5, 8, 13, 40, 100_000))
            quantity = self.random.choice((0, 0, 1, 2, 3, 2**62))
            if away == -1:
                quantity = self.random.choice((0, 0, 0, 1))
            price = max(1, self.mid - away if side == Side.BID else self.mid + away) * self.step
            if quantity:
                self.sides[side][price] = quantity
            else:
                self.sides[side].pop(price, None)
            levels.append((int(side), price, quantity))
        return levels

    def tell(self, message: Message) -> None:
        self.told.append(message)

    def delta(self, count: int | None = None) -> Message:
        """The next delta, not yet told."""
        count = self.random.choice((1, 1, 2, 3, 5)) if count is None else count
        first = self.last_id + (1 if self.rule.link != Link.PREVIOUS_ID else self.random.randint(1, 3))
        self.last_id = first + self.random.randint(0, 3)
        message = Message(
            Kind.BOOK_DELTA,
            self.time,
            self.last_id,
            NONE if self.rule.link == Link.UNPROVABLE else first,
            self.sent_id if self.rule.link == Link.PREVIOUS_ID else NONE,
            tuple(self.change(count)),
        )
        self.sent_id = self.last_id
        return message

    def snapshot(self, limit: int | None = None, update_id: int | None = None, flags: int = 0) -> Message:
        """The book as the venue states it, not yet told."""
        limit = self.random.choice((3, 5, 10, 1000)) if limit is None else limit
        levels = []
        for side in Side:
            held = sorted(self.sides[side].items(), reverse=side == Side.BID)
            levels += [(int(side), price, quantity) for price, quantity in held[:limit]]
        stated = self.last_id if update_id is None else update_id
        return Message(
            Kind.BOOK_SNAPSHOT, self.time, stated, NONE, NONE, tuple(levels), flags=flags | self.sampled
        )

    @property
    def sampled(self) -> int:
        return int(Flag.SAMPLED) if self.rule.link == Link.UNPROVABLE else 0

    # What may happen; each tells none, one or several messages.

    def wait(self) -> None:
        self.time += self.random.choice((1, 30, 99, 100, 101, 5_000, 9_000, 10_001)) * MS

    def send_delta(self) -> None:
        self.tell(self.delta())

    def send_empty_delta(self) -> None:
        self.tell(self.delta(0))

    def lose_deltas(self) -> None:
        for _ in range(self.random.choice((1, 1, 2, 5))):
            self.delta()

    def repeat_delta(self) -> None:
        deltas = [message for message in self.told if message.kind == Kind.BOOK_DELTA]
        if deltas:
            again = deltas[-1] if self.random.random() < 0.6 else self.random.choice(deltas)
            late = Flag.LATE if self.random.random() < 0.3 else 0
            # A repeat keeps its own time, so it comes at the present time only if nothing newer came.
            if again.time == self.time or late:
                self.tell(replace(again, time=self.time, flags=int(late)))

    def reset_ids(self) -> None:
        self.time += MS
        self.last_id = self.sent_id = self.random.randint(1, 500)

    def trade(self) -> None:
        if self.random.random() < 0.8:
            self.trade_id += 1
        side = self.random.choice(tuple(Side))
        flags = self.random.choice((0, 0, 0, int(Flag.NOT_MARKET)))
        level = (int(side), (self.mid + self.random.randint(-2, 2)) * self.step, 1)
        self.tell(Message(Kind.TRADE, self.time, levels=(level,), trade_id=self.trade_id, flags=flags))

    def send_snapshot(self) -> None:
        self.tell(self.snapshot())

    def send_view(self) -> None:
        """The best levels alone, flagged as cut there."""
        self.tell(self.snapshot(limit=self.random.choice((1, 3, 7)), flags=int(Flag.REVEALED)))

    def send_wrong_snapshot(self) -> None:
        exact, held = self.snapshot(), self.sides
        self.sides = (dict(held[0]), dict(held[1]))
        self.change(self.random.randint(1, 3))
        wrong = self.snapshot(limit=max(3, len(exact.levels)))
        self.sides = held
        self.tell(wrong)

    def send_stale_snapshot(self) -> None:
        self.tell(self.snapshot(update_id=max(0, self.last_id - self.random.randint(1, 9))))

    def send_empty_snapshot(self) -> None:
        self.tell(replace(self.snapshot(), levels=()))

    def send_snapshot_ahead(self) -> None:
        """A snapshot that stands inside the delta after next or so, sent before them."""
        deltas = [self.delta() for _ in range(self.random.choice((0, 0, 1, 2)))]
        before, first = (dict(self.sides[0]), dict(self.sides[1])), self.last_id + 1
        straddling = self.delta(self.random.randint(1, 4))
        after, self.sides = self.sides, before
        for side, price, quantity in straddling.levels[: self.random.randint(0, len(straddling.levels))]:
            self.sides[side][price] = quantity
            if not quantity:
                del self.sides[side][price]
        self.tell(self.snapshot(update_id=self.random.randint(first, self.last_id)))
        self.sides = after
        if self.random.random() < 0.7:
            for message in deltas:
                self.tell(message)
        if self.random.random() < 0.8:
            self.tell(straddling)

    def move(self) -> None:
        self.mid += self.random.choice((-20, 20, 40_000, 200_000))

    def send_odd_price(self) -> None:
        """A delta off the tick, which makes the book's grid finer."""
        delta = self.delta(1)
        price = max(1, self.mid * self.step + 1)
        self.sides[Side.ASK][price] = 9
        self.tell(replace(delta, levels=(*delta.levels, (int(Side.ASK), price, 9))))


OPS = (
    *("send_delta",) * 6,
    *("wait",) * 4,
    *("trade",) * 2,
    *("send_snapshot",) * 3,
    *("send_snapshot_ahead",) * 3,
    "send_view",
    "send_wrong_snapshot",
    "send_stale_snapshot",
    "send_empty_snapshot",
    "send_empty_delta",
    "lose_deltas",
    "repeat_delta",
    "reset_ids",
    "move",
    "send_odd_price",
)


@st.composite
def streams(draw: st.DrawFn, rule: SequenceRule, max_size: int = 45) -> list[Message]:
    """Messages in the total order, with gaps, duplicates, resets and snapshots of every kind."""
    market = Market(rule, Random(draw(st.integers(0, 2**32))), draw(st.sampled_from((1, 10))))
    for op in draw(st.lists(st.sampled_from(OPS), min_size=1, max_size=max_size)):
        getattr(market, op)()
    return market.told


def cut(events: Int64Array, borders: list[int]) -> list[Int64Array]:
    """The events in batches that end at the given messages (taken modulo their number)."""
    ends = np.flatnonzero(np.diff(events[Field.MESSAGE], append=NONE)) + 1
    at = sorted({int(ends[border % len(ends)]) for border in borders}) if len(ends) else []
    return np.split(events, at, axis=1)
