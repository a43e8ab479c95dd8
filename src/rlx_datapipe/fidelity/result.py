"""What a fidelity run says of a dataset: the types of its result, ready for JSON, in a versioned schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.core.finding import Finding
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing
from rlx_datapipe.fidelity.plot_data import Numbers, Plots

SCHEMA = "rlx.fidelity/1"
"""Fields may be added under this name; one that changes its meaning or goes gets a new one."""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What tier 1 saw of one side while it was replayed, by windows on the clock; gaps are not left out.

    Parameters
    ----------
    window_ns
        Length of a window.
    times
        Begin of each window on the clock, ns UTC, ascending.
    messages_per_s
        Trades and groups of deltas a second.
    spread_ticks, touch_depth
        Best spread, and quantity at both best prices, by time; None where no quote stood.
    alerts
        How many alerts there were in all.
    told
        What the first alert of each kind says, and how many more there were.
    """

    window_ns: int
    times: list[int]
    messages_per_s: Numbers
    spread_ticks: Numbers
    touch_depth: Numbers
    alerts: int = 0
    told: list[str] = []


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One side of the comparison.

    Parameters
    ----------
    source
        The dataset or capture as it was named.
    digest
        Of its content, hexadecimal; empty where it has none.
    exchange, symbol
        Of the chain that was compared.
    begins_ns, ends_ns
        First and last moment of its windows, ns UTC; None without windows.
    data_hours
        Hours of market time in its windows, gaps left out.
    windows, events
        How many of them were compared.
    resolution_ns
        Step of the exchange's stamps.
    replayed
        What was seen while it was replayed; None where it was not looked at.
    """

    source: str
    digest: str
    exchange: str
    symbol: str
    begins_ns: int | None
    ends_ns: int | None
    data_hours: float
    windows: int
    events: int
    resolution_ns: int
    replayed: Replayed | None = None


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared, and how.

    ``is_paired`` says whether window k of both sides is the same stretch of the same market; ``window_ns``
    is the length of a window. ``seed`` is the only source of chance: with it, the settings and both digests
    the run can be repeated to the byte. ``versions`` has the packages that the numbers come from.
    """

    dataset: Side
    golden: Side
    is_paired: bool
    window_ns: int
    seed: int
    settings: DecisionSettings
    versions: dict[str, str]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How alike, 0 to 1, weighted by tier and criticality; beside the verdict, never instead of it.

    None where nothing could be scored; the keys of ``by_tier`` are "1" to "3". ``decided`` is the share of
    the weight that was decided at all, 0 to 1: what is INCONCLUSIVE does not count in the others.
    """

    overall: float | None
    decided: float | None = None
    by_category: dict[str, float | None] = {}
    by_tier: dict[str, float | None] = {}


class Strength(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is right: a short title, a sentence, and the metrics that show it."""

    title: str
    text: str
    metrics: list[str] = []


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong or could not be told; the heaviest come first.

    ``causes`` are likely ones, the likeliest first, ``remedies`` what to try, both whole sentences.
    """

    title: str
    text: str
    standing: Standing
    metrics: list[str] = []
    causes: list[str] = []
    remedies: list[str] = []


class PValues(msgspec.Struct, frozen=True, kw_only=True):
    """P-values of one metric, None where there is none.

    Parameters
    ----------
    adjusted
        Block permutation, max-T adjusted over all metrics: the one that gates.
    discovery
        Benjamini-Hochberg over all metrics, for the report.
    plain
        Block permutation of this metric alone.
    wilcoxon
        Of paired windows.
    classical_ks_not_valid_under_dependence
        What the textbook test says; beside the others for those who expect it, never used.
    """

    adjusted: float | None = None
    discovery: float | None = None
    plain: float | None = None
    wilcoxon: float | None = None
    classical_ks_not_valid_under_dependence: float | None = None


class MetricReport(msgspec.Struct, frozen=True, kw_only=True):
    """One metric: what it found, the verdict, and what that means. None stands for a number there is not.

    Parameters
    ----------
    name, category, tier, unit, severity
        As the metric declares them; a gate holds the verdict on the whole up, a note does not enter it.
    verdict, reason
        What comes of it and why, a sentence with the numbers.
    value
        The distance or difference of both sides as a whole, in ``unit``.
    tested, low, high
        What the rule looked at, and its interval (`Header.settings`, resampled blocks): the value itself, or
        the mean difference of paired windows.
    golden, recon
        What each side is by itself: means or estimates, in the natural unit of what is measured.
    floor
        Noise floor: quantile of the distances of golden from golden. None for paired windows and fits.
    margin
        What ``high`` may be at most.
    scope
        What the verdict does not speak of, a sentence; empty where there is no such limit.
    ratio
        ``tested`` over ``floor``.
    p
        See `PValues`.
    score, weight
        Share of likeness, 0 to 1, and how much it counts in `Score`.
    purpose
        What is measured, a sentence without its full stop.
    meaning, remedy
        What this outcome means to whoever trains on the data, and what to do. Whole sentences.
    requirements, reference
        As the metric declares them.
    measures
        More numbers, by name.
    plots
        Sketches to draw.
    """

    name: str
    category: str
    tier: int
    unit: str
    verdict: Standing
    reason: str
    purpose: str
    severity: str = "warn"
    value: float | None = None
    tested: float | None = None
    low: float | None = None
    high: float | None = None
    golden: float | None = None
    recon: float | None = None
    floor: float | None = None
    margin: float | None = None
    ratio: float | None = None
    p: PValues = PValues()
    score: float | None = None
    weight: float = 1.0
    scope: str = ""
    meaning: str = ""
    remedy: str = ""
    requirements: list[str] = []
    reference: str = ""
    measures: dict[str, Any] = {}
    plots: Plots = Plots()


class FidelityReport(msgspec.Struct, frozen=True, kw_only=True):
    """Is the dataset like the market? The whole result of one dataset against one golden side.

    ``metrics`` are in the order of category, then name; ``findings`` are metrics that failed and plugins
    that could not be loaded.
    """

    schema: str = SCHEMA
    header: Header
    verdict: Standing
    reason: str
    score: Score
    metrics: list[MetricReport]
    strengths: list[Strength] = []
    problems: list[Problem] = []
    findings: list[Finding] = []

    def to_json(self) -> bytes:
        """The result as one JSON object; the same result gives the same bytes."""
        return msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1) + b"\n"


def read_report(path: Path) -> FidelityReport:
    """A result from its JSON file.

    Raises
    ------
    SourceError
        When it can't be read, or is no result of this schema.
    """
    try:
        content = path.read_bytes()
        head = msgspec.json.decode(content, type=_Head)
        if head.schema != SCHEMA:
            raise SourceError(
                "no fidelity result that this version reads",
                file=path,
                found=head.schema or "no schema",
                expected=SCHEMA,
            )
        return msgspec.json.decode(content, type=FidelityReport)
    except OSError as error:
        raise SourceError("can't be read", file=path, found=error.strerror) from error
    except (msgspec.DecodeError, UnicodeDecodeError, OptionError) as error:
        raise SourceError("no fidelity result", file=path, found=str(error)) from error


class _Head(msgspec.Struct):
    schema: str = ""
