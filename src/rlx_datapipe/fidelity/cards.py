"""The card of each metric: why its verdict, what that means, its numbers and plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rlx_datapipe.fidelity.decision import Standing
from rlx_datapipe.fidelity.drawn import gauge, metric_figures
from rlx_datapipe.fidelity.result import Header, MetricReport
from rlx_datapipe.fidelity.telling import DASH, STATES, clipped, measure, score, sentence
from rlx_datapipe.report.figures import p_value, short
from rlx_datapipe.report.page import Block, Facts, Figure, Figures, Fold, Remark, Remarks, Words

_OPEN_MAX, _MEASURES_MAX = 6, 40
_PLOTS_MAX, _CARD = 3_000_000, 3_500
"""Bytes of all plots of a page, and what the rest of a metric's card comes to."""


def cards(ordered: Sequence[MetricReport], header: Header) -> Iterator[tuple[str, Fold]]:
    """The card of each metric; plots, then cards, end where the page would become too large."""
    room, opened = _PLOTS_MAX, 0
    for at, metric in enumerate(ordered):
        figures = [*gauge(metric), *metric_figures(metric, header)]
        needed = sum(len(figure.svg) + len(figure.wide) for figure in figures)
        room -= _CARD
        if room < 0:
            return
        if needed > room:
            figures = []
        else:
            room -= needed
        is_open = metric.verdict is Standing.FAIL and opened < _OPEN_MAX
        opened += is_open
        blocks = [*_card(metric, figures, is_cut=not figures and bool(needed))]
        state = STATES[metric.verdict]
        yield (
            metric.name,
            Fold(
                state,
                metric.verdict.value,
                clipped(metric.name, 80),
                blocks,
                clipped(metric.purpose),
                f"m-{at}",
                is_open,
            ),
        )


def _card(metric: MetricReport, figures: Sequence[Figure], *, is_cut: bool) -> Iterator[Block]:
    """All of one metric."""
    told = (("Why", metric.reason), ("What it means", metric.meaning), ("What to do", metric.remedy))
    remarks = [Remark("", heading, sentence(clipped(text))) for heading, text in told if text]
    yield Remarks(remarks)
    yield Facts([*_facts(metric)])
    if figures:
        yield Figures(figures)
    if is_cut:
        yield Words("The plots are left out to keep this page small; what they show is in the JSON result.")
    if metric.measures:
        numbers = [
            (clipped(name, 60).replace("_", " "), measure(value)) for name, value in metric.measures.items()
        ]
        yield Fold("", "", "More numbers", [Facts(numbers[:_MEASURES_MAX])])
    needs = f" Needs {', '.join(metric.requirements[:8])}." if metric.requirements else ""
    source = sentence(clipped(metric.reference or "none given"))
    yield Words(f"Reference: {source}{clipped(needs)} Cost tier {metric.tier}.")


def _facts(metric: MetricReport) -> Iterator[tuple[str, str]]:
    unit = f" {clipped(metric.unit, 30)}" if metric.unit else ""
    yield "Value", f"{short(metric.value)}{unit}" if metric.value is not None else DASH
    if metric.low is not None and metric.high is not None:
        yield "Interval", f"{short(metric.low)} to {short(metric.high)}"
    yield "Margin", short(metric.margin)
    if metric.floor is not None:
        yield "Noise floor", short(metric.floor)
        yield "Ratio to the floor", DASH if metric.ratio is None else f"{short(metric.ratio)}\u00d7"
    if metric.golden is not None or metric.recon is not None:
        yield "Golden", short(metric.golden)
        yield "Dataset", short(metric.recon)
    p = metric.p
    named = (
        ("p, max-T adjusted", p.adjusted),
        ("p, Benjamini-Hochberg", p.discovery),
        ("p, this alone", p.plain),
    )
    yield from ((name, p_value(value)) for name, value in named if value is not None)
    if p.wilcoxon is not None:
        yield "p, Wilcoxon", p_value(p.wilcoxon)
    if p.classical_ks_not_valid_under_dependence is not None:
        yield (
            "Classical K-S p, not valid under dependence",
            p_value(p.classical_ks_not_valid_under_dependence),
        )
    if metric.score is not None:
        yield "Score", f"{score(metric.score)} (weight {short(metric.weight)})"
