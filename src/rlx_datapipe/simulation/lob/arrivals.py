"""Arrivals of a multivariate Hawkes process, exact to the nanosecond, at millions a second.

Own code, for no library does: `tick` crashes on today's Python, HawkesPyLib and hawkes are univariate, and
none goes on from where it stopped, which a market of 24 hours needs. With exponential kernels nothing need be
rejected: the next arrival is the first of independent clocks, one for the baseline and one for each
exponential, and each clock can be inverted in closed form (Dassios and Zhao 2013, "Exact simulation of Hawkes
process with exponentially decaying intensity").
"""

from __future__ import annotations

from math import cos, exp, log, pi, sqrt
from typing import NamedTuple

import numpy as np

from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.hawkes import Excitation, Float64Array
from rlx_datapipe.simulation.lob.parameters import Modulation
from rlx_datapipe.simulation.lob.uniforms import Uniforms

_NOW, _STEP_END, _CURSOR, _CHANGES = range(4)
_MOOD, _FACTOR, _KEPT, _NEWS, _SHIFT = range(5)
_WAIT_MAX_S = 1e6
_NS = 1e9


@kernel
def draw_arrivals(
    clock: Int64Array,
    mood: Float64Array,
    excited: Float64Array,
    baseline: Float64Array,
    jumps: Float64Array,
    decays: Float64Array,
    step_ns: int,
    uniforms: Float64Array,
    times: Int64Array,
    types: Int64Array,
    changes: Float64Array,
) -> int:
    """Fill ``times`` (ns, strictly rising) and ``types``; how many there are before draws or room run out.

    ``excited`` has shape (exponentials, types): the intensity above the baseline, now. The factor of the
    baseline changes at multiples of ``step_ns``; each change is a row (time, factor) of ``changes``. A change
    ends all clocks, which may begin anew then, having no memory.
    """
    clusters, kinds = excited.shape
    total = baseline.sum()
    count = 0
    clock[_CHANGES] = 0
    while (
        count < len(times)
        and clock[_CURSOR] + clusters + 4 <= len(uniforms)
        and clock[_CHANGES] < len(changes)
    ):
        cursor = clock[_CURSOR]
        wait_s = min(-log(1.0 - uniforms[cursor]) / max(total * mood[_FACTOR], 1e-12), _WAIT_MAX_S)
        first = clusters
        for cluster in range(clusters):
            strength = 0.0
            for kind in range(kinds):
                strength += excited[cluster, kind]
            if strength > 1e-12:
                left = 1.0 + decays[cluster] * log(1.0 - uniforms[cursor + 1 + cluster]) / strength
                if left > 0.0 and -log(left) / decays[cluster] < wait_s:
                    wait_s = -log(left) / decays[cluster]
                    first = cluster
        clock[_CURSOR] = cursor + clusters + 1
        now_ns = clock[_NOW] + 1 + np.int64(wait_s * _NS)
        is_change = now_ns >= clock[_STEP_END]
        now_ns = min(now_ns, clock[_STEP_END])
        for cluster in range(clusters):
            faded = exp(-decays[cluster] * (now_ns - clock[_NOW]) / _NS)
            for kind in range(kinds):
                excited[cluster, kind] *= faded
        clock[_NOW] = now_ns
        if is_change:
            clock[_STEP_END] += step_ns
            _change_mood(clock, mood, uniforms)
            changes[clock[_CHANGES], 0] = now_ns
            changes[clock[_CHANGES], 1] = mood[_FACTOR]
            clock[_CHANGES] += 1
            continue
        weights = baseline if first == clusters else excited[first]
        kind = _chosen(weights, uniforms[clock[_CURSOR]])
        clock[_CURSOR] += 1
        for cluster in range(clusters):
            for child in range(kinds):
                excited[cluster, child] += jumps[cluster, kind, child]
        times[count] = now_ns
        types[count] = kind
        count += 1
    return count


@kernel
def _chosen(weights: Float64Array, draw: float) -> int:
    """An index, by weight."""
    left = draw * weights.sum()
    last = 0
    for index in range(len(weights)):
        if weights[index] > 0.0:
            last = index
            left -= weights[index]
            if left < 0.0:
                break
    return last


@kernel
def _change_mood(clock: Int64Array, mood: Float64Array, uniforms: Float64Array) -> None:
    """One step of the Ornstein-Uhlenbeck process behind the factor; two draws make one normal."""
    cursor = clock[_CURSOR]
    normal = sqrt(-2.0 * log(1.0 - uniforms[cursor])) * cos(2.0 * pi * uniforms[cursor + 1])
    clock[_CURSOR] += 2
    mood[_MOOD] = mood[_KEPT] * mood[_MOOD] + mood[_NEWS] * normal
    mood[_FACTOR] = exp(mood[_MOOD] - mood[_SHIFT])


class Drawn(NamedTuple):
    """Some arrivals: ``times`` in ns and ``types``, int64, shape (n,); all there are up to ``until_ns``.

    ``changes`` has shape (m, 2): from when on (ns, whole), and the factor of the baseline.
    """

    times: Int64Array
    types: Int64Array
    changes: Float64Array
    until_ns: int


class Arrivals:
    """An endless stream of arrivals from a given moment on, at which nothing is excited yet.

    Parameters
    ----------
    excitation, modulation
        The process, and the slow factor of its baselines.
    seed
        Its own part of the market's seed.
    start_ns
        Time of the first moment.
    """

    def __init__(
        self, excitation: Excitation, modulation: Modulation, seed: np.random.SeedSequence, start_ns: int
    ) -> None:
        self._excitation, self._jumps = excitation, excitation.jumps_per_s
        self._uniforms = Uniforms(seed)
        self._excited = np.zeros((len(excitation.decays_per_s), len(excitation.baseline_per_s)))
        deviation = modulation.deviation
        kept = exp(-modulation.step_s / modulation.memory_s)
        shift = 0.5 * deviation * deviation
        self._mood = np.array([0.0, exp(-shift), kept, deviation * sqrt(1.0 - kept * kept), shift])
        self._step_ns = round(modulation.step_s * _NS) if deviation else 1 << 61
        self._clock = np.array([start_ns, start_ns + self._step_ns, 0, 0])
        self.first_factor = float(self._mood[_FACTOR])

    def draw(self, count: int) -> Drawn:
        """Up to ``count`` further arrivals, at least one."""
        times, types = np.empty(count, np.int64), np.empty(count, np.int64)
        changes = np.empty((4_096, 2))
        found = 0
        told = []
        while not found:
            found = self._fill(times, types, changes)
            told.append(changes[: self._clock[_CHANGES]].copy())
            self._uniforms.refill(int(self._clock[_CURSOR]))
            self._clock[_CURSOR] = 0
        return Drawn(times[:found], types[:found], np.concatenate(told), int(self._clock[_NOW]))

    def _fill(self, times: Int64Array, types: Int64Array, changes: Float64Array) -> int:
        parts = self._excitation
        return draw_arrivals(
            self._clock,
            self._mood,
            self._excited,
            parts.baseline_per_s,
            self._jumps,
            parts.decays_per_s,
            self._step_ns,
            self._uniforms.pool,
            times,
            types,
            changes,
        )
