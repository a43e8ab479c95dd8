"""A warm process that kills runs by the snapshot strategy at named points: what differed, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.crash import POINTS
from rlx_datapipe.ingestion.ingest import ingest
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.proofs.kills import Plan, golden_run, sweep
from rlx_datapipe.pipeline.proofs.scene import Scene
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.strategy import narrowed
from rlx_datapipe.replay.strategies import STRATEGIES
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive
from rlx_datapipe.sink.event_rows import event_rows
from rlx_datapipe.sink.rows import book_rows, keyframe_rows, quality_rows, quote_rows
from rlx_datapipe.store.digest import TableDigest

SETTINGS = Settings(
    strategy="snapshot", batch_rows=25, threads=1, epoch_events=400, keyframe_events=300, horizon_ms=200
)


class Sampled(Scene):
    """An archive of which the strategy reads trades and snapshots."""

    def reconstruct(self, out: Path) -> dict[str, Any]:
        return reconstruct(self.capture, out, SETTINGS, resume=True)


def warm(scene: Scene) -> None:
    """Load every kernel, without a file or a thread."""
    [found] = find_sources([scene.capture], SETTINGS)
    source = narrowed(found, SETTINGS)
    replayer = STRATEGIES["snapshot"](source.instrument, source.rule, SETTINGS)
    for batch in ingest(source, SETTINGS):
        quotes = quote_rows(batch.quotes, source.instrument)
        TableDigest(quotes.schema).update(quotes)
        for replayed in replayer.replay(batch.events):
            for rows in (
                event_rows(replayed, source.instrument),
                book_rows(replayed.sample_heads, replayed.samples, source.instrument),
                keyframe_rows(replayed.keyframes, source.instrument),
                quality_rows(replayed.quality, source.instrument),
            ):
                TableDigest(rows.schema).update(rows)
    replayer.finish()


def main() -> None:
    """Kill at each point in the middle of a run, and twice in one run."""
    work = Path(sys.argv[1])
    archive = write_archive(ArchiveConfig(rows=4_000, levels=60), work / "lake")
    scene = Sampled(archive, work, seed=1)
    warm(scene)
    golden = golden_run(scene)
    passed = {point: golden["reached"][point] for point in POINTS if golden["reached"][point]}
    plans: list[Plan] = [[(point, n // 2 + 1)] for point, n in passed.items()]
    plans += [[("checkpoint published", 2), ("entry named", 2)], [("file written", 7), ("file written", 2)]]
    results = list(sweep(scene, golden, plans))
    [told] = scene.reconstruct(work / "golden")["chains"]
    sys.stdout.write(
        json.dumps(
            {
                "wrong": [result for result in results if result["by"]],
                "kills": sum(sum(result["landed"].values()) for result in results),
                "epochs": told["resumed_from_epoch"] + 1,
                "inferred": told["quality"]["inferred"],
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
