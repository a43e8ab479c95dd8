"""Arrivals have the intensities and the kernels that the parameters say, and wrong ones are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.simulation.lob.arrivals import Arrivals
from rlx_datapipe.simulation.lob.arrivals import Drawn as Batch
from rlx_datapipe.simulation.lob.hawkes import TYPES, Excitation, Float64Array, excitation
from rlx_datapipe.simulation.lob.parameters import Branching, Children, Flow, Kinds, Modulation
from rlx_datapipe.simulation.lob.residuals import residuals

START_NS = 1_723_161_570_000_000_000
DEVIATIONS = 4.5
"""Bound of a normal score: one false alarm in 150,000."""
KS_BOUND = 1.95
"""Bound of the Kolmogorov statistic: one false alarm in 1,000; seeds are fixed, so it is drawn once."""


class Drawn:
    """Arrivals over a whole number of seconds."""

    def __init__(self, process: Excitation, seconds: int, modulation: Modulation, seed: int = 11) -> None:
        arrivals = Arrivals(process, modulation, np.random.SeedSequence(seed), START_NS)
        parts: list[Batch] = []
        end_ns = START_NS + seconds * 10**9
        while not parts or parts[-1].until_ns < end_ns:
            parts.append(arrivals.draw(1 << 15))
        times = np.concatenate([part.times for part in parts])
        self.times = times[times < end_ns]
        self.types = np.concatenate([part.types for part in parts])[: len(self.times)]
        first = np.array([[START_NS, arrivals.first_factor]])
        self.changes = np.concatenate([first, *(part.changes for part in parts)])

    def residuals(self, process: Excitation, changes: Float64Array | None = None) -> Float64Array:
        known = self.changes if changes is None else changes
        return residuals(process, self.times, self.types, known, START_NS)


def kolmogorov(draws: Float64Array) -> float:
    """The statistic sqrt(n) D of draws against the exponential law of mean 1."""
    below = 1.0 - np.exp(-np.sort(draws))
    count = len(draws)
    above = np.arange(1, count + 1) / count - below
    return float(np.sqrt(count) * max(above.max(), (below - np.arange(count) / count).max()))


def scores(counts: Float64Array, process: Excitation, seconds: int) -> Float64Array:
    """How many standard deviations counts lie off; a Hawkes count is far more variable than a Poisson one."""
    spread = np.linalg.inv(np.eye(len(TYPES)) - process.branching)
    variance = seconds * np.diag(spread @ np.diag(process.stationary_per_s) @ spread.T)
    return np.asarray((counts - seconds * process.stationary_per_s) / np.sqrt(variance), np.float64)


SILENT = Kinds(market=0.0, limit=0.0, deep_limit=0.0, cancel=0.0, deep_cancel=0.0)
STEADY = Modulation(deviation=0.0)
SECONDS = 1_500


@pytest.fixture(scope="module")
def process() -> Excitation:
    return excitation(Flow())


@pytest.fixture(scope="module")
def steady(process: Excitation) -> Drawn:
    return Drawn(process, SECONDS, STEADY)


def test_the_counted_intensity_is_the_stationary_one(process: Excitation, steady: Drawn) -> None:
    counts = np.bincount(steady.types, minlength=len(TYPES)).astype(np.float64)
    assert np.abs(scores(counts, process, SECONDS)).max() < DEVIATIONS


def test_an_intensity_that_is_off_by_a_tenth_would_be_found(process: Excitation, steady: Drawn) -> None:
    counts = np.bincount(steady.types, minlength=len(TYPES)).astype(np.float64)
    wrong = process._replace(baseline_per_s=process.baseline_per_s * 1.1)
    assert np.abs(scores(counts, wrong, SECONDS)).max() > DEVIATIONS


def test_times_rise_and_every_type_comes(steady: Drawn) -> None:
    assert np.all(np.diff(steady.times) > 0)
    assert steady.times[0] > START_NS
    assert set(steady.types.tolist()) == set(range(len(TYPES)))


def test_the_residuals_of_the_true_kernels_are_exponential(process: Excitation, steady: Drawn) -> None:
    found = steady.residuals(process)
    assert len(found) > 400_000
    assert kolmogorov(found) < KS_BOUND
    worst = max(kolmogorov(found[steady.types == kind]) for kind in range(len(TYPES)))
    assert worst < KS_BOUND * 1.2, "the largest of ten"


def test_the_residuals_of_one_type_do_not_lean_on_each_other(process: Excitation, steady: Drawn) -> None:
    found = steady.residuals(process)[steady.types == TYPES.index("limit_buy")]
    correlation = np.corrcoef(found[:-1], found[1:])[0, 1]
    assert abs(correlation) * np.sqrt(len(found)) < DEVIATIONS


@pytest.mark.parametrize("wrong", ["faded", "weaker", "mirrored", "one exponential"])
def test_a_wrong_kernel_is_found(process: Excitation, steady: Drawn, wrong: str) -> None:
    believed = {
        "faded": process._replace(decays_per_s=process.decays_per_s * 1.2),
        "weaker": process._replace(branching=process.branching * 0.95),
        "mirrored": process._replace(branching=process.branching.T.copy()),
        "one exponential": process._replace(decays_per_s=process.decays_per_s[:1], weights=np.ones(1)),
    }[wrong]
    assert kolmogorov(steady.residuals(believed)) > 2 * KS_BOUND


def test_residuals_know_the_slow_factor(process: Excitation) -> None:
    drawn = Drawn(process, 400, Modulation(deviation=0.8, memory_s=20.0, step_s=0.5))
    assert kolmogorov(drawn.residuals(process)) < KS_BOUND
    ignorant = np.array([[START_NS, 1.0]])
    assert kolmogorov(drawn.residuals(process, ignorant)) > 2 * KS_BOUND


def test_the_slow_factor_has_mean_one_and_its_memory(process: Excitation) -> None:
    quiet = excitation(Flow(speed=0.01, branching=_nothing()))
    drawn = Drawn(quiet, 200_000, Modulation(deviation=0.5, memory_s=10.0, step_s=1.0), seed=3)
    logs = np.log(drawn.changes[1:, 1])
    assert len(logs) > 190_000
    # About 10,000 independent stretches of twice the memory.
    assert np.exp(logs).mean() == pytest.approx(1.0, abs=0.03)
    assert logs.std() == pytest.approx(0.5, abs=0.02)
    assert np.corrcoef(logs[:-10], logs[10:])[0, 1] == pytest.approx(np.exp(-1.0), abs=0.04)


def _nothing() -> Branching:
    none = Children()
    return Branching(market=none, limit=none, deep_limit=none, cancel=none, deep_cancel=none)


def test_without_branching_it_is_a_poisson_process() -> None:
    process = excitation(Flow(branching=_nothing()))
    assert process.spectral_radius == 0.0
    assert np.array_equal(process.stationary_per_s, process.baseline_per_s)


def test_arrivals_do_not_depend_on_how_many_are_drawn_at_a_time(process: Excitation) -> None:
    modulation = Modulation(deviation=0.5, memory_s=5.0, step_s=0.05)
    whole = Drawn(process, 20, modulation)
    arrivals = Arrivals(process, modulation, np.random.SeedSequence(11), START_NS)
    parts = [arrivals.draw(count) for count in (1, 2, 3, 500, 1_500, 7)]
    times = np.concatenate([part.times for part in parts])
    assert np.array_equal(times, whole.times[: len(times)])
    assert np.array_equal(np.concatenate([part.types for part in parts]), whole.types[: len(times)])
    changes = np.concatenate([part.changes for part in parts])
    assert np.array_equal(changes, whole.changes[1 : 1 + len(changes)])


@pytest.mark.parametrize(
    ("flow", "sentence"),
    [
        (Flow(branching=Branching(limit=Children(limit=(0.8, 0.3)))), "spectral radius .* must be below 1"),
        (Flow(branching=Branching(market=Children(limit=(-0.1, 0.0)))), "must not be negative"),
        (Flow(weights=(0.5, 0.6)), "must sum to 1"),
        (Flow(weights=(1.0,)), "of one length"),
        (Flow(decays_per_s=(400.0, 0.0)), "must lie in"),
        (Flow(baseline_per_s=SILENT), "must not be all zero"),
    ],
)
def test_a_process_that_is_none_is_refused_with_one_sentence(flow: Flow, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        excitation(flow)
