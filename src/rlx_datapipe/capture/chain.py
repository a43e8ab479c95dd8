"""The ids of one stream as a chain: each message is handed over once, what is missing is told as a gap."""

from __future__ import annotations

import heapq
from typing import NamedTuple, Protocol

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.venues.binance_ids import Ids

NONE = -1
RESET_NS = 1_000_000_000
"""Ids that fall while the venue's clock has gone on by more than this have begun anew."""
GAPS_REMEMBERED = 10_000
HOLD_BYTES = 32 * 1024 * 1024


class Told(Protocol):
    """Takes what a chain decides, in its order."""

    def keep(self, arrival: Arrival) -> None:
        """Keep a message."""

    def miss(self, stream: str, from_id: int | None, to_id: int | None, reason: str) -> None:
        """Declare ids missing, both ends included; None where they can't be told."""

    def note(self, kind: str, **facts: object) -> None:
        """Note what happened."""


class Counts:
    """What came of the messages of one stream."""

    __slots__ = ("duplicates", "early", "gaps", "kept", "late", "missing", "resets", "straddling")

    def __init__(self) -> None:
        self.kept = self.duplicates = self.gaps = self.missing = 0
        self.late = self.early = self.resets = self.straddling = 0


class _Held(NamedTuple):
    before: int
    last: int
    order: int
    ids: Ids
    arrival: Arrival


class DenseChain:
    """Continuity of a stream whose every message names its predecessor: depth, trades, aggregate trades.

    The rule is strict, and the same for all: the message goes on behind the last id if it says so (USD-M
    depth: ``pu`` is the last ``u``) or if its first id is the next one. What lies ahead is held for a moment,
    since another connection, or the same one, may still bring what is between; then, or at once where nobody
    listened for a while, the ids between are declared missing, each exactly once. A message whose ids were
    handed over already is dropped and counted; one whose ids were declared missing is kept, with a note that
    withdraws them from the gap.

    Parameters
    ----------
    stream
        Name of the stream.
    told
        Takes what is decided.
    hold_ns
        How long a message ahead waits for those before it, in ns of the steady clock.
    hold_messages, hold_bytes
        How many may wait; one more, and the gap is declared at once.
    """

    def __init__(
        self, stream: str, told: Told, *, hold_ns: int, hold_messages: int, hold_bytes: int = HOLD_BYTES
    ) -> None:
        self._stream, self._told = stream, told
        self.hold_ns = hold_ns
        self._hold_messages, self._hold_bytes = hold_messages, hold_bytes
        self._held_bytes = self._progress_ns = 0
        self._held: list[_Held] = []
        self._gaps: list[tuple[int, int]] = []
        self._gaps_last = NONE
        self._start, self._floor, self._event_ns, self._order = NONE, NONE, NONE, 0
        self._reason = "missing"
        self.last = NONE
        self.span_first = NONE
        self.counts = Counts()

    @property
    def held(self) -> int:
        """Messages that wait for those before them."""
        return len(self._held)

    def resume(self, last_id: int, reason: str) -> None:
        """Go on behind an id that an earlier process kept: what lies between is missing for this reason."""
        self.last, self._start, self._reason = last_id, last_id + 1, reason
        # What came before belongs to the earlier process.
        self._floor = self._start

    def broken(self, reason: str) -> None:
        """Tell that nobody listened for a while, so that a gap that follows has this reason."""
        if self.last != NONE:
            self._reason = reason

    def take(self, ids: Ids, arrival: Arrival) -> None:
        """Take a message as it came."""
        if ids.last_id > self.last:
            before = _before(ids)
            if self.last == NONE:
                self._start = before + 1
                self._pass(ids, arrival)
            elif before <= self.last:
                if before < self.last:
                    self.counts.straddling += 1
                self._pass(ids, arrival)
                if self._held:
                    self._progress_ns = arrival.monotonic_ns
                    self._release()
            else:
                self._order += 1
                self._held_bytes += len(arrival.payload)
                heapq.heappush(self._held, _Held(before, ids.last_id, self._order, ids, arrival))
                is_full = len(self._held) > self._hold_messages or self._held_bytes > self._hold_bytes
                # After a break there is nobody left who could bring what is between.
                if is_full or self._reason != "missing":
                    self._declare()
        else:
            self._behind(ids, arrival)

    def settle(self, now_ns: int, *, at_once: bool = False) -> None:
        """Declare what is still missing before messages that have waited long enough, and hand them over.

        As long as somebody brings what is between, however slowly, nothing is declared.
        """
        while self._held and (at_once or now_ns - self._waiting_since_ns() >= self.hold_ns):
            self._declare()

    def _waiting_since_ns(self) -> int:
        return max(self._progress_ns, min(held.arrival.monotonic_ns for held in self._held))

    def _declare(self) -> None:
        first = self._held[0]
        if first.before > self.last:
            self._miss(self.last + 1, first.before, self._reason)
            self.last = first.before
            self.span_first = first.ids.first_id
        self._release()

    def _miss(self, from_id: int, to_id: int, reason: str) -> None:
        self._told.miss(self._stream, from_id, to_id, reason)
        self.counts.gaps += 1
        self.counts.missing += to_id - from_id + 1
        self._gaps.append((from_id, to_id))
        self._gaps_last = max(self._gaps_last, to_id)
        if len(self._gaps) > GAPS_REMEMBERED:
            # Below what is remembered nothing can be judged: what comes from there is kept.
            self._start = self._floor = self._gaps.pop(0)[1] + 1

    def _release(self) -> None:
        while self._held and self._held[0].before <= self.last:
            held = heapq.heappop(self._held)
            self._held_bytes -= len(held.arrival.payload)
            if held.last > self.last:
                self._pass(held.ids, held.arrival)
            else:
                self._behind(held.ids, held.arrival)

    def _pass(self, ids: Ids, arrival: Arrival) -> None:
        if self.span_first == NONE:
            self.span_first = ids.first_id
        self.last = ids.last_id
        self._event_ns = max(self._event_ns, ids.event_ns)
        self._reason = "missing"
        self.counts.kept += 1
        self._told.keep(arrival)

    def _behind(self, ids: Ids, arrival: Arrival) -> None:
        """Take a message whose ids are not beyond the last one: a duplicate, late, early, or a new count."""
        if ids.event_ns > self._event_ns + RESET_NS:
            self._reset(ids, arrival)
        elif late := self._withdrawn(ids):
            self.counts.late += 1
            for first, last in late:
                self.counts.missing -= last - first + 1
                self._told.note("late", stream=self._stream, from_id=first, to_id=last)
            self.counts.kept += 1
            self._told.keep(arrival)
        elif (before := _before(ids)) + 1 < self._start:
            self.counts.early += 1
            if self._floor <= ids.last_id < self._start - 1:
                self._miss(ids.last_id + 1, self._start - 1, "missing")
            self._start = min(self._start, max(before + 1, self._floor))
            self.counts.kept += 1
            self._told.keep(arrival)
        else:
            self.counts.duplicates += 1

    def _withdrawn(self, ids: Ids) -> list[tuple[int, int]]:
        """The ids of a message that were declared missing, taken out of the gaps."""
        first = _before(ids) + 1
        if first > self._gaps_last:
            return []
        found, left = [], []
        for gap in self._gaps:
            low, high = max(gap[0], first), min(gap[1], ids.last_id)
            if low > high:
                left.append(gap)
                continue
            found.append((low, high))
            left += [part for part in ((gap[0], low - 1), (high + 1, gap[1])) if part[0] <= part[1]]
        if found:
            self._gaps = left
        return found

    def _reset(self, ids: Ids, arrival: Arrival) -> None:
        """Begin anew: the venue counts from somewhere else."""
        self.settle(0, at_once=True)
        self._told.miss(self._stream, None, None, "reset")
        self.counts.gaps += 1
        self.counts.resets += 1
        self._gaps.clear()
        self._gaps_last = NONE
        self._start, self._floor = _before(ids) + 1, NONE
        self.span_first = ids.first_id
        self._pass(ids, arrival)


def _before(ids: Ids) -> int:
    """The id behind which a message says that it follows."""
    return ids.previous_id if ids.previous_id >= 0 else ids.first_id - 1


class SparseChain:
    """De-duplication of a stream whose ids leave room between them: quotes. What it misses can't be told.

    A quote is dropped if one with its id was handed over already, as far as it remembers. After a stretch
    in which nobody listened a gap without ids is declared.

    Parameters
    ----------
    stream
        Name of the stream.
    told
        Takes what is decided.
    remembered
        Ids that are remembered.
    """

    def __init__(self, stream: str, told: Told, *, remembered: int = 20_000) -> None:
        self._stream, self._told, self._remembered = stream, told, remembered
        self._seen: dict[int, None] = {}
        self._reason = ""
        self.last = NONE
        self.span_first = NONE
        self.held = self.hold_ns = 0
        self.counts = Counts()

    def resume(self, last_id: int, reason: str) -> None:
        """Go on behind an id that an earlier process kept."""
        self.last, self._reason = last_id, reason

    def broken(self, reason: str) -> None:
        """Tell that nobody listened for a while."""
        if self.last != NONE:
            self._reason = reason

    def take(self, ids: Ids, arrival: Arrival) -> None:
        """Take a message as it came."""
        number = ids.last_id
        if number in self._seen:
            self.counts.duplicates += 1
            return
        if self._reason:
            self._told.miss(self._stream, None, None, self._reason)
            self.counts.gaps += 1
            self._reason = ""
        self._seen[number] = None
        if len(self._seen) > self._remembered:
            del self._seen[next(iter(self._seen))]
        self.last = max(self.last, number)
        self.counts.kept += 1
        self._told.keep(arrival)

    def settle(self, now_ns: int, *, at_once: bool = False) -> None:
        """Nothing waits here."""


Chain = DenseChain | SparseChain
