"""An own reading of a capture: gzip, json, Decimal and dictionaries; nothing of the package is used."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any

Book = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]
Ladder = list[tuple[Decimal, Decimal]]
_RANK = {"TRADE": 0, "BOOK_SNAPSHOT": 1, "BOOK_DELTA": 2}


@dataclass(frozen=True)
class Row:
    """One event as the documents describe it; ``message`` counts the lines of the capture."""

    kind: str
    time: int
    received: int
    message: int
    side: str
    price: Decimal
    quantity: Decimal
    update: int = -1
    trade: int = -1
    first: int = -1
    previous: int = -1


@dataclass
class State:
    """The book after an event; empty and not valid where there is none."""

    valid: bool = False
    book: Book = field(default_factory=lambda: ({}, {}))

    def ladders(self) -> tuple[Ladder, Ladder]:
        bids, asks = self.book
        return sorted(bids.items(), reverse=True), sorted(asks.items())


def messages(paths: Iterable[Path]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Receive time in ns and body of each line; files are read in the order given."""
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open() as lines:
            for line in lines:
                stamp, _, text = line.partition(" ")
                body = json.loads(text)
                yield int(stamp) * 10 ** (19 - len(stamp)), body.get("data", body)


def kind_of(body: dict[str, Any]) -> str:
    """Type of a message: spot's bookTicker and snapshots do not name theirs."""
    if "lastUpdateId" in body:
        return "snapshot"
    return str(body.get("e", "bookTicker"))


def events_of(paths: Iterable[Path]) -> list[Row]:
    """All events of a capture in the documented order: time, update id, kind, arrival."""
    rows: list[Row] = []
    timeless: list[tuple[int, int, dict[str, Any]]] = []
    for message, (received, body) in enumerate(messages(paths)):
        kind = kind_of(body)
        if kind == "trade":
            price, quantity = Decimal(body["p"]), Decimal(body["q"])
            side = "sell" if body["m"] else "buy"
            time = body["T"] * 10**6
            rows.append(Row("TRADE", time, received, message, side, price, quantity, trade=body["t"]))
        elif kind == "depthUpdate":
            rows += _levels(message, received, body, body.get("T", body["E"]) * 10**6)
        elif kind == "snapshot" and "T" in body:
            rows += _levels(message, received, body, body["T"] * 10**6)
        elif kind == "snapshot":
            timeless.append((message, received, body))
    for message, received, body in timeless:
        # Right before the first delta that is newer than it.
        newer = [row for row in rows if row.kind == "BOOK_DELTA" and row.update > body["lastUpdateId"]]
        time = min(newer, key=lambda row: row.update).time if newer else max(row.time for row in rows)
        rows += _levels(message, received, body, time)
    return sorted(rows, key=lambda row: (row.time, row.update, _RANK[row.kind], row.message))


def _levels(message: int, received: int, body: dict[str, Any], time: int) -> list[Row]:
    delta = "u" in body
    sides = (("bid", body["b" if delta else "bids"]), ("ask", body["a" if delta else "asks"]))
    return [
        Row(
            kind="BOOK_DELTA" if delta else "BOOK_SNAPSHOT",
            time=time,
            received=received,
            message=message,
            side=side,
            price=Decimal(price),
            quantity=Decimal(quantity),
            update=body["u"] if delta else body["lastUpdateId"],
            first=body.get("U", -1),
            previous=body.get("pu", -1),
        )
        for side, levels in sides
        for price, quantity in levels
    ]


class PlainReplay:
    """The exchange's published rule, in the plainest words, over dictionaries."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.state = State()
        self.applied = 0
        self.changes = 0
        self._last = -1
        self._fresh = False

    def states(self) -> Iterator[tuple[int, State]]:
        """Each event's number and the state after it; a group counts with its last row.

        The state is changed in place: copy what is to be kept.
        """
        start = 0
        while start < len(self.rows):
            stop = start + 1
            while stop < len(self.rows) and self.rows[stop].message == self.rows[start].message:
                stop += 1
            for number in range(start, stop - 1):
                yield number, self.state if not self._loses(start) else State()
            self._take(self.rows[start:stop])
            yield stop - 1, self.state
            start = stop

    def _loses(self, start: int) -> bool:
        """Whether the group at ``start`` shows a gap: the book is lost with its first row."""
        row = self.rows[start]
        return row.kind == "BOOK_DELTA" and self.state.valid and self._verdict(row) == "gap"

    def _verdict(self, row: Row) -> str:
        futures = row.previous >= 0
        if self._fresh:
            if row.update < self._last or (row.update == self._last and not futures):
                return "old"
            return "apply" if row.first <= self._last + (not futures) <= row.update else "gap"
        if futures:
            return "apply" if row.previous == self._last else "gap"
        return "apply" if row.first == self._last + 1 else "gap"

    def _take(self, group: list[Row]) -> None:
        row = group[0]
        if row.kind == "BOOK_SNAPSHOT" and not self.state.valid:
            self.state = State(True, ({}, {}))
            self._set(group)
            self._last, self._fresh = row.update, True
        elif row.kind == "BOOK_DELTA" and self.state.valid:
            verdict = self._verdict(row)
            if verdict == "gap":
                self.state = State()
                self.changes += 1
            elif verdict == "apply":
                self._set(group)
                self.applied += 1
                self._last, self._fresh = row.update, False

    def _set(self, group: list[Row]) -> None:
        self.changes += 1
        for row in group:
            side = self.state.book[row.side == "ask"]
            if row.quantity:
                side[row.price] = row.quantity
            else:
                side.pop(row.price, None)


def best(state: State) -> tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]:
    """Best bid price and quantity, best ask price and quantity."""
    bids, asks = state.book
    bid = max(bids.items(), key=itemgetter(0), default=(None, None))
    ask = min(asks.items(), key=itemgetter(0), default=(None, None))
    return *bid, *ask


def states_at(rows: list[Row], wanted: Iterable[int]) -> dict[int, tuple[bool, Ladder, Ladder]]:
    """Whether there is a book, its bids and its asks after each of some events, brute force."""
    chosen = set(wanted)
    return {
        number: (state.valid, *state.ladders())
        for number, state in PlainReplay(rows).states()
        if number in chosen
    }
