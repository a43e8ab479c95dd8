"""A replay in plain Python: dictionaries, and the published rules message by message."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.replay.streams import Message

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Flag, Kind, Side
from rlx_datapipe.core.sequence import Link, SequenceRule

CUTS = (5, 10, 20, 25, 50, 100, 400, 500, 1000, 5000)
NO_LIMIT = 2**63 - 1
Sides = tuple[dict[int, int], dict[int, int]]


def ladder(sides: Sides, depth: int | None = None) -> list[list[tuple[int, int]]]:
    """Levels of bids and of asks, best first."""
    return [sorted(sides[side].items(), reverse=side == Side.BID)[:depth] for side in Side]


class Stated:
    """What a snapshot says, and from where to where it knows the book."""

    def __init__(self, message: Message) -> None:
        self.update_id = message.update_id
        self.sides: Sides = ({}, {})
        for side, price, quantity in message.levels:
            self.sides[side][price] = quantity
        bids, asks = self.sides
        self.is_view = bool(message.flags & Flag.REVEALED)
        self.cut = tuple(len(side) in CUTS or (self.is_view and bool(side)) for side in self.sides)
        self.low = min(bids) if self.cut[0] else 0
        self.high = max(asks) if self.cut[1] else NO_LIMIT

    def knows(self, side: int, price: int) -> bool:
        return price >= self.low if side == Side.BID else price <= self.high

    def follow(self, message: Message) -> None:
        """Go on by one delta, where the statement knows the book."""
        put(self.sides, [level for level in message.levels if self.knows(level[0], level[1])])


def put(sides: Sides, levels: Any) -> None:
    for side, price, quantity in levels:
        sides[side].pop(price, None)
        if quantity:
            sides[side][price] = quantity


@dataclass
class Event:
    """One published row: of which message, with which best prices, flags, and book after its group."""

    message: int
    time: int
    best: tuple[int, int, int, int]
    flags: int
    book: Sides | None


@dataclass
class Twin:
    """The state, and what came out: events, full books, and what was said of them, in order."""

    rule: SequenceRule
    settings: Settings
    book: Sides | None = None
    update_id: int = NONE
    is_fresh: bool = False
    seen_id: int = NONE
    seen_time: int = NONE
    pending: Stated | None = None
    best: tuple[int, int, int, int] = (NONE,) * 4
    state: int = int(Flag.BOOK_INVALID)
    known: tuple[int, int] = (0, 0)
    invalid_since: int = 0
    odd_since: int = 0
    last_time: int = NONE
    trades: set[tuple[int, int]] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    applied: list[int] = field(default_factory=list)
    keyframes: list[tuple[Any, ...]] = field(default_factory=list)
    said: list[tuple[Any, ...]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    next_keyframe: int = 0

    def __post_init__(self) -> None:
        self.next_keyframe = self.settings.keyframe_events

    def take(self, number: int, message: Message) -> None:
        """Replay one message."""
        if self.last_time != NONE and message.time - self.last_time > self.settings.silence_ms * 1_000_000:
            self.said.append(("silence", len(self.events) - 1, len(self.events)))
        self.last_time = message.time
        kinds = {Kind.TRADE: self.trade, Kind.BOOK_DELTA: self.delta, Kind.BOOK_SNAPSHOT: self.snapshot}
        kinds[message.kind](number, message)
        if len(self.events) >= self.next_keyframe:
            self.keyframe()

    def finish(self) -> None:
        """Say what is open at the end."""
        self.end_odd(len(self.events))
        if self.book is None and self.events:
            self.said.append(("unsynced", self.invalid_since, len(self.events) - 1))
        if self.pending is not None:
            self.said.append(("stale_snapshot", len(self.events) - 1, len(self.events) - 1))

    def publish(self, number: int, message: Message, flags: int = 0, rows: int | None = None) -> None:
        """Make rows events, the last of them the end of its group unless ``rows`` says otherwise."""
        count = message.rows if rows is None else rows
        own = message.flags | (0 if message.levels else Flag.EMPTY_GROUP)
        for row in range(count):
            end = Flag.GROUP_END if rows is None and row == count - 1 else 0
            self.events.append(
                Event(number, message.time, self.best, flags | end | own | self.state, self.copy())
            )

    def copy(self) -> Sides | None:
        return None if self.book is None else (dict(self.book[0]), dict(self.book[1]))

    def trade(self, number: int, message: Message) -> None:
        """Trades of one id and time are one; they leave the book alone."""
        if message.trade_id != NONE and (message.time, message.trade_id) in self.trades:
            self.counts["duplicate"] += 1
            return
        self.trades.add((message.time, message.trade_id))
        side, price, _ = message.levels[0]
        off = (
            self.book is not None and not message.flags & Flag.NOT_MARKET and price not in self.book[1 - side]
        )
        self.counts["trade_off_book"] += off
        self.publish(number, message, Flag.OFF_BOOK if off else 0)

    def delta(self, number: int, message: Message) -> None:
        """Apply, keep or drop a group of changes, by the rule of the venue."""
        update = message.update_id
        is_again = update <= self.seen_id
        if is_again and message.flags & Flag.LATE:
            self.publish(number, message, Flag.NOT_APPLIED)
            return
        if is_again and message.time <= self.seen_time:
            self.counts["duplicate"] += 1
            return
        if is_again:
            self.lose("reset")
        elif self.book is not None and not self.is_old(update) and not self.follows(message):
            if self.bridge(message):
                self.delta(number, message)
                return
            self.lose("gap")
        self.seen_id, self.seen_time = update, max(self.seen_time, message.time)
        if self.book is None or self.is_old(update):
            self.publish(number, message, Flag.NOT_APPLIED)
            return
        self.publish(number, message, rows=message.rows - 1)
        put(self.book, message.levels)
        self.update_id, self.is_fresh = update, False
        self.show()
        self.publish_last(number, message)
        self.applied.append(len(self.events) - 1)
        if self.pending is not None and update >= self.pending.update_id:
            stated, self.pending = self.pending, None
            stated.follow(message)
            changed = self.correct(stated, len(self.events) - 1)
            self.show()
            self.events[-1].book = self.copy()
            if changed:
                self.keyframe()

    def publish_last(self, number: int, message: Message, flags: int = 0) -> None:
        self.publish(number, message, flags | Flag.GROUP_END, rows=1)

    def is_old(self, update: int) -> bool:
        """Whether a snapshot has this delta already (spot drops u <= L, futures u < L)."""
        if not self.is_fresh:
            return False
        return update < self.update_id or (update == self.update_id and not self.rule.keeps_equal)

    def follows(self, message: Message) -> bool:
        """Whether no delta is missing before this one."""
        if self.rule.link == Link.PREVIOUS_ID and not self.is_fresh:
            return message.previous_id == self.update_id
        return self.continues(message, self.update_id)

    def continues(self, message: Message, stated: int) -> bool:
        """Whether no delta is missing between a snapshot and this one."""
        if self.rule.link == Link.FIRST_ID:
            return message.first_id <= stated + 1
        if self.rule.link == Link.PREVIOUS_ID:
            return message.previous_id <= stated or message.first_id <= stated
        return True

    def bridge(self, message: Message) -> bool:
        """Close a gap by a snapshot that waits for this delta."""
        stated, self.pending = self.pending, None
        if stated is None or not self.continues(message, stated.update_id):
            return False
        event = len(self.events)
        self.said += [("gap", event - 1, event), ("resync", event, event)]
        self.load(stated)
        self.show()
        self.keyframe()
        return True

    def lose(self, kind: str) -> None:
        """From the next event on there is no book."""
        event = len(self.events)
        self.said.append((kind, event - 1, event))
        self.end_odd(event)
        if self.book is not None:
            self.invalid_since = event
        self.book, self.pending, self.best = None, None, (NONE,) * 4
        self.state = int(Flag.BOOK_INVALID)

    def load(self, stated: Stated) -> None:
        self.book = (dict(stated.sides[0]), dict(stated.sides[1]))
        self.update_id, self.is_fresh = stated.update_id, True
        self.known = (stated.low, stated.high)

    def snapshot(self, number: int, message: Message) -> None:
        """Start, compare or correct the book by a statement, or set it aside."""
        stated = Stated(message)
        sampled = bool(message.flags & Flag.SAMPLED)
        if sampled and self.book is not None and stated.update_id <= self.update_id:
            if stated.update_id < self.update_id:
                self.counts["stale_check"] += 1
                return
            if stated.is_view:
                self.known = (max(self.known[0], stated.low), min(self.known[1], stated.high))
            if self.is_equal(stated):
                self.counts["check"] += 1
                self.widen(stated)
                return
        if stated.update_id < (self.seen_id if self.book is None else self.update_id):
            self.publish(number, message, Flag.NOT_APPLIED)
            self.said.append(("stale_snapshot", len(self.events) - 1, len(self.events) - 1))
            return
        starts_anew = not sampled and self.rule.link == Link.UNPROVABLE
        if self.book is not None and not sampled and not starts_anew and stated.update_id > self.update_id:
            self.pending = stated
            self.publish(number, message)
            return
        self.publish(number, message, rows=message.rows - 1)
        event = len(self.events)
        if self.book is None:
            self.load(stated)
            self.said.append(("resync", self.invalid_since, event))
        else:
            self.correct(stated, event)
            if starts_anew:
                self.book, self.known = (
                    (dict(stated.sides[0]), dict(stated.sides[1])),
                    (stated.low, stated.high),
                )
            self.is_fresh |= stated.update_id > self.update_id
            self.update_id = stated.update_id
        self.show()
        self.publish_last(number, message, Flag.RESYNC)
        self.keyframe()

    def is_equal(self, stated: Stated) -> bool:
        assert self.book is not None
        for ours, theirs, cut in zip(ladder(self.book), ladder(stated.sides), stated.cut, strict=True):
            if ours[: len(theirs)] != theirs or (len(ours) > len(theirs) and not cut):
                return False
        return True

    def correct(self, stated: Stated, event: int) -> bool:
        """Compare where both know the book, then believe the statement; whether that changed anything."""
        assert self.book is not None
        low, high = max(self.known[0], stated.low), min(self.known[1], stated.high)
        ours, theirs = (
            {
                (side, p): q
                for side in Side
                for p, q in sides[side].items()
                if (p <= high if side else p >= low)
            }
            for sides in (self.book, stated.sides)
        )
        both = ours.keys() & theirs.keys()
        matched = sum(ours[key] == theirs[key] for key in both)
        missing, extra = len(theirs.keys() - both), len(ours.keys() - both)
        best = [
            (min(a) - min(b)) / min(b) if side else (max(a) - max(b)) / max(b)
            for side, (a, b) in enumerate(zip(self.book, stated.sides, strict=True))
            if a and b
        ]
        rms = (sum(x * x for x in best) / 2) ** 0.5 if len(best) == 2 else math.nan
        total = sum(theirs.values())
        depth = abs(sum(ours.values()) - total) / total if total else math.nan
        self.said.append(
            ("drift", event, event, len(both) + missing + extra, matched, missing, extra, rms, depth)
        )
        corrected: Sides = tuple(  # type: ignore[assignment]
            {p: q for p, q in self.book[side].items() if not stated.knows(side, p)} | stated.sides[side]
            for side in Side
        )
        changed = corrected != self.book
        self.book = corrected
        self.widen(stated)
        return changed

    def widen(self, stated: Stated) -> None:
        self.known = (min(self.known[0], stated.low), max(self.known[1], stated.high))

    def show(self) -> None:
        """Take the best prices from the book, and what is odd about them."""
        assert self.book is not None
        bids, asks = ladder(self.book, 1)
        bid, ask = (bids or [(NONE, NONE)])[0], (asks or [(NONE, NONE)])[0]
        self.best = (*bid, *ask)
        odd = 0
        if bids and asks and bid[0] >= ask[0]:
            odd = int(Flag.CROSSED if bid[0] > ask[0] else Flag.LOCKED)
        if odd != self.state & (Flag.CROSSED | Flag.LOCKED):
            self.end_odd(len(self.events))
            self.odd_since = len(self.events)
        low, high = self.known
        beyond = (bid[0] if bids else 0) < low or (ask[0] if asks else NO_LIMIT) > high
        self.state = odd | (Flag.BEYOND_KNOWN if beyond else 0)

    def end_odd(self, event: int) -> None:
        if self.state & Flag.CROSSED:
            self.said.append(("crossed", self.odd_since, event))
        if self.state & Flag.LOCKED:
            self.said.append(("locked", self.odd_since, event))
        self.state &= ~(Flag.CROSSED | Flag.LOCKED)

    def keyframe(self) -> None:
        event = len(self.events)
        if event >= self.next_keyframe:
            every = self.settings.keyframe_events
            self.next_keyframe = (event // every + 1) * every
        if self.book is not None:
            low, high = self.known
            known = (low or NONE, NONE if high == NO_LIMIT else high)
            self.keyframes.append((event - 1, self.update_id, ladder(self.book), known))

    def samples(self) -> list[tuple[int, list[list[tuple[int, int]]]]]:
        """The top of the book after the last event of each interval, where there was a book."""
        every, last = self.settings.books_every_ms * 1_000_000, len(self.events) - 1
        if every:
            chosen = {event.time // every: at for at, event in enumerate(self.events)}.values()
        else:
            chosen = dict.fromkeys([*self.applied, *([last] if last >= 0 else [])])  # type: ignore[assignment]
        return [
            (at, ladder(book, self.settings.books_levels))
            for at in chosen
            if (book := self.events[at].book) is not None
        ]


def replay_plainly(messages: list[Message], rule: SequenceRule, settings: Settings) -> Twin:
    """The twin after all messages."""
    twin = Twin(rule, settings)
    for number, message in enumerate(messages, 1):
        twin.take(number, message)
    twin.finish()
    return twin
