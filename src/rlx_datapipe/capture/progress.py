"""How a capture goes, and what it came to: counts, lags, gaps, connections; to be shown, and for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rlx_datapipe.capture.clock import ClockWatch
from rlx_datapipe.capture.handover import Feed
from rlx_datapipe.capture.intake import Intake
from rlx_datapipe.capture.rest import Gate
from rlx_datapipe.capture.snapshots import Snapshots


class StreamProgress(msgspec.Struct, frozen=True):
    """What came of one stream.

    ``missing`` counts ids in declared gaps that have not come late after all; ``recent`` and ``whole`` are
    lags in ms by share of the messages, of the last minute or two and since the start.
    """

    stream: str
    messages: int
    duplicates: int
    gaps: int
    missing: int
    late: int
    held: int
    resets: int
    last_id: int
    recent: dict[str, float | None]
    whole: dict[str, float | None]


class Progress(msgspec.Struct, frozen=True):
    """What a capture has done so far.

    ``refused_symbols`` are those that the venue does not know, each with its words; of ``unheard_symbols``
    nothing has come.
    """

    seconds: float
    messages: int
    bytes: int
    streams: list[StreamProgress]
    other_messages: dict[str, int]
    gaps: int
    latest_gaps: list[dict[str, Any]]
    held: int
    connections: dict[str, int]
    snapshots: dict[str, int]
    weight_used: int
    clock_offset_ms: float | None
    clock_steps: int
    notes: dict[str, int]
    refused_symbols: dict[str, str] = {}
    unheard_symbols: list[str] = []

    def to_json(self) -> dict[str, Any]:
        """As an object for JSON."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told


def progress_of(
    *,
    seconds: float,
    intake: Intake,
    feeds: Sequence[Feed],
    snapshots: Snapshots,
    gate: Gate,
    clock: ClockWatch,
) -> Progress:
    """How it goes, from those who know."""
    streams = []
    for stream, chain in intake.chains.items():
        counts, lag = chain.counts, intake.lags[stream]
        streams.append(
            StreamProgress(
                stream=stream,
                messages=counts.kept,
                duplicates=counts.duplicates,
                gaps=counts.gaps,
                missing=counts.missing,
                late=counts.late,
                held=chain.held,
                resets=counts.resets,
                last_id=chain.last,
                recent=dict(lag.recent().told()),
                whole=dict(lag.all().told()),
            )
        )
    connections = {
        "open": sum(feed.active is not None for feed in feeds),
        "opened": sum(feed.opened for feed in feeds),
        "handovers": sum(feed.handovers for feed in feeds),
        "losses": sum(feed.losses for feed in feeds),
        "refused": sum(feed.refused for feed in feeds),
        "abandoned": sum(feed.abandoned for feed in feeds),
    }
    asked = {
        "kept": snapshots.kept,
        "stale": snapshots.stale,
        "failed": snapshots.failed,
        "waiting": snapshots.waiting,
    }
    return Progress(
        seconds=seconds,
        messages=intake.messages,
        bytes=intake.bytes,
        streams=streams,
        other_messages=dict(intake.others),
        gaps=intake.gaps_total,
        latest_gaps=list(intake.gaps),
        held=sum(chain.held for chain in intake.chains.values()),
        connections=connections,
        snapshots=asked,
        weight_used=gate.used_weight,
        clock_offset_ms=clock.offset_ms,
        clock_steps=clock.steps,
        notes=dict(intake.notes),
        refused_symbols=dict(snapshots.unheard.refused),
        unheard_symbols=snapshots.unheard.unheard(),
    )
