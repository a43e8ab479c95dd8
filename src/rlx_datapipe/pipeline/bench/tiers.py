"""`rlx bench tiers`: what tier 1 costs a run and an event, and each tier-2 metric a batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
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

ROWS = 10_000_000
_SHARE_MAX, _NS_MAX = 5.0, 100.0
_EVENTS = 500_000
_COLUMNS, _LEVELS = 5, 20


def measure(bench: Workbench) -> Measured:
    """Measure what tier 1 costs a run, processor time told in three ways, and each metric of tier 2 a batch.

    By pairs: what a run takes more with it, relative to one without, taken in turn: all threads of the
    process, from the look at the source to the last commit. By its own clock: the time of the thread that
    replays while tier 1 looks on or gives its state, in those same runs; it does not tremble with the rest of
    the run. By its kernels alone, over stretches that were replayed before. ``least`` and ``most`` are those
    of all pairs, or runs.

    Each metric of tier 2 takes two batches of 10,000 rows, by processor time, on the array library that
    there is.

    Input: the archive of ``reconstruct``, longer; or your own files (--source).
    """
    source = bench.options.source or bench.archive(bench.rows(ROWS))
    pairs = [_pair(bench, source, is_first=number % 2 == 1) for number in range(bench.options.repeats)]
    instrument, stretches = _stretches(source)
    events = sum(stretch.events.shape[1] for stretch in stretches)
    bench.on_step("tier-1 kernels alone")
    kernels_ns = 1e9 * cpu_seconds(lambda: _see(instrument, stretches), bench.options.repeats + 2) / events
    bench.on_step("tier 2")
    return Measured(
        [
            *_tier1(pairs),
            Figure(
                claim="tier 1, kernels alone",
                figure=kernels_ns,
                unit="ns/event",
                target=f"< {_NS_MAX:g}",
                is_met=kernels_ns < _NS_MAX,
                detail={"events": events},
            ),
            *_batches(bench.options.seed, bench.options.repeats),
        ]
    )


Run = dict[str, Any]


def _pair(bench: Workbench, source: Path, *, is_first: bool) -> tuple[Run, Run]:
    """A run with tier 1 and one without; who goes first changes, so that what drifts does not favour one."""
    runs = {}
    for tier1 in (True, False) if is_first else (False, True):
        runs[tier1] = bench.run(source, Settings(tier1=tier1))
        bench.clear(runs[tier1])
    return runs[True], runs[False]


def _tier1(pairs: list[tuple[Run, Run]]) -> list[Figure]:
    """Figures of whole runs."""
    more = [100 * (on["cpu_s"] / off["cpu_s"] - 1) for on, off in pairs]
    own_s = [on["stages"]["tier1"]["cpu_s"] for on, _ in pairs]
    shares = [100 * own / off["cpu_s"] for own, (_, off) in zip(own_s, pairs, strict=True)]
    each_ns = [1e9 * own / on["events"] for own, (on, _) in zip(own_s, pairs, strict=True)]
    bounds = f"< {_SHARE_MAX:g}", f"< {_NS_MAX:g}"
    detail = {"pairs_cpu_s": [(on["cpu_s"], off["cpu_s"]) for on, off in pairs]}
    return [
        _spread("tier 1, a run with it beside one without", more, "% CPU", bounds[0], _SHARE_MAX, **detail),
        _spread("tier 1, by its own clock in the run", shares, "% CPU", bounds[0], _SHARE_MAX),
        _spread(
            "tier 1, by its own clock", each_ns, "ns/event", bounds[1], _NS_MAX, events=pairs[0][0]["events"]
        ),
    ]


def _spread(claim: str, values: list[float], unit: str, target: str, most: float, **detail: Any) -> Figure:
    """A figure with what all runs told."""
    return Figure(
        claim=claim,
        figure=middle(values),
        unit=unit,
        target=target,
        is_met=middle(values) < most,
        detail={"least": min(values), "most": max(values), "values": values, **detail},
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
