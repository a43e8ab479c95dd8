"""What a fidelity report says first: the verdict, the score, what needs a look; for its page and its PDF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rlx_datapipe.fidelity.decision import Standing
from rlx_datapipe.fidelity.drawn import bar, where_and_when
from rlx_datapipe.fidelity.meanings import title_of
from rlx_datapipe.fidelity.result import FidelityReport, Header, MetricReport
from rlx_datapipe.fidelity.telling import (
    DASH,
    LETTERS_MAX,
    STATES,
    WORDS,
    clipped,
    counts,
    hours,
    in_order,
    market,
    of_margin,
    same_rows,
    score,
)
from rlx_datapipe.report.figures import count, duration, p_value, share, short
from rlx_datapipe.report.page import (
    Block,
    Figures,
    Line,
    Lines,
    Page,
    Parts,
    Remark,
    Remarks,
    Section,
    Tile,
    Tiles,
)

LEGEND = (
    "The dot is what was tested, the bar around it its interval, the shaded band the noise floor: how far "
    "golden lies from golden. The line in the middle is the margin, and what ends left of it passes; x times "
    "the margin lies at x / (1 + x) of the width. p is adjusted for all metrics; of paired windows it is "
    "Wilcoxon's."
)


def title(header: Header) -> str:
    """The market that was compared."""
    return clipped(market(header), 120)


def versus(header: Header) -> str:
    """What was held against what."""
    sides = header.dataset, header.golden
    markets = [f"{side.exchange} {side.symbol}" for side in sides]
    named = [clipped(side.source, 200) for side in sides]
    if markets[0] != markets[1]:
        named = [f"{clipped(one, 120)} in {name}" for one, name in zip(markets, named, strict=True)]
    how = (
        "window by window of the same time"
        if header.is_paired
        else "as two samples, of other times or markets"
    )
    told = f"{named[0]} held against {named[1]}, {how}, in windows of {duration(header.window_ns)}."
    return f"{told} {same_rows(header)}".strip()


def glance(one: FidelityReport) -> Iterator[Block]:
    """Counts of verdicts, the score, and how much data there was."""
    held, header = counts(one.metrics), one.header
    order = (Standing.PASS, Standing.FAIL, Standing.INCONCLUSIVE, Standing.NOT_IDENTIFIABLE)
    yield Parts([(held[standing], WORDS[standing], STATES[standing]) for standing in order])
    golden, dataset = header.golden, header.dataset
    decided = "" if one.score.decided is None else f"; {share(one.score.decided)} of the weight is decided"
    yield Tiles(
        [
            Tile("Fidelity score", score(one.score.overall), f"of 1, beside the verdict{decided}"),
            Tile("Passed", f"{held[Standing.PASS]} of {len(one.metrics)}", "metrics, by equivalence"),
            Tile("Golden", hours(golden), f"{count(golden.windows)} windows, {count(golden.events)} events"),
            Tile(
                "Dataset",
                hours(dataset),
                f"{count(dataset.windows)} windows, {count(dataset.events)} events",
            ),
        ]
    )


def problems(
    one: FidelityReport, most: int = 12, points: int = 6, letters: int = LETTERS_MAX
) -> Iterator[Section]:
    """What is wrong, with likely causes and remedies, and what is right; so much of it, so long."""
    if one.problems:
        remarks, told = [], []
        for found in one.problems[:most]:
            advice = (
                ("Likely causes", [clipped(cause, letters) for cause in found.causes[:points]]),
                ("What to try", [clipped(remedy, letters) for remedy in found.remedies[:points]]),
            )
            # The same advice is given once, where it is met first.
            lists = () if advice in told else advice
            told.append(advice)
            words = clipped(found.title, letters), clipped(found.text, letters)
            remarks.append(Remark(STATES[found.standing], *words, lists))
        yield Section("What needs a look", [Remarks(remarks)])
    if one.strengths:
        right = [
            Remark("good", clipped(found.title, letters), clipped(found.text, letters))
            for found in one.strengths[:most]
        ]
        yield Section("What is right", [Remarks(right)])


def verdict_lines(
    metrics: Sequence[MetricReport], header: Header, anchors: Mapping[str, str], legend: str = ""
) -> Lines:
    """Metrics as a table of verdicts; an anchor is where more is told of one."""
    by = "of margin" if header.is_paired else "of floor"
    lines = [_line(metric, anchors.get(metric.name, ""), is_paired=header.is_paired) for metric in metrics]
    return Lines(("value against margin", "value", by, "p"), lines, legend)


def _line(metric: MetricReport, anchor: str, *, is_paired: bool) -> Line:
    share, p = of_margin(metric) if is_paired else metric.ratio, metric.p
    return Line(
        STATES[metric.verdict],
        metric.verdict.value,
        clipped(metric.name, 80),
        bar(metric),
        (
            short(metric.tested),
            DASH if share is None else f"{short(share)}\u00d7",
            p_value(p.wilcoxon if p.adjusted is None else p.adjusted),
        ),
        clipped(title_of(metric.category).lower(), 80)
        + ("" if metric.severity == "warn" else f", {metric.severity}"),
        anchor,
    )


def summary_page(one: FidelityReport, most: int = 32, rows: int = 20) -> Page:
    """The report for paper: so many lines of the table of verdicts, so many rows over time."""
    ordered = in_order(one.metrics)
    sections = [
        Section("", [*glance(one)], versus(one.header)),
        *problems(one, most=4, points=2, letters=180),
    ]
    left = max(0, len(ordered) - most)
    told = f" {left} more metrics, the least remarkable, are in the full report." if left else ""
    sections.append(Section("Verdicts", [verdict_lines(ordered[:most], one.header, {}, f"{LEGEND}{told}")]))
    if rows and (figures := where_and_when(ordered, one.header, rows)):
        sections.append(Section("Where and when", [Figures(figures)]))
    return Page(
        title(one.header),
        STATES[one.verdict],
        clipped(one.reason, 300),
        sections,
        "Fidelity, executive summary",
        foot(one),
        one.verdict.value,
    )


def foot(one: FidelityReport) -> str:
    """What made it, and that it can be made again."""
    version = clipped(one.header.versions.get("rlx-datapipe", ""), 30)
    made = f"Made by rlx fidelity {version}".strip()
    return f"All times are UTC. Seed {one.header.seed}; the same input gives the same bytes. {made}."
