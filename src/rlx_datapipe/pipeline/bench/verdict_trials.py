"""Trials of the verdict: one market held against itself, and against itself with a fault planted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import msgspec
import numpy as np
import numpy.typing as npt

from rlx_datapipe.fidelity.decision import DecisionSettings, Standing, Verdict
from rlx_datapipe.fidelity.engine import Measured, run_metrics
from rlx_datapipe.fidelity.faults import Fault
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window, cut_windows
from rlx_datapipe.fidelity.overall import overall
from rlx_datapipe.fidelity.plugin import Need
from rlx_datapipe.fidelity.pool import Measure, Pool
from rlx_datapipe.fidelity.registry import MetricRegistry
from rlx_datapipe.fidelity.tiers import TierSettings
from rlx_datapipe.fidelity.verdicts import verdicts

NORMAL_95 = 1.96
Judged = tuple[Verdict, dict[str, Verdict]]
"""The verdict on the whole, and on each metric."""


class Trials(msgspec.Struct, frozen=True, kw_only=True):
    """What came of some trials: shares of them, for the verdict on the whole and by metric.

    Parameters
    ----------
    trials
        How many.
    fails, passes
        Share in which the whole came out as FAIL, as PASS.
    by_metric
        Share in which each metric failed; those that never did are left out.
    passes_by_metric
        Share in which each metric passed.
    low, high
        Bounds of ``fails`` at 95 %, exact for independent trials (Clopper and Pearson 1934), or wider.
    """

    trials: int
    fails: float
    passes: float
    by_metric: dict[str, float]
    passes_by_metric: dict[str, float]
    low: float
    high: float


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one source: one market with itself, and each fault at each strength.

    ``paired`` is the same with the same interval on both sides; of the same market that needs no trial: it
    is equal to itself.
    """

    told: str
    same: Trials
    faults: dict[str, dict[float, Trials]]
    paired: dict[str, dict[float, Trials]] = {}


@dataclass(frozen=True)
class Setting:
    """Markets that trials are made of, and how they are judged.

    Parameters
    ----------
    market
        Makes a market by its number, a stretch; all are of one law and independent of each other.
    markets, spoiled
        How many there are, and on how many of them, the last ones, faults are planted.
    window_ns
        Length of a window.
    registry, without
        Metrics, and names of those left out.
    rule
        The decision.
    bins
        Bins of a distribution.
    seed
        Of all chance.
    """

    market: Callable[[int], Window]
    markets: int
    spoiled: int
    window_ns: int
    registry: MetricRegistry
    rule: DecisionSettings
    bins: int
    seed: int
    without: frozenset[str] = frozenset()

    def rng(self, *key: int) -> np.random.Generator:
        """A generator of its own for each use."""
        return np.random.default_rng([self.seed, *key])


Sides = tuple[Sequence[Window], Measure]
"""Windows, and what all metrics say of them."""


class Bench:
    """All markets cut and measured once; of those that nothing is planted on, no events are kept."""

    def __init__(self, setting: Setting, on_step: Callable[[str], None] = lambda _: None) -> None:
        self.setting = setting
        self.plugins = {name: setting.registry.get(name) for name in setting.registry}
        self.spoiled = {k: setting.market(k) for k in self._last()}
        every = [window for one in self.spoiled.values() for window in cut_windows(one, setting.window_ns)]
        side = MarketSide("golden", every[0].instrument, tuple(every))
        self.pool = Pool(setting.registry, side, setting.bins, setting.without)
        self.clean: list[Sides] = []
        for k in range(setting.markets):
            on_step(f"measuring market {k + 1} of {setting.markets}")
            whole = self.spoiled.get(k)
            windows = cut_windows(setting.market(k) if whole is None else whole, setting.window_ns)
            kept = windows if k in self.spoiled else [_stub(window) for window in windows]
            self.clean.append((kept, self.pool.measured(windows)))

    def _last(self) -> range:
        return range(self.setting.markets - self.setting.spoiled, self.setting.markets)

    def planted(self, fault: Fault, strength: float, market: int) -> Sides:
        """Windows of a market with a fault in it, and what all metrics say of them."""
        rng, length = self.setting.rng(1, market), self.setting.window_ns
        windows = fault.windows(self.spoiled[market], rng, strength, length)
        return windows, self.pool.measured(windows)

    def judged(self, golden: Sides, recon: Sides, *key: int) -> Judged:
        """The verdict on the whole and on each metric, unpaired."""
        sides = [replace(self.pool.golden, windows=tuple(side[0])) for side in (golden, recon)]
        data = Comparison(sides[0], sides[1])
        measured = self.pool.results(golden[1], recon[1])
        told = verdicts(measured, self.setting.registry, data, self.setting.rng(*key), self.setting.rule)
        return overall(told, self.plugins, is_paired=False), told

    def judged_as_pair(self, golden: Sides, recon: Sides, *key: int) -> Judged:
        """The verdicts where window k of both is one interval."""
        sides = [replace(self.pool.golden, windows=tuple(side[0])) for side in (golden, recon)]
        data = Comparison(sides[0], sides[1], is_paired=True)
        names = [name for name, one in self.plugins.items() if Need.SAME_TIME in one.requirements]
        there = run_metrics(self.setting.registry, data, names, TierSettings(workers=1))
        measured = Measured({**self.pool.results(golden[1], recon[1]).results, **there.results})
        told = verdicts(measured, self.setting.registry, data, self.setting.rng(*key), self.setting.rule)
        return overall(told, self.plugins, is_paired=True), told


def same_market(bench: Bench, splits: int) -> Trials:
    """Each market held against each other one of the same law, as often as asked for at most.

    A market stands in many comparisons, and one that is odd raises many alarms: the bounds are the wider of
    those of independent trials, and of what leaving out one market at a time changes.
    """
    pairs = np.array(list(combinations(range(len(bench.clean)), 2)))
    pairs = pairs[bench.setting.rng(2).permutation(len(pairs))[:splits]]
    judged = [bench.judged(bench.clean[a], bench.clean[b], 3, int(a), int(b)) for a, b in pairs]
    told = _trials(judged)
    alarms = np.array([whole.standing is Standing.FAIL for whole, _ in judged])
    apart = NORMAL_95 * market_error(alarms, pairs)
    low, high = max(0.0, told.fails - apart), min(1.0, told.fails + apart)
    return msgspec.structs.replace(told, low=min(low, told.low), high=max(high, told.high))


def market_error(alarms: npt.NDArray[np.bool_], pairs: npt.NDArray[np.intp]) -> float:
    """Standard error of the share of alarms, by the jackknife over the markets that the pairs are made of.

    Parameters
    ----------
    alarms, pairs
        Whether each comparison alarmed, bool (n,), and the two markets of it, (n, 2).

    References
    ----------
    Arvesen (1969), "Jackknifing U-statistics".
    """
    left = [alarms[(pairs != market).all(axis=1)] for market in np.unique(pairs)]
    shares = np.array([rest.mean() for rest in left if len(rest)])
    count = len(shares)
    return float(((count - 1) / count * ((shares - shares.mean()) ** 2).sum()) ** 0.5) if count else 0.0


Both = tuple[Trials, Trials | None]
"""Trials with a fault: unpaired, and paired, which is None where a fault leaves no pairs."""


def faulty_market(bench: Bench, fault: Fault, strength: float, trials: int, *, pairs: bool) -> Both:
    """The last few markets spoiled: each against as many of the others as make up the trials, and itself."""
    others = len(bench.clean) - len(bench.spoiled)
    each = min(others, -(-trials // len(bench.spoiled)))
    unpaired: list[Judged] = []
    paired: list[Judged] = []
    for turn, market in enumerate(bench.spoiled):
        recon = bench.planted(fault, strength, market)
        for golden in range(each):
            first = (golden + turn * each) % others
            unpaired.append(bench.judged(bench.clean[first], recon, 4, first, market))
        if pairs and fault.choose is None:
            paired.append(bench.judged_as_pair(bench.clean[market], recon, 5, market))
    return _trials(unpaired), _trials(paired) if paired else None


def same_recording(bench: Bench, run: int, splits: int) -> Trials:
    """One recording split at random into two sides, by runs of neighbouring windows."""

    def every() -> Iterator[Judged]:
        for k in range(splits):
            golden, recon = (_part(bench, bench.clean[0], rows) for rows in _split(bench, run, k))
            yield bench.judged(golden, recon, 6, k)

    return _trials(every())


def faulty_recording(
    bench: Bench, fault: Fault, strength: float, run: int, trials: int, *, pairs: bool
) -> Both:
    """One recording split likewise, one side of it spoiled; and the whole of it against itself spoiled."""
    spoiled = bench.planted(fault, strength, 0)
    place = {window.start_ns: row for row, window in enumerate(spoiled[0])}
    unpaired: list[Judged] = []
    for k in range(trials):
        golden, recon = _split(bench, run, k)
        starts = [bench.clean[0][0][row].start_ns for row in recon]
        there = np.array([place[start] for start in starts if start in place], dtype=np.intp)
        unpaired.append(
            bench.judged(_part(bench, bench.clean[0], golden), _part(bench, spoiled, there), 7, k)
        )
    if not pairs or fault.choose is not None:
        return _trials(unpaired), None
    return _trials(unpaired), _trials([bench.judged_as_pair(bench.clean[0], spoiled, 5, 0)])


def _split(bench: Bench, run: int, number: int) -> list[npt.NDArray[np.intp]]:
    """Rows of both sides: runs of neighbours, half of the runs to each side by chance."""
    group = np.arange(len(bench.clean[0][0])) // run
    runs = bench.setting.rng(8, number).permutation(int(group[-1]) + 1)
    first = np.isin(group, runs[: len(runs) // 2])
    return [np.flatnonzero(first), np.flatnonzero(~first)]


def _part(bench: Bench, whole: Sides, rows: npt.NDArray[np.intp]) -> Sides:
    some = [whole[0][row] for row in rows]
    return some, whole[1].part(rows, bench.pool.fits(some))


def _stub(window: Window) -> Window:
    """A window without its events."""
    return replace(
        window,
        events=window.events[:, :0].copy(),
        best=window.best[:, :0].copy(),
        sample_times=window.sample_times[:0].copy(),
        samples=window.samples[:0].copy(),
    )


def _trials(every: Iterable[Judged]) -> Trials:
    from scipy.stats import binomtest

    told = list(every)
    wholes = [whole.standing for whole, _ in told]
    names = sorted({name for _, one in told for name in one})

    def share(name: str, standing: Standing) -> float:
        return sum(one[name].standing is standing for _, one in told if name in one) / len(told)

    by_metric = {name: share(name, Standing.FAIL) for name in names}
    interval = binomtest(wholes.count(Standing.FAIL), len(told)).proportion_ci(0.95, method="exact")
    return Trials(
        trials=len(told),
        fails=wholes.count(Standing.FAIL) / len(told),
        passes=wholes.count(Standing.PASS) / len(told),
        by_metric={name: value for name, value in by_metric.items() if value},
        passes_by_metric={name: share(name, Standing.PASS) for name in names},
        low=float(interval.low),
        high=float(interval.high),
    )
