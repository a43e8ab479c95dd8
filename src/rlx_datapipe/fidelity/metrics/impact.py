"""Impact: what traded volume does to the price."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.fidelity.dependence import autocorrelation
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.families import Fit, FitMetric, NumberMetric
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window
from rlx_datapipe.fidelity.metrics.flow import slope, summed
from rlx_datapipe.fidelity.plugin import MetricPlugin, Need

STEP_NS = 1_000_000_000
STEPS_MIN = 100


def kyle_lambda(volume: FloatArray, moves: FloatArray) -> Fit:
    """Price move per signed volume, by least squares with an error that bears dependence (Newey and West).

    Parameters
    ----------
    volume
        Signed volume of each step, bought above 0, float64 (n,).
    moves
        Price move over each step, float64 (n,).

    References
    ----------
    Kyle (1985), "Continuous auctions and insider trading". Newey and West (1987).
    """
    estimate, _ = slope(volume, moves)
    if np.isnan(estimate):
        return Fit(estimate, float("nan"), "no signed volume")
    centred = volume - volume.mean()
    residuals = moves - moves.mean() - estimate * centred
    scores = centred * residuals
    lags = int(4 * (len(volume) / 100) ** (2 / 9))
    long_run = float(scores @ scores)
    for lag in range(1, lags + 1):
        long_run += 2 * (1 - lag / (lags + 1)) * float(scores[lag:] @ scores[:-lag])
    return Fit(estimate, max(0.0, long_run) ** 0.5 / float(centred @ centred))


def volume_and_moves(window: Window, data: Comparison) -> tuple[FloatArray, FloatArray]:
    """Signed volume of each second in whole units, and the move of the mid over it in ticks."""
    trades = data.trades(window)
    signed = summed(trades.time_ns, trades.quantity * trades.sign, window.start_ns, window.end_ns, STEP_NS)
    moves = np.diff(window.mids(STEP_NS))
    count = min(len(signed), len(moves))
    known = ~np.isnan(moves[:count])
    return signed[:count][known] / window.units, moves[:count][known]


class KyleLambda(FitMetric):
    """Kyle's lambda."""

    name = "kyle_lambda"
    category = "impact"
    unit = "ticks per unit"
    tolerance = 0.1
    is_jackknifed = True
    purpose = "difference of the price moves per signed volume, per second, all windows pooled"
    formula = (
        "lambda: move of the mid = lambda * signed volume + error, least squares over all seconds, HAC errors"
    )
    reference = "Kyle (1985); gate: ratio to golden in [0.9, 1.1]"
    requirements = frozenset({Need.QUOTES, Need.TRADES})
    scale_ns = STEP_NS

    def fit(self, side: MarketSide, data: Comparison) -> Fit:
        """The slope over all seconds of a side; small windows flip its sign."""
        parts = [volume_and_moves(window, data) for window in side.windows]
        volume, moves = (np.concatenate([part[k] for part in parts]) for k in range(2))
        if len(volume) < STEPS_MIN:
            return Fit(float("nan"), float("nan"), f"{len(volume)} seconds, {STEPS_MIN} needed")
        return kyle_lambda(volume, moves)


class SignMemory(NumberMetric):
    """How long buyers follow buyers."""

    name = "trade_sign_memory"
    tolerable = 0.2
    category = "impact"
    tier = 2
    bounds = (0.0, 2.0)
    purpose = "difference of the lag-1 autocorrelation of trade signs"
    formula = "x = corr(s_i, s_(i-1)) of a window, s = +1 bought, -1 sold"
    reference = "Lillo and Farmer (2004), The long memory of the efficient market"
    requirements = frozenset({Need.TRADES})

    def number(self, window: Window, data: Comparison) -> float:
        """Autocorrelation of one window."""
        signs = data.trades(window).sign.astype(np.float64)
        return float(autocorrelation(signs, 1)[1]) if len(signs) > 20 else float("nan")


METRICS: tuple[type[MetricPlugin], ...] = (KyleLambda, SignMemory)
