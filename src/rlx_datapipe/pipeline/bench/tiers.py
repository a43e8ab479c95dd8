"""`rlx bench tiers`: what tier 1 costs the replay loop and an event, and each tier-2 metric a batch."""

from __future__ import annotations

from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.fidelity.stream.tier import StreamTier
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.pipeline.bench.child import only_source
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, cpu_seconds, middle
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.replay.replayer import EventReplayer

ROWS = 2_000_000
_SHARE_MAX, _NS_MAX = 5.0, 100.0
_EVENTS = 500_000


def measure(bench: Workbench) -> Measured:
    """Measure tier 1 by the processor time of whole runs with it and without, taken in turn.

    The share is what a run takes more with it, relative to the run without: all threads of the process, from
    the look at the source to the last commit. The time an event is that of its kernels alone, over stretches
    that were replayed before.

    Input: the archive of ``reconstruct``, or your own files (--source).
    """
    source = bench.options.source or bench.archive(bench.rows(ROWS))
    pairs = []
    for number in range(bench.options.repeats):
        # Who goes first changes with each pair, so that what drifts does not favour one.
        order = (True, False) if number % 2 else (False, True)
        runs = {}
        for tier1 in order:
            run = bench.run(source, Settings(tier1=tier1))
            bench.clear(run)
            runs[tier1] = run["cpu_s"]
        pairs.append((runs[True], runs[False]))
    shares = [100 * (on / off - 1) for on, off in pairs]
    instrument, stretches = _stretches(source)
    events = sum(stretch.events.shape[1] for stretch in stretches)
    bench.on_step("tier-1 kernels alone")
    per_event_ns = 1e9 * cpu_seconds(lambda: _see(instrument, stretches), bench.options.repeats + 2) / events
    return Measured(
        [
            Figure(
                claim="tier 1, of the run",
                figure=middle(shares),
                unit="% CPU",
                target=f"< {_SHARE_MAX:g}",
                is_met=middle(shares) < _SHARE_MAX,
                detail={"pairs_cpu_s": pairs, "shares": shares},
            ),
            Figure(
                claim="tier 1, kernels",
                figure=per_event_ns,
                unit="ns/event",
                target=f"< {_NS_MAX:g}",
                is_met=per_event_ns < _NS_MAX,
                detail={"events": events},
            ),
        ]
    )


def _stretches(path: Any) -> tuple[Instrument, list[Replayed]]:
    """The first events of a source, replayed."""
    settings = Settings()
    source = only_source(path, settings)
    replayer = EventReplayer(source.instrument, source.rule, settings)
    found: list[Replayed] = []
    for batch in DataIngestion(source, settings):
        found += replayer.replay(batch.events)
        if sum(stretch.events.shape[1] for stretch in found) >= _EVENTS:
            break
    return source.instrument, found


def _see(instrument: Instrument, stretches: list[Replayed]) -> None:
    tier = StreamTier(instrument)
    for stretch in stretches:
        tier.see(stretch)
