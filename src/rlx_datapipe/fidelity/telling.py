"""Words and numbers of a fidelity result, as all its pages tell them."""

from __future__ import annotations

from collections.abc import Sequence

from rlx_datapipe.fidelity.decision import Standing
from rlx_datapipe.fidelity.result import Header, MetricReport, Side
from rlx_datapipe.report.figures import duration, short
from rlx_datapipe.report.page import State

DASH = "\u2013"
STATES: dict[Standing, State] = {
    Standing.PASS: "good",
    Standing.FAIL: "bad",
    Standing.INCONCLUSIVE: "warn",
    Standing.NOT_IDENTIFIABLE: "note",
}
WEIGHT = (Standing.FAIL, Standing.INCONCLUSIVE, Standing.NOT_IDENTIFIABLE, Standing.PASS)
"""The order of verdicts in lists: what needs a look first."""
WORDS = {
    Standing.PASS: "passed",
    Standing.FAIL: "failed",
    Standing.INCONCLUSIVE: "inconclusive",
    Standing.NOT_IDENTIFIABLE: "not identifiable",
}
LETTERS_MAX = 600
"""A text from outside is cut here: a page stays a page whatever it is told."""


def in_order(metrics: Sequence[MetricReport]) -> list[MetricReport]:
    """What needs a look first, then by category and name."""
    return sorted(metrics, key=lambda one: (WEIGHT.index(one.verdict), one.category, one.name))


def counts(metrics: Sequence[MetricReport]) -> dict[Standing, int]:
    """How many of each verdict."""
    return {one: sum(metric.verdict is one for metric in metrics) for one in Standing}


def score(value: float | None) -> str:
    """A score, 0 to 1."""
    return DASH if value is None else f"{value:.3f}"


def clipped(text: str, most: int = LETTERS_MAX) -> str:
    """A text from outside, cut where it is too long."""
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def market(header: Header) -> str:
    """Exchange and symbol of the dataset."""
    return f"{header.dataset.exchange} {header.dataset.symbol}"


def same_rows(header: Header) -> str:
    """What a verdict can say where both sides hold the same rows; nothing where they don't."""
    if not header.golden.digest or header.golden.digest != header.dataset.digest:
        return ""
    return (
        "Both hold the same rows, digest for digest: nothing was lost or altered on the way. "
        "Of another day or another market this says nothing."
    )


def hours(side: Side) -> str:
    """Market time of a side."""
    return duration(round(side.data_hours * 3_600_000_000_000))


def measure(value: object) -> str:
    """A number of a metric's measures, or what else it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return clipped(str(value), 80)
    return short(float(value))


def capital(words: str) -> str:
    """Words that begin with a capital."""
    return f"{words[:1].upper()}{words[1:]}"


def sentence(words: str) -> str:
    """Words as a sentence."""
    return capital(words) + ("" if words.endswith((".", "!", "?", "\u2026")) else ".")


def of_margin(metric: MetricReport) -> float | None:
    """What was tested in multiples of the margin; None where one is missing, or the margin is nothing."""
    if metric.tested is None or metric.margin is None:
        return None
    if metric.margin > 0:
        return metric.tested / metric.margin
    return 0.0 if metric.tested == 0 else None
