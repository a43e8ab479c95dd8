"""Power laws in the tails: fitted to binned counts by maximum likelihood, dataset against golden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.spread import BINS, EDGES, HALF
from rlx_datapipe.validation.rule import Outcome, Rule

TAILS = ("trade_quantity", "second_return_ppb")
TAIL_SHARE = 0.05
TAIL_MIN = 100
"""With fewer the exponent is known to no better than a tenth of its distance from 1."""
ERRORS_MAX = 2.0
"""Standard errors by which the exponents of the two sides may differ."""
_EXPONENT_MAX = 40.0
_STEPS_MAX = 200


@dataclass(frozen=True)
class Tail:
    """A power law fitted to a tail: exponent of the density (tail index plus 1), its error, values in it."""

    alpha: float
    error: float
    count: int


def fit_tail(counts: Int64Array, first: int) -> Tail | None:
    """The power law of the values from a bin on, by binned maximum likelihood; None where nothing fits.

    Parameters
    ----------
    counts
        int64 (BINS,), as `count_values` fills them.
    first
        The bin where the tail begins; its least value is above 0.

    References
    ----------
    Virkar and Clauset (2014), "Power-law distributions in binned empirical data", Annals of Applied
    Statistics 8(1). The error is that of the observed information, for independent values.
    """
    held = first + np.flatnonzero(counts[first:])
    weights = counts[held].astype(np.float64)
    total = float(weights.sum())
    if not total:
        return None
    start = float(EDGES[first])
    low, high = np.log(EDGES[held] / start), np.log(EDGES[held + 1] / start)
    if not (weights @ low) > 0:
        return None
    slope = _root(weights, low, high)
    if slope is None:
        return None
    information = _bend(slope, weights, low, high)
    return Tail(1.0 + slope, float(1.0 / np.sqrt(information)), int(total))


def _score(
    slope: float,
    weights: npt.NDArray[np.float64],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> float:
    """First derivative of the log likelihood sum(w log(exp(-s low) - exp(-s high))) by s."""
    width = high - low
    return float(weights @ (width / np.expm1(slope * width) - low))


def _bend(
    slope: float,
    weights: npt.NDArray[np.float64],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> float:
    """Minus its second derivative."""
    half = (high - low) / 2.0
    return float(weights @ (half / np.sinh(slope * half)) ** 2)


def _root(
    weights: npt.NDArray[np.float64], low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> float | None:
    """Where the derivative, which falls, is nought: halved until a float can't tell."""
    least, most = 1e-6, _EXPONENT_MAX
    if _score(least, weights, low, high) <= 0 or _score(most, weights, low, high) >= 0:
        return None
    for _ in range(_STEPS_MAX):
        middle = (least + most) / 2.0
        if middle in (least, most):
            break
        if _score(middle, weights, low, high) > 0:
            least = middle
        else:
            most = middle
    return (least + most) / 2.0


def tail_start(counts: Int64Array) -> int | None:
    """The bin from which on the greatest values lie: a share of `TAIL_SHARE`, and at least `TAIL_MIN`."""
    positive = counts.copy()
    positive[: HALF + 1] = 0
    above = np.cumsum(positive[::-1])[::-1]
    wanted = max(TAIL_MIN, int(np.ceil(TAIL_SHARE * int(positive.sum()))))
    # The last bin that still has as many from there on.
    reaching = np.flatnonzero(above >= wanted)
    return int(reaching[-1]) if len(reaching) and reaching[-1] < BINS - 1 else None


class PowerLaws(Rule):
    """The tails of trade sizes and of returns over a second fall as steeply as the golden's.

    Both sides are fitted from the same threshold on: where the golden's greatest twentieth begins.
    """

    name = "power_laws"
    severity = Severity.WARN
    reference = "Virkar and Clauset (2014), binned maximum likelihood; exponents within two standard errors"
    purpose = "Large trades and large returns are as frequent as in the golden capture."

    def conclude(self) -> Outcome:
        """A warning where the exponents differ by more than their errors allow."""
        measures: dict[str, Any] = {}
        findings: list[Finding] = []
        told = []
        for name in TAILS:
            if (fits := self._fits(name)) is None:
                continue
            start, ours, theirs = fits
            apart = abs(ours.alpha - theirs.alpha)
            errors = float(np.hypot(ours.error, theirs.error))
            measures[name] = {
                "threshold": int(EDGES[start]),
                **{
                    f"{side}_{key}": value
                    for side, fit in (("dataset", ours), ("golden", theirs))
                    for key, value in (
                        ("alpha", round(fit.alpha, 6)),
                        ("standard_error", round(fit.error, 6)),
                        ("count", fit.count),
                    )
                },
                "difference_in_standard_errors": round(apart / errors, 6),
            }
            words = f"{name.replace('_ppb', '').replace('_', ' ')} {ours.alpha:.3f} and {theirs.alpha:.3f}"
            told.append(words)
            if apart > ERRORS_MAX * errors:
                message = f"exponents of {words} are {apart / errors:.1f} standard errors apart"
                findings.append(self.found(Severity.WARN, message, **measures[name]))
        if not told:
            return Outcome("No tail that both sides have.", measures, skipped=True)
        return Outcome(f"Exponents, dataset and golden: {'; '.join(told)}.", measures, findings)

    def _fits(self, name: str) -> tuple[int, Tail, Tail] | None:
        sides = self.subject.ours.beside(self.subject.golden, name)
        start = None if sides is None else tail_start(sides[1])
        if sides is None or start is None:
            return None
        ours, theirs = fit_tail(sides[0], start), fit_tail(sides[1], start)
        if ours is None or theirs is None or ours.count < TAIL_MIN:
            return None
        return start, ours, theirs
