"""`rlx bench claims`: what research takes for granted about such a pipeline, measured by leaving it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from rlx_datapipe.pipeline.bench.ablation import CONFIRMED, REFUTED, Verdict
from rlx_datapipe.pipeline.bench.claims_memory import buffers, checkpoints, mapping, views
from rlx_datapipe.pipeline.bench.claims_numbers import books, decimals
from rlx_datapipe.pipeline.bench.claims_page import page
from rlx_datapipe.pipeline.bench.claims_runs import batches, collection, processes, sourcing
from rlx_datapipe.pipeline.bench.figure import Figure, Measured
from rlx_datapipe.pipeline.bench.workbench import Workbench

PAIRS_MIN = 5

CLAIMS: tuple[Callable[[Workbench], list[Verdict]], ...] = (
    batches,
    decimals,
    books,
    sourcing,
    mapping,
    collection,
    buffers,
    checkpoints,
    views,
    processes,
)


def measure(bench: Workbench) -> Measured:
    """Measure research assumptions by ablation: the same work with the idea and without it, in turn.

    Each claim has a bound that was fixed beforehand. Its ratio comes with an interval of 95 % over pairs of
    measures (--repeats, at least 5): confirmed if the whole interval lies at the bound or above, refuted if
    it lies below, else not measurable here. Time is processor time of this process unless the unit says
    otherwise, so that a busy machine does less harm.

    Input: seeded archives and updates as in the other benchmarks.
    """
    repeats = max(PAIRS_MIN, bench.options.repeats)
    paired = Workbench(bench.folder, replace(bench.options, repeats=repeats), bench.on_step)
    verdicts: list[Verdict] = []
    for claim in CLAIMS:
        bench.on_step(f"claim: {claim.__name__}")
        verdicts += claim(paired)
    if bench.options.report is not None:
        bench.options.report.write_text(page(verdicts, bench.options.seed, repeats), encoding="utf-8")
    return Measured([_figure(one) for one in verdicts], {"claims": msgspec.to_builtins(verdicts)})


def _figure(one: Verdict) -> Figure:
    return Figure(
        claim=one.name,
        figure=one.ratio,
        unit=f"x ({one.low:.2f} to {one.high:.2f})",
        target=f"≥ {one.bound:.3g}: {one.verdict}",
        is_met={CONFIRMED: True, REFUTED: False}.get(one.verdict),
        detail=msgspec.to_builtins(one),
    )
