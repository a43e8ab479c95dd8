"""What the proofs are played on: a small seeded capture, and a process that is warm enough to fork."""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.ingestion.ingest import ingest
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.faults import drop_depth, insert_garbage
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.sink.event_rows import event_rows
from rlx_datapipe.sink.rows import book_rows, keyframe_rows, quality_rows, quote_rows
from rlx_datapipe.store.digest import TableDigest

SETTINGS = Settings(batch_rows=100, threads=1, epoch_events=350, keyframe_events=400, horizon_ms=200)
STUCK_S = 60
"""A run on the scene takes a fifth of a second: one that takes so long never ends."""


class RunFailedError(Exception):
    """A run that nobody killed did not come to its end."""


@dataclass(frozen=True)
class Scene:
    """A capture and a folder to work in; ``seed`` made the capture and throws all dice."""

    capture: Path
    work: Path
    seed: int

    def reconstruct(self, out: Path) -> dict[str, Any]:
        """Reconstruct the capture, or go on with it."""
        return reconstruct(self.capture, out, SETTINGS, resume=True)


def make_scene(work: Path, seed: int) -> Scene:
    """Simulate three seconds of a market with a gap and an unreadable message in its capture."""
    market = MarketConfig(
        seed=seed, duration_s=3, levels=150, snapshot_levels=100, snapshot_every_s=1, orders_per_s=800
    )
    lines = partial(insert_garbage, k=250)(partial(drop_depth, k=12)(simulate(market)))
    capture = work / "capture.gz"
    if not capture.exists():
        write_capture(lines, capture)
    return Scene(capture, work, seed)


def warm(scene: Scene) -> Instrument:
    """Load every kernel, without a file or a thread: a child must start no pool that its parent had."""
    [source] = find_sources([scene.capture], SETTINGS)
    replayer, instrument = EventReplayer(source.instrument, source.rule, SETTINGS), source.instrument
    for batch in ingest(source, SETTINGS):
        quotes = quote_rows(batch.quotes, instrument)
        TableDigest(quotes.schema).update(quotes)
        for replayed in replayer.replay(batch.events):
            for rows in (
                event_rows(replayed, instrument),
                book_rows(replayed.sample_heads, replayed.samples, instrument),
                keyframe_rows(replayed.keyframes, instrument),
                quality_rows(replayed.quality, instrument),
            ):
                TableDigest(rows.schema).update(rows)
    replayer.finish()
    return instrument


def in_child(work: Callable[[], dict[str, Any]], told: Path) -> dict[str, Any] | None:
    """What a piece of work told that was done in a fork of this process; None if it was killed.

    Raises
    ------
    RunFailedError
        When it failed, or was stuck.
    """
    told.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(STUCK_S)
            told.write_text(json.dumps(work()))
            status = 0
        finally:
            # Whatever it was that is on its way now, nothing of the parent may run in here.
            if status:
                told.write_text(traceback.format_exc())
            os._exit(status)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if ended == -signal.SIGKILL:
        return None
    if ended != 0:
        why = told.read_text().strip().splitlines()[-1] if told.exists() else f"ended by signal {-ended}"
        raise RunFailedError("stuck" if ended == -signal.SIGALRM else why)
    outcome: dict[str, Any] = json.loads(told.read_text())
    return outcome
