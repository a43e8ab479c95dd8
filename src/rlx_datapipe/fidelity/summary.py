"""What a fidelity report says first: the verdict, the score, what needs a look; for its page and its PDF."""

from __future__ import annotations

from collections.abc import Iterator

from rlx_datapipe.fidelity.decision import Standing
from rlx_datapipe.fidelity.drawn import bar, where_and_when
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
    score,
)
from rlx_datapipe.report.figures import count, duration, p_value, short
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
    "The dot is the value, the bar around it its interval, the shaded band the noise floor: how far golden "
    "lies from golden. The line in the middle is the margin, and what ends left of it passes; x times the "
    "margin lies at x / (1 + x) of the width. Ratio: value over noise floor. p: adjusted for all metrics."
)
LINE_HEAD = ("value against margin", "value", "ratio", "p")
_LINES_MAX, _ROWS_MAX = 32, 20


def title(header: Header) -> str:
    """The market that was compared."""
    return clipped(f"{header.dataset.exchange} {header.dataset.symbol}", 120)


def versus(header: Header) -> str:
    """What was held against what."""
    how = "window by window, of one time" if header.is_paired else "as two samples of one market"
    sides = f"{clipped(header.dataset.source, 200)} held against {clipped(header.golden.source, 200)}"
    return f"{sides}, {how}, in windows of {duration(header.window_ns)}."


def glance(one: FidelityReport) -> Iterator[Block]:
    """Counts of verdicts, the score, and how much data there was."""
    held, header = counts(one.metrics), one.header
    order = (Standing.PASS, Standing.FAIL, Standing.INCONCLUSIVE, Standing.NOT_IDENTIFIABLE)
    yield Parts([(held[standing], WORDS[standing], STATES[standing]) for standing in order])
    golden, dataset = header.golden, header.dataset
    yield Tiles(
        [
            Tile("Fidelity score", score(one.score.overall), "of 100, beside the verdict, never instead"),
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
        remarks = [
            Remark(
                STATES[found.standing],
                clipped(found.title, letters),
                clipped(found.text, letters),
                (
                    ("Likely causes", [clipped(cause, letters) for cause in found.causes[:points]]),
                    ("What to try", [clipped(remedy, letters) for remedy in found.remedies[:points]]),
                ),
            )
            for found in one.problems[:most]
        ]
        yield Section("What needs a look", [Remarks(remarks)])
    if one.strengths:
        right = [
            Remark("good", clipped(found.title, letters), clipped(found.text, letters))
            for found in one.strengths[:most]
        ]
        yield Section("What is right", [Remarks(right)])


def line(metric: MetricReport, anchor: str = "") -> Line:
    """A metric in a table of verdicts."""
    ratio = DASH if metric.ratio is None else f"{short(metric.ratio)}\u00d7"
    return Line(
        STATES[metric.verdict],
        metric.verdict.value,
        clipped(metric.name, 80),
        bar(metric),
        (short(metric.value), ratio, p_value(metric.p.adjusted)),
        clipped(metric.category, 80),
        anchor,
    )


def summary_page(one: FidelityReport) -> Page:
    """The report on two sheets of paper at most."""
    ordered = in_order(one.metrics)
    sections = [
        Section("", [*glance(one)], versus(one.header)),
        *problems(one, most=4, points=2, letters=200),
    ]
    lines = [line(metric) for metric in ordered[:_LINES_MAX]]
    left = len(ordered) - len(lines)
    told = f" {left} more metrics, the least remarkable, are in the full report." if left else ""
    sections.append(Section("Verdicts", [Lines(LINE_HEAD, lines, f"{LEGEND}{told}")]))
    if figures := where_and_when(ordered, one.header, _ROWS_MAX):
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
