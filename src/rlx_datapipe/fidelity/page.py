"""A fidelity report as a page: verdict and score first, then all verdicts, then each metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rlx_datapipe.fidelity.cards import cards
from rlx_datapipe.fidelity.drawn import where_and_when, while_replayed
from rlx_datapipe.fidelity.meanings import title_of
from rlx_datapipe.fidelity.result import FidelityReport, Header, MetricReport
from rlx_datapipe.fidelity.summary import (
    LEGEND,
    foot,
    glance,
    problems,
    title,
    verdict_lines,
    versus,
)
from rlx_datapipe.fidelity.telling import (
    DASH,
    STATES,
    WEIGHT,
    WORDS,
    clipped,
    counts,
    hours,
    in_order,
    score,
    sentence,
)
from rlx_datapipe.report.figures import count, duration, moment
from rlx_datapipe.report.page import (
    Block,
    Facts,
    Figures,
    Fold,
    Line,
    Lines,
    Page,
    Remark,
    Remarks,
    Section,
    Table,
    Words,
)
from rlx_datapipe.report.sides import share_bar

_LINES_MAX, _SHOWN = 400, 60


def to_page(one: FidelityReport) -> Page:
    """The page of one dataset against one golden side."""
    ordered = in_order(one.metrics)
    details = dict(cards(ordered, one.header))
    anchors = {name: f"#{card.anchor}" for name, card in details.items()}
    sections = [Section("At a glance", [*glance(one)], versus(one.header)), *problems(one)]
    sections.append(Section("Verdicts", [*_verdicts(ordered, one.header, anchors)]))
    if figures := where_and_when(ordered, one.header):
        sections.append(Section("Where and when", [Figures(figures)]))
    sections += _replayed(one.header)
    names = sorted({metric.category for metric in ordered})
    sections.append(Section("Categories", [Lines(("share of metrics", "score"), [*_categories(one, names)])]))
    for name in names:
        held = [
            details[metric.name] for metric in ordered if metric.category == name and metric.name in details
        ]
        left = sum(metric.category == name for metric in ordered) - len(held)
        more = (
            [Words(f"{left} more metrics are in the JSON result; the page would be too large.")]
            if left
            else []
        )
        sections.append(Section(clipped(title_of(name)), [*held, *more]))
    if one.findings:
        lost = [Remark("warn", clipped(found.rule), clipped(found.message)) for found in one.findings[:40]]
        sections.append(Section("What could not be measured", [Remarks(lost)]))
    sections.append(Section("How it was judged", [*_method(one)], is_folded=True))
    return Page(
        title(one.header),
        STATES[one.verdict],
        clipped(one.reason),
        sections,
        "Fidelity",
        foot(one),
        one.verdict.value,
    )


def _replayed(header: Header) -> Iterator[Section]:
    """What tier 1 saw while the sides were replayed: alerts first, then the courses."""
    blocks: list[Block] = []
    for name, side in (("Golden", header.golden), ("Dataset", header.dataset)):
        if side.replayed is not None and side.replayed.alerts:
            words = " ".join(sentence(clipped(text)) for text in side.replayed.told[:4])
            told = f"{count(side.replayed.alerts)} alerts. {words}"
            blocks.append(Remarks([Remark("warn", f"{name}: alerts while it was replayed", told)]))
    if figures := while_replayed(header):
        blocks.append(Figures(figures))
    if blocks:
        lead = "Seen event by event in the replay loop, in windows of five minutes; no verdict rests on it."
        yield Section("While it was replayed", blocks, lead)


def _verdicts(ordered: Sequence[MetricReport], header: Header, anchors: Mapping[str, str]) -> Iterator[Block]:
    yield verdict_lines(ordered[:_SHOWN], header, anchors, LEGEND)
    if rest := ordered[_SHOWN:_LINES_MAX]:
        yield Fold("note", f"{len(rest)} MORE", "The other verdicts", [verdict_lines(rest, header, anchors)])
    if len(ordered) > _LINES_MAX:
        yield Words(f"{len(ordered) - _LINES_MAX} more metrics are in the JSON result.")


def _categories(one: FidelityReport, names: Sequence[str]) -> Iterator[Line]:
    for name in names:
        inside = [metric for metric in one.metrics if metric.category == name]
        held = counts(inside)
        worst = next(standing for standing in WEIGHT if held[standing])
        parts = [(held[standing], STATES[standing] or "note") for standing in reversed(WEIGHT)]
        told = ", ".join(f"{held[standing]} {WORDS[standing]}" for standing in WEIGHT if held[standing])
        svg = share_bar(told, parts)
        yield Line(
            STATES[worst],
            worst.value,
            clipped(title_of(name), 80),
            svg,
            (score(one.score.by_category.get(name)),),
            told,
        )


def _method(one: FidelityReport) -> Iterator[Block]:
    header, rule = one.header, one.header.settings
    yield Words(
        "A metric passes if the upper bound of its distance, with blocks of the data drawn anew, lies inside "
        "the margin: equivalence, not the absence of a rejection. The margin comes from distances of golden "
        "from golden. A metric fails if it is not equivalent and differs beyond chance; otherwise it is "
        "inconclusive. Whole windows are permuted and drawn, so that dependence inside them is respected."
    )
    rows = [["source", *(clipped(side.source, 200) for side in (header.golden, header.dataset))]]
    rows += [[name, told(header.golden), told(header.dataset)] for name, told in _SIDE_ROWS]
    yield Table(("", "golden", "dataset"), rows)
    facts = [("Seed", str(header.seed)), ("Window", duration(header.window_ns))]
    facts += [("Compared", "paired" if header.is_paired else "unpaired")]
    facts += [(name.replace("_", " "), str(getattr(rule, name))) for name in rule.__struct_fields__]
    facts += [
        (clipped(name, 60), clipped(version, 60)) for name, version in sorted(header.versions.items())[:40]
    ]
    facts += [
        (f"Score, cost tier {tier}", score(value)) for tier, value in sorted(one.score.by_tier.items())[:8]
    ]
    yield Facts(facts)


_SIDE_ROWS = (
    ("market", lambda side: clipped(f"{side.exchange} {side.symbol}", 120)),
    ("from (UTC)", lambda side: moment(side.begins_ns)),
    ("to (UTC)", lambda side: moment(side.ends_ns)),
    ("market time", hours),
    ("windows", lambda side: count(side.windows)),
    ("events", lambda side: count(side.events)),
    ("stamps step by", lambda side: duration(side.resolution_ns)),
    ("digest", lambda side: clipped(side.digest, 130) or DASH),
)
