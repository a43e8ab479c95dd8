"""Rehearsal of the decision on series whose truth is known: false alarms, and power against faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.bins import golden_bins
from rlx_datapipe.fidelity.blocks import BlockCounts, distance
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing
from rlx_datapipe.fidelity.dependence import block_histograms
from rlx_datapipe.fidelity.distances import FloatArray, classical_ks_p, two_sample
from rlx_datapipe.fidelity.equivalence import half_floor
from rlx_datapipe.fidelity.judge import Case, Judgement, judge

BURN_IN_TIMES = 20


class RehearsalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is rehearsed: independent metrics, each an AR(1) series of unit variance, in equal windows."""

    phis: tuple[float, ...] = (0.9, 0.99, 0.995)
    windows: int = 60
    points: int = 5000
    """Points of a window."""
    block_points: int = 0
    """Points of a block; 0 for whole windows, as is right. 1 is the permutation of i.i.d. values."""
    trials: int = 60
    bins: int = 256
    engineering_floor: float = 0.03
    decision: DecisionSettings = DecisionSettings(permutations=300, rounds=300)

    def __post_init__(self) -> None:
        if not all(0 <= phi < 1 for phi in self.phis) or not self.phis:
            raise OptionError("an AR(1) needs a phi from 0 to below 1", found=self.phis)
        if min(self.windows, self.points, self.trials) < 2:
            raise OptionError("a rehearsal needs windows, points and trials", found=self.windows)


@dataclass(frozen=True)
class Fault:
    """What recon differs by: a shift of its mean in standard deviations, and a factor on its scale."""

    shift: float = 0.0
    scale: float = 1.0


FAULTS: Mapping[str, Fault] = {
    "none": Fault(),
    "shift 0.05 sd": Fault(shift=0.05),
    "shift 0.2 sd": Fault(shift=0.2),
    "scale 1.1": Fault(scale=1.1),
}


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all trials of one fault; rates are shares of trials, lists are by metric."""

    max_t_rejects: float
    """At least one metric is rejected at the significance, adjusted for all."""
    naive_rejects: list[float]
    """The classical K-S p-value, which is not valid here, is below the significance."""
    floors: list[float]
    """Median of the noise floor (95 % of the distances of golden halves), D."""
    beyond_floor: list[float]
    passes: list[float]
    fails: list[float]
    inconclusive: list[float]


def ar1(phi: float, count: int, rng: np.random.Generator) -> FloatArray:
    """A stationary AR(1) series of mean 0 and variance 1, float64 of shape (count,)."""
    from scipy.signal import lfilter

    noise = rng.standard_normal(count) * np.sqrt(1 - phi**2)
    noise[0] /= np.sqrt(1 - phi**2)  # the first value comes from the stationary law
    return np.asarray(lfilter([1.0], [1.0, -phi], noise), dtype=np.float64)


def rehearse(settings: RehearsalSettings, fault: Fault, seed: int) -> Rehearsed:
    """All trials of one fault; the same figures for the same seed."""
    generators = np.random.default_rng(seed).spawn(settings.trials)
    told = [_trial(settings, fault, rng) for rng in generators]
    rejected = [
        any(e.p_adjusted <= settings.decision.significance for e in one.evidence.values()) for one, *_ in told
    ]
    standings = [[verdict.standing for verdict in one.verdicts.values()] for one, *_ in told]

    def share(standing: Standing) -> list[float]:
        return [float(np.mean([row[k] is standing for row in standings])) for k in range(len(settings.phis))]

    floors = np.array([row[1] for row in told])
    apart = np.array([[e.distance for e in one.evidence.values()] for one, *_ in told])
    naive = np.array([row[2] for row in told]) <= settings.decision.significance
    return Rehearsed(
        max_t_rejects=float(np.mean(rejected)),
        naive_rejects=naive.mean(axis=0).tolist(),
        floors=np.median(floors, axis=0).tolist(),
        beyond_floor=(apart > floors).mean(axis=0).tolist(),
        passes=share(Standing.PASS),
        fails=share(Standing.FAIL),
        inconclusive=share(Standing.INCONCLUSIVE),
    )


def _trial(
    settings: RehearsalSettings, fault: Fault, rng: np.random.Generator
) -> tuple[Judgement, list[float], list[float]]:
    """The judgement, the floors and the classical p-values of one trial."""
    cases, floors, naive = {}, [], []
    for number, phi in enumerate(settings.phis):
        golden = ar1(phi, settings.windows * settings.points, rng)
        recon = ar1(phi, settings.windows * settings.points, rng) * fault.scale + fault.shift
        bins = golden_bins(golden, settings.bins)
        length = settings.block_points or settings.points
        counts = [
            block_histograms(list(side.reshape(settings.windows, settings.points)), length, bins)
            for side in (golden, recon)
        ]
        blocks = BlockCounts(counts[0], counts[1], bins.centres)
        cases[f"{number}: phi {phi}"] = Case(blocks, engineering_floor=settings.engineering_floor)
        floors.append(half_floor(blocks, 0, rng).quantile(settings.decision.floor_share))
        d = distance(blocks)
        naive.append(classical_ks_p(d, len(golden), len(recon)))
    return judge(cases, rng, settings.decision), floors, naive


def coverage(phi: float, points: int, length: int, trials: int, seed: int) -> float:
    """Share of trials in which a 95 % bootstrap interval of W1 between AR(1) and its shift by .3 holds .3.

    Blocks of ``length`` points are drawn; 1 is the i.i.d. bootstrap, which covers far too seldom.
    """
    held = 0
    for rng in np.random.default_rng(seed).spawn(trials):
        golden, recon = ar1(phi, points, rng), ar1(phi, points, rng) + 0.3
        drawn = [_bootstrap_w1(golden, recon, length, rng) for _ in range(100)]
        low, high = np.quantile(drawn, [0.025, 0.975])
        held += bool(low <= 0.3 <= high)
    return held / trials


def _bootstrap_w1(golden: FloatArray, recon: FloatArray, length: int, rng: np.random.Generator) -> float:
    sides = []
    for side in (golden, recon):
        blocks = side[: len(side) // length * length].reshape(-1, length)
        sides.append(blocks[rng.integers(len(blocks), size=len(blocks))].ravel())
    return two_sample(sides[0], sides[1]).wasserstein
