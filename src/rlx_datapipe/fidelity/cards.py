"""The card of each metric: why its verdict, what that means, its numbers and plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rlx_datapipe.fidelity.decision import Standing
from rlx_datapipe.fidelity.drawn import gauge, metric_figures
from rlx_datapipe.fidelity.plot_data import Plots
from rlx_datapipe.fidelity.result import Header, MetricReport
from rlx_datapipe.fidelity.telling import DASH, STATES, capital, clipped, measure, score, sentence
from rlx_datapipe.report.figures import p_value, short
from rlx_datapipe.report.page import Block, Facts, Figures, Fold, Remark, Remarks, Words, page_bytes

_OPEN_MAX, _MEASURES_MAX = 6, 40
_ROOM, _WORDS_MAX, _PLOTS_MIN = 4_700_000, 2_000_000, 10_000
"""Bytes that all cards may take, those without plots, and how many must be left to draw any."""
_TOLD = ("golden", "recon", "golden_mean", "recon_mean")
_LEFT_OUT = "The plots are left out to keep this page small; what they show is in the JSON result."


def cards(ordered: Sequence[MetricReport], header: Header) -> Iterator[tuple[str, Fold]]:
    """The card of each metric, by its name; where a page would become too large, plots end, then cards."""
    bare: list[Fold] = []
    words = 0
    for at, metric in enumerate(ordered):
        card = _folded(metric, [], f"m-{at}")
        if words + page_bytes(card) > _WORDS_MAX:
            break
        words += page_bytes(card)
        bare.append(card)
    room, opened = _ROOM - words, 0
    for metric, card in zip(ordered, bare, strict=False):
        blocks = _plots(metric, header, room)
        room -= sum(map(page_bytes, blocks))
        is_open = metric.verdict is Standing.FAIL and opened < _OPEN_MAX
        opened += is_open
        yield metric.name, _folded(metric, blocks, card.anchor, is_open=is_open)


def _plots(metric: MetricReport, header: Header, room: int) -> list[Block]:
    """What is drawn of a metric in so many bytes; a word where that is not enough, nothing for nothing."""
    if metric.plots == Plots() and (metric.tested is None or metric.margin is None):
        return []
    if room > _PLOTS_MIN:
        figures = Figures([*gauge(metric), *metric_figures(metric, header)])
        if page_bytes(figures) <= room:
            return [figures]
    return [Words(_LEFT_OUT)]


def _folded(metric: MetricReport, plots: Sequence[Block], anchor: str, *, is_open: bool = False) -> Fold:
    """A card with its plots."""
    return Fold(
        STATES[metric.verdict],
        metric.verdict.value,
        clipped(metric.name, 80),
        [*_card(metric, plots)],
        capital(clipped(metric.purpose)),
        anchor,
        is_open,
    )


def _card(metric: MetricReport, plots: Sequence[Block]) -> Iterator[Block]:
    """All of one metric."""
    told = (("Why", metric.reason), ("What it means", metric.meaning), ("What to do", metric.remedy))
    remarks = [Remark("", heading, sentence(clipped(text))) for heading, text in told if text]
    yield Remarks(remarks)
    yield Facts([*_facts(metric)])
    yield from plots
    numbers = [
        (clipped(name, 60).replace("_", " "), measure(value))
        for name, value in metric.measures.items()
        if name not in _TOLD
    ]
    if numbers:
        yield Fold("", "", "More numbers", [Facts(numbers[:_MEASURES_MAX])])
    needs = f" Needs {', '.join(metric.requirements[:8])}." if metric.requirements else ""
    source = sentence(clipped(metric.reference or "none given"))
    yield Words(f"Reference: {source}{clipped(needs)} Cost tier {metric.tier}; severity {metric.severity}.")


def _facts(metric: MetricReport) -> Iterator[tuple[str, str]]:
    unit = f" {clipped(metric.unit, 30)}" if metric.unit else ""
    yield "Value", f"{short(metric.value)}{unit}" if metric.value is not None else DASH
    if metric.tested is not None and metric.tested != metric.value:
        yield "Mean difference of windows", short(metric.tested)
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
