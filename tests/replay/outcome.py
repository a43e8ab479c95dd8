"""What EventReplayer made of a stream, put together from its stretches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.sequence import SequenceRule
from rlx_datapipe.replay.replayer import EventReplayer


@dataclass
class Outcome:
    """Everything that came out, in plain Python, so that two outcomes compare with ==."""

    events: list[list[int]]
    best: list[tuple[int, ...]]
    flags: list[int]
    samples: list[tuple[int, int, list[list[tuple[int, int]]]]]
    keyframes: list[tuple[Any, ...]]
    quality: list[Quality]
    epochs: list[int]
    """Number of events at the end of each epoch."""


def replayed(
    batches: list[Int64Array], rule: SequenceRule, settings: Settings | None = None, step: int = 1
) -> Outcome:
    """Replay the batches one after the other and finish."""
    replayer = EventReplayer(Instrument("X", "Y", 2, 2, step), rule, settings or Settings())
    parts = [part for events in batches for part in replayer.replay(events)]
    parts.append(replayer.finish())
    return gathered(parts)


def gathered(parts: list[Replayed]) -> Outcome:
    """The stretches as one, after a look at their ids."""
    outcome = Outcome([], [], [], [], [], [], [])
    for part in parts:
        assert part.first_event_id == len(outcome.flags)
        assert part.events.shape[1] == part.best.shape[1] == len(part.flags)
        outcome.events += part.events.T.tolist()
        outcome.best += list(map(tuple, part.best.T.tolist()))
        outcome.flags += part.flags.tolist()
        for levels, (event, time, bids, asks) in zip(
            part.samples.tolist(), part.sample_heads.tolist(), strict=True
        ):
            sides = [list(zip(*levels[0:2], strict=True))[:bids], list(zip(*levels[2:4], strict=True))[:asks]]
            outcome.samples.append((event, time, sides))
        for frame in part.keyframes:
            prices = [column.tolist() for column in frame.levels]
            sides = [list(zip(*prices[0:2], strict=True)), list(zip(*prices[2:4], strict=True))]
            known = (frame.known_low, frame.known_high)
            outcome.keyframes.append((frame.event_id, frame.update_id, sides, known))
        outcome.quality += [plain(record) for record in part.quality]
        if part.ends_epoch:
            outcome.epochs.append(len(outcome.flags))
    return outcome


def plain(record: Quality) -> Quality:
    """The record with None for NaN, which equals itself."""
    measures = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in record.measures.items()
    }
    return Quality(
        **{name: getattr(record, name) for name in record.__struct_fields__} | {"measures": measures}
    )


def said(outcome: Outcome) -> list[tuple[Any, ...]]:
    """Quality records that tell of one place, as the twin tells them."""
    kinds = {"gap", "reset", "resync", "drift", "stale_snapshot", "crossed", "locked", "silence", "unsynced"}
    told = []
    for record in outcome.quality:
        if record.kind in kinds:
            names = ("levels_compared", "levels_matched", "levels_missing", "levels_extra")
            extra = [record.measures[name] for name in names] if record.kind == "drift" else []
            if record.kind == "drift":
                errors = (record.measures[name] for name in ("best_price_rms_error", "depth_error"))
                extra += [math.nan if error is None else error for error in errors]
            told.append((record.kind, record.from_event_id, record.to_event_id, *extra))
    return told


def counted(outcome: Outcome, kind: str) -> int:
    """Sum of the counts of a kind over all epochs."""
    return sum(record.measures["count"] for record in outcome.quality if record.kind == kind)


def book_at(outcome: Outcome, event: int) -> list[list[tuple[int, int]]] | None:
    """The book after an event from the last full book and the deltas since; None where there is none."""
    if outcome.flags[event] & Flag.BOOK_INVALID:
        return None
    at, _, levels, _ = [frame for frame in outcome.keyframes if frame[0] <= event][-1]
    sides = (dict(levels[0]), dict(levels[1]))
    rows = np.array(outcome.events[at + 1 : event + 1], dtype=np.int64).reshape(-1, len(Field))
    for row, flags in zip(rows.tolist(), outcome.flags[at + 1 : event + 1], strict=True):
        if row[Field.KIND] == Kind.BOOK_DELTA and not flags & Flag.NOT_APPLIED and row[Field.PRICE] != NONE:
            sides[row[Field.SIDE]].pop(row[Field.PRICE], None)
            if row[Field.QUANTITY]:
                sides[row[Field.SIDE]][row[Field.PRICE]] = row[Field.QUANTITY]
    return [sorted(sides[side].items(), reverse=side == Side.BID) for side in Side]
