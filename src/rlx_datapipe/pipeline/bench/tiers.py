"""`rlx bench tiers`: what tier 1 costs the replay loop and an event, and each tier-2 metric a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.fidelity.batches import BATCH, Correlation, batch_distances, library
from rlx_datapipe.fidelity.mmd import block_mmd, linear_mmd
from rlx_datapipe.fidelity.stream.tier import StreamTier
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.pipeline.bench.child import only_source
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, cpu_seconds, middle
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.replay.replayer import EventReplayer

ROWS = 2_000_000
_SHARE_MAX, _NS_MAX = 5.0, 100.0
_EVENTS = 500_000
_COLUMNS, _LEVELS, _STRIDE = 5, 20, 10


def measure(bench: Workbench) -> Measured:
    """Measure tier 1 by the processor time of whole runs with it and without, taken in turn.

    The share is what a run takes more with it, relative to the run without: all threads of the process, from
    the look at the source to the last commit. The time an event is that of its kernels alone, over stretches
    that were replayed before; ``by_kernels`` is the share that follows from it, without the noise of two
    runs. Each metric of tier 2 takes two batches of 10,000 rows, by processor time, on the array library that
    there is. Block MMD takes each tenth row: neighbours are not independent, and its error is only right of
    rows that are.

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
    by_kernels = 100 * per_event_ns * 1e-9 * run["events"] / middle(off for _, off in pairs)
    bench.on_step("tier 2")
    return Measured(
        [
            Figure(
                claim="tier 1, of the run",
                figure=middle(shares),
                unit="% CPU",
                target=f"< {_SHARE_MAX:g}",
                is_met=middle(shares) < _SHARE_MAX,
                detail={"pairs_cpu_s": pairs, "shares": shares, "by_kernels": by_kernels},
            ),
            Figure(
                claim="tier 1, kernels",
                figure=per_event_ns,
                unit="ns/event",
                target=f"< {_NS_MAX:g}",
                is_met=per_event_ns < _NS_MAX,
                detail={"events": events},
            ),
            *_batches(bench.options.seed, bench.options.repeats),
        ]
    )


def _batches(seed: int, repeats: int) -> list[Figure]:
    """Figures of the metrics of tier 2, one batch each side."""
    xp, rng = library(), np.random.default_rng(seed)
    x, y = (xp.asarray(np.round(rng.normal(shift, 1, BATCH), 2)) for shift in (0.0, 0.1))
    v, w = (xp.asarray(rng.normal(shift, 1, (BATCH, _COLUMNS))) for shift in (0.0, 0.1))
    levels = xp.asarray(rng.normal(size=(BATCH, 2 * _LEVELS)))
    works: dict[str, Callable[[], Any]] = {
        "correlation of 40 columns": lambda: _correlation(levels),
        "Anderson-Darling and energy": lambda: batch_distances(x, y),
        "linear MMD": lambda: linear_mmd(v, w, [1.0]),
        "block MMD": lambda: block_mmd(v, w, [1.0]),
    }
    return [_batch(name, 1e3 * cpu_seconds(work, 5 * repeats), xp.__name__) for name, work in works.items()]


def _batch(name: str, took_ms: float, of: str) -> Figure:
    return Figure(
        claim=f"tier 2, {name}",
        figure=took_ms,
        unit="ms/batch",
        target="< 1",
        is_met=took_ms < 1,
        detail={"library": of, "rows": BATCH},
    )


def _correlation(levels: Any) -> Any:
    sums = Correlation()
    sums.update(levels)
    return sums.table()


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
