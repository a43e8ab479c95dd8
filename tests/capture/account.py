"""Where each id of a capture is: in exactly one recorded message, or in exactly one declared gap."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.venues.binance_ids import read_ids


class ListRecorder:
    """Keeps arrivals in a list."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.ticks = 0
        self.is_closed = False

    def record(self, arrival: Arrival) -> None:
        assert not self.is_closed
        self.arrivals.append(arrival)

    async def tick(self) -> None:
        self.ticks += 1

    def close(self) -> None:
        self.is_closed = True

    def messages(self, stream: str) -> list[Arrival]:
        """Messages of a stream, in their order."""
        return [one for one in self.arrivals if one.kind is RecordKind.MESSAGE and one.stream == stream]

    def told(self, kind: RecordKind) -> list[dict[str, Any]]:
        """What we said of the capture itself."""
        return [json.loads(one.payload) for one in self.arrivals if one.kind is kind]

    def notes(self, kind: str) -> list[dict[str, Any]]:
        """Notes of one kind."""
        return [note for note in self.told(RecordKind.NOTE) if note["kind"] == kind]


@dataclass
class Account:
    """What became of the ids of one stream between the first and the last that was recorded."""

    doubled: list[tuple[int, int]] = field(default_factory=list)
    unaccounted: list[tuple[int, int]] = field(default_factory=list)
    missing: int = 0
    messages: int = 0
    last: int = -1


def account(recorder: ListRecorder, stream: str) -> Account:
    """Lay all messages and gaps of a stream side by side: they must tile the ids.

    By other code than the capture's: from the payloads and the declared gaps alone.
    """
    spans: list[tuple[int, int]] = []
    found = Account()
    for arrival in recorder.messages(stream):
        ids = read_ids(arrival.payload)
        if ids.first_id < 0:
            continue
        spans.append(((ids.previous_id + 1) if ids.previous_id >= 0 else ids.first_id, ids.last_id))
        found.messages += 1
    missing: set[int] = set()
    for gap in recorder.told(RecordKind.GAP):
        if gap["stream"] == stream and gap["from_id"] is not None:
            ids_missing = range(gap["from_id"], gap["to_id"] + 1)
            found.doubled += [(one, one) for one in ids_missing if one in missing]
            missing |= set(ids_missing)
    for late in recorder.notes("late"):
        if late["stream"] == stream:
            missing -= set(range(late["from_id"], late["to_id"] + 1))
    found.missing = len(missing)
    spans += [(one, one) for one in missing]
    spans.sort()
    for before, after in pairwise(spans):
        if after[0] <= before[1]:
            found.doubled.append((after[0], before[1]))
        elif after[0] > before[1] + 1:
            found.unaccounted.append((before[1] + 1, after[0] - 1))
    found.last = spans[-1][1] if spans else -1
    return found


def doubled_payloads(recorder: ListRecorder, streams: tuple[str, ...]) -> list[bytes]:
    """Messages of these streams that were kept twice, with ids or without."""
    kept = Counter(one.payload for stream in streams for one in recorder.messages(stream))
    return [payload for payload, times in kept.items() if times > 1]
