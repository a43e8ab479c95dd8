"""Two-sample Kolmogorov-Smirnov: what dataset and golden are distributed like, by exact binned counts."""

from __future__ import annotations

from math import exp, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.spread import EDGES
from rlx_datapipe.validation.rule import Outcome, Rule, plural

MARGIN = 0.05
"""Distance above which two distributions are told to differ. No more than a hint: what distance the market
has from itself depends on how slowly it changes, and only `rlx fidelity` measures that."""
COUNT_MIN = 1_000
"""Values on either side below which a distance is told, but not judged: its own noise is near the margin."""
COMPARED = ("trade_quantity", "delta_quantity", "trade_interval_ns", "depth_interval_ns", "price_step")
_TERMS_MAX = 100


class Distributions(Rule):
    """Sizes, intervals and price steps of both sides, by the greatest distance of their functions.

    The distance is exact at the edges of the bins. Between them it can be greater by at most ``error``: bins
    of values below 1,024 hold one value each, those above are 1/1024 to 1/512 of their value wide.
    """

    name = "distributions"
    severity = Severity.WARN
    reference = "Kolmogorov (1933), Smirnov (1948), two-sample; judged by distance, never by p-value"
    purpose = "Sizes, intervals and price steps are distributed as in the golden capture."

    def conclude(self) -> Outcome:
        """A warning for a distance above the margin; the source itself must have none at all."""
        golden = self.subject.golden
        if golden is None:
            return Outcome("No golden capture to compare with.", {}, skipped=True)
        measures: dict[str, Any] = {"margin": 0.0 if golden.is_source else MARGIN}
        for name in COMPARED:
            sides = self.subject.ours.beside(self.subject.golden, name)
            if sides is not None and all(int(side.sum()) for side in sides):
                measures[name] = _told(*sides)
        compared = [name for name in COMPARED if name in measures]
        if not compared:
            return Outcome("Nothing that both sides have.", measures, skipped=True)
        worst = max(compared, key=lambda name: float(measures[name]["distance"]))
        greatest = measures[worst]["distance"]
        told = f"greatest distance {greatest:.4g} ({worst.replace('_', ' ')})" if greatest else "none differs"
        headline = f"{plural(len(compared), 'distribution')} compared; {told}."
        return Outcome(headline, measures, self._findings(measures, compared, is_source=golden.is_source))

    def _findings(self, measures: dict[str, Any], compared: list[str], *, is_source: bool) -> list[Finding]:
        findings = []
        for name in compared:
            told = measures[name]
            if told["distance"] <= measures["margin"]:
                continue
            few = min(told["dataset_count"], told["golden_count"]) < COUNT_MIN and not is_source
            against = "its own source" if is_source else f"the golden's, above {MARGIN:g}"
            message = f"{name.replace('_', ' ')} is {told['distance']:.4g} from {against}"
            if few:
                message += f"; of fewer than {COUNT_MIN:,} values, so not judged"
            findings.append(self.found(Severity.NOTE if few else Severity.WARN, message, **told))
        return findings


def _told(ours: Int64Array, theirs: Int64Array) -> dict[str, Any]:
    distance, error = ks_distance(ours, theirs)
    n, m = int(ours.sum()), int(theirs.sum())
    return {
        "distance": round(distance, 9),
        "error": round(error, 9),
        "dataset_count": n,
        "golden_count": m,
        "p_value_if_all_were_independent": round(ks_p_value(distance, n, m), 6),
        "p_value_is_valid": False,
    }


def ks_distance(first: Int64Array, second: Int64Array) -> tuple[float, float]:
    """The K-S distance of two sides by their counts, int64 (BINS,), and by how much it can be too small.

    Both are not empty.
    """
    held = np.flatnonzero((first > 0) | (second > 0))
    n, m = int(first.sum()), int(second.sum())
    # Products of whole numbers, so that equal distributions are at a distance of exactly 0.
    f, g = (_times(np.cumsum(one[held]), other) for one, other in ((first, m), (second, n)))
    ahead = f - g
    distance = float(np.abs(ahead).max())
    # Inside a bin of several values one side's may all come before the other's.
    wide = EDGES[held + 1] - EDGES[held] > 1
    before = np.concatenate(([0.0], ahead[:-1]))
    f_inside, g_inside = _times(first[held], m), _times(second[held], n)
    reach = np.maximum(before + f_inside, g_inside - before)[wide].max(initial=0.0)
    return distance / n / m, max(0.0, float(reach) - distance) / n / m


def _times(counts: Int64Array, factor: int) -> npt.NDArray[np.float64]:
    """Counts by the size of the other side; rounded alike on both sides where they are equal."""
    return counts.astype(np.float64) * float(factor)


def ks_p_value(distance: float, n: int, m: int) -> float:
    """The classical asymptotic p-value of the two-sample test: that of independent values without ties.

    Values of a market are neither: it is told for those who expect it, and decides nothing.
    """
    scaled = distance * sqrt(n * m / (n + m))
    if scaled < 0.04:
        # Here the series needs many terms, and is 1 to more digits than a float has.
        return 1.0
    total = 0.0
    for k in range(1, _TERMS_MAX):
        term = exp(-2.0 * k * k * scaled * scaled)
        total += term if k % 2 else -term
        if term < 1e-16:
            break
    return min(1.0, max(0.0, 2.0 * total))
