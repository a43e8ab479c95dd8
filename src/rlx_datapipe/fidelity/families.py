"""Families that most metrics belong to: distributions, numbers of each window, fitted parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.bins import BINS, Bins, golden_bins
from rlx_datapipe.fidelity.blocks import BlockCounts, BlockNumbers, BlockVectors, Statistic, distance
from rlx_datapipe.fidelity.distances import FloatArray, classical_ks_p, two_sample
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult

JACKKNIFE_MIN = 4
SAMPLE_MAX = 2_000_000
"""Values of a side from which edges of bins and exact distances are taken, at most; of more, every k-th."""


@dataclass(frozen=True)
class Sample:
    """Finite values of one window, float64 (n,), and a weight above 0 of each, int64 (n,), or none."""

    values: FloatArray
    weights: Int64Array | None = None


class DistributionMetric(MetricPlugin):
    """A metric that compares the distribution of some value on both sides.

    The value of the metric is the K-S distance at the edges of 1024 golden-quantile bins, unless
    ``statistic`` says otherwise; all other distances stand beside it. With weights the distributions are
    those of time.

    Attributes
    ----------
    statistic
        The distance that is the value, and that decides.
    values_min
        How many values a side needs.
    axis
        What its values are, told beside their plots.
    """

    tier: ClassVar[int] = 2
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    statistic: ClassVar[Statistic] = Statistic.KS
    values_min: ClassVar[int] = 100
    axis: ClassVar[str] = "value"
    engineering_floor: ClassVar[float] = 0.03
    tolerable: ClassVar[float] = 0.25

    @abstractmethod
    def sample(self, window: Window, data: Comparison) -> Sample:
        """The values of one window."""

    def calculate(self, data: Comparison) -> MetricResult:
        """All distances of the two sides."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        pools = [_Pool(self, side.windows, data) for side in data.sides]
        for side, pool in zip(data.sides, pools, strict=True):
            if pool.seen < self.values_min:
                return self.lacks(
                    f"too little data: {pool.seen} values on the {side.name} side, {self.values_min} needed"
                )
        pooled = [pool.pooled() for pool in pools]
        bins = golden_bins(pooled[0].values, BINS)
        golden, recon = (_counted(pool.by_window(), bins) for pool in pools)
        blocks = BlockCounts(golden, recon, bins.centres, self.statistic)
        every = two_sample(pooled[0].values, pooled[1].values, pooled[0].weights, pooled[1].weights)
        return self.says(
            distance(blocks),
            blocks=blocks,
            ks=every.ks,
            anderson_darling=every.anderson_darling,
            anderson_darling_per_pair=every.anderson_darling_per_pair,
            cramer_von_mises=every.cramer_von_mises,
            energy=every.energy,
            wasserstein=every.wasserstein,
            classical_ks_p_not_valid_under_dependence=classical_ks_p(every.ks, every.n, every.m),
            golden_mean=_mean(pooled[0]),
            recon_mean=_mean(pooled[1]),
            golden_values=every.n,
            recon_values=every.m,
        )

    def bins(self, windows: Sequence[Window], data: Comparison, count: int = BINS) -> Bins | None:
        """Bins by what is in these windows; None where there are too few values."""
        pool = _Pool(self, windows, data)
        return golden_bins(pool.pooled().values, count) if pool.seen >= self.values_min else None

    def rows(self, windows: Sequence[Window], data: Comparison, bins: Bins) -> Int64Array:
        """Histogram of each window over given bins, int64 (windows, bins)."""
        return _counted((self.sample(window, data) for window in windows), bins)


class NumberMetric(MetricPlugin):
    """A metric that compares the mean over windows of some number, in its own unit.

    The value is the absolute difference of the means; both means stand beside it.

    Attributes
    ----------
    windows_min
        In how many windows of each side the number must be defined.
    tolerable_share
        The largest margin that a verdict may rest on, as a share of the golden mean, where ``tolerable`` says
        nothing.
    """

    tier: ClassVar[int] = 3
    windows_min: ClassVar[int] = 1
    tolerable_share: ClassVar[float] = 0.5

    def tolerated(self, result: MetricResult) -> float:
        """What it declares, or a share of the golden mean."""
        share = self.tolerable_share * abs(float(result.measures.get("golden", 0.0)))
        return self.tolerable if np.isfinite(self.tolerable) else share

    @abstractmethod
    def number(self, window: Window, data: Comparison) -> float:
        """The number of one window; NaN where it is not defined."""

    def calculate(self, data: Comparison) -> MetricResult:
        """The difference of the two means."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        golden, recon = (self.rows(side.windows, data) for side in data.sides)
        for side, numbers in zip(data.sides, (golden, recon), strict=True):
            defined = int((~np.isnan(numbers)).sum())
            if defined < self.windows_min:
                return self.lacks(
                    f"too little data: defined in {defined} windows of the {side.name} side, "
                    f"{self.windows_min} needed"
                )
        means = [float(np.nanmean(side)) for side in (golden, recon)]
        return self.says(
            abs(means[0] - means[1]),
            blocks=BlockNumbers(golden, recon),
            golden=means[0],
            recon=means[1],
            ratio=means[1] / means[0] if means[0] else None,
        )

    def rows(self, windows: Sequence[Window], data: Comparison) -> FloatArray:
        """The number of each window, float64 (windows,)."""
        return np.array([self.number(window, data) for window in windows], dtype=np.float64)


class VectorMetric(MetricPlugin):
    """A metric that compares the means over windows of several numbers; the one furthest apart decides.

    The value is the greatest absolute difference; the mean one, and which it is, stand beside it.

    Attributes
    ----------
    windows_min
        In how many windows of each side some number must be defined.
    """

    tier: ClassVar[int] = 2
    windows_min: ClassVar[int] = 1

    @abstractmethod
    def numbers(self, window: Window, data: Comparison) -> FloatArray:
        """The numbers of one window, float64 (k,), the same k each time; NaN where one is not defined."""

    def calculate(self, data: Comparison) -> MetricResult:
        """The greatest difference of means."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        golden, recon = (self.rows(side.windows, data) for side in data.sides)
        for side, rows in zip(data.sides, (golden, recon), strict=True):
            defined = int((~np.isnan(rows)).any(axis=1).sum())
            if defined < self.windows_min:
                return self.lacks(
                    f"too little data: defined in {defined} windows of the {side.name} side, "
                    f"{self.windows_min} needed"
                )
        both = ~np.isnan(golden).all(axis=0) & ~np.isnan(recon).all(axis=0)
        if not both.any():
            return self.lacks("too little data: no number that is defined on both sides")
        gaps = np.abs(np.nanmean(golden[:, both], axis=0) - np.nanmean(recon[:, both], axis=0))
        return self.says(
            float(gaps.max()),
            blocks=BlockVectors(golden, recon),
            mean=float(gaps.mean()),
            furthest=int(np.flatnonzero(both)[gaps.argmax()]),
            numbers=int(both.sum()),
        )

    def rows(self, windows: Sequence[Window], data: Comparison) -> FloatArray:
        """The numbers of each window, float64 (windows, k)."""
        return np.stack([self.numbers(window, data) for window in windows])


def _counted(samples: Iterable[Sample], bins: Bins) -> Int64Array:
    return np.stack([bins.count(one.values, one.weights) for one in samples])


class _Pool:
    """The values of a side, all or every k-th, never more than twice `SAMPLE_MAX`; k is a power of 2."""

    def __init__(self, metric: DistributionMetric, windows: Sequence[Window], data: Comparison) -> None:
        self._metric, self._windows, self._data = metric, windows, data
        self._held: list[Sample] = []
        self._stride, self.seen = 1, 0
        """Every how many values one is held, and how many there were."""
        for window in windows:
            self._take(metric.sample(window, data))

    def _take(self, sample: Sample) -> None:
        first = -self.seen % self._stride
        self.seen += len(sample.values)
        self._held.append(_every(sample, first, self._stride))
        while self.seen > SAMPLE_MAX * self._stride:
            self._held = [_every(self.pooled(), 0, 2)]
            self._stride *= 2

    def pooled(self) -> Sample:
        """The values that are held, of all windows together."""
        weights = [one.weights for one in self._held if one.weights is not None]
        return Sample(
            np.concatenate([one.values for one in self._held]),
            np.concatenate(weights) if len(weights) == len(self._held) else None,
        )

    def by_window(self) -> Iterator[Sample]:
        """All values of each window; taken once more where they are not all held."""
        if self._stride == 1:
            yield from self._held
        else:
            yield from (self._metric.sample(window, self._data) for window in self._windows)


def _every(sample: Sample, first: int, stride: int) -> Sample:
    weights = None if sample.weights is None else sample.weights[first::stride]
    return Sample(sample.values[first::stride], weights)


def _mean(sample: Sample) -> float:
    return float(np.average(sample.values, weights=sample.weights))


@dataclass(frozen=True)
class Fit:
    """A fitted parameter with its standard error; ``reason`` says why there is none."""

    estimate: float
    error: float
    reason: str = ""


class FitMetric(MetricPlugin):
    """A metric that compares a parameter fitted to each side as a whole; both fits are noisy.

    The value is the absolute difference of the estimates. Their errors stand beside it, and
    `decision.two_fits` judges by them.

    Attributes
    ----------
    tolerance
        Tolerated difference relative to the golden estimate.
    is_jackknifed
        Whether the error that the fit tells may be too small, as that of independent values is: then the
        greater of it and of the jackknife over some stretches is taken.
    stretches
        How many of them, at least 4.
    """

    tier: ClassVar[int] = 3
    tolerance: ClassVar[float] = 0.1
    is_jackknifed: ClassVar[bool] = False
    stretches: ClassVar[int] = 10

    @abstractmethod
    def fit(self, side: MarketSide, data: Comparison) -> Fit:
        """The parameter of one side."""

    def calculate(self, data: Comparison) -> MetricResult:
        """The difference of the two estimates."""
        if reason := self.validate_requirements(data):
            return self.lacks(reason)
        fits = [self.fitted(side, data) for side in data.sides]
        for side, one in zip(data.sides, fits, strict=True):
            if one.reason:
                return self.lacks(f"too little data: {one.reason} on the {side.name} side")
        return self.compared(*fits)

    def compared(self, golden: Fit, recon: Fit) -> MetricResult:
        """The result of two fits."""
        return self.says(
            abs(golden.estimate - recon.estimate),
            golden=golden.estimate,
            golden_error=golden.error,
            recon=recon.estimate,
            recon_error=recon.error,
            tolerance=self.tolerance,
        )

    def fitted(self, side: MarketSide, data: Comparison) -> Fit:
        """The parameter of one side, with an error that bears dependence.

        References
        ----------
        Quenouille (1956), Tukey (1958): the jackknife; here without one stretch of the windows at a time.
        """
        whole = self.fit(side, data)
        count = len(side.windows)
        if not self.is_jackknifed or whole.reason or count < JACKKNIFE_MIN:
            return whole
        groups = min(self.stretches, count)
        group = np.arange(count) * groups // count
        parts = [
            self.fit(
                replace(side, windows=[w for w, g in zip(side.windows, group, strict=True) if g != one]), data
            )
            for one in range(groups)
        ]
        known = np.array([part.estimate for part in parts if not part.reason])
        if len(known) < JACKKNIFE_MIN:
            return whole
        error = ((len(known) - 1) * float(known.var())) ** 0.5
        return replace(whole, error=max(whole.error, error))
