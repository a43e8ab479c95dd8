"""Judging many metrics at once: one permutation and one resampling for all, then the rule for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import msgspec
import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.blocks import Blocks, distance
from rlx_datapipe.fidelity.decision import DecisionSettings, Evidence, Verdict, decide
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.equivalence import (
    draw_matrix,
    half_floor,
    lower_bound,
    resampled_distances,
    upper_bound,
)
from rlx_datapipe.fidelity.memory import (
    Course,
    Grouping,
    effective_pairs,
    grouped,
    inflation,
    windows_per_block,
)
from rlx_datapipe.fidelity.permutation import (
    false_discovery,
    label_matrix,
    max_t,
    p_value,
    permuted_distances,
    studentised,
)


@dataclass(frozen=True)
class Case:
    """One metric to be judged: what it says block by block, and what is asked of it."""

    blocks: Blocks
    engineering_floor: float = 0.0
    tolerable: float = float("inf")
    scale_ns: int = 0
    resolution_ns: int = 1


@dataclass(frozen=True)
class Judgement:
    """Verdicts by metric; p-values adjusted for the gate (max-T), for the report (BH), and as they are."""

    verdicts: dict[str, Verdict]
    evidence: dict[str, Evidence]
    p_plain: dict[str, float] = field(default_factory=dict)
    p_discovery: dict[str, float] = field(default_factory=dict)


def judge(
    cases: Mapping[str, Case],
    rng: np.random.Generator,
    settings: DecisionSettings | None = None,
    *,
    pairs: int | None = None,
    days: int = 1,
) -> Judgement:
    """Judge metrics of the same windows, unpaired.

    Windows are put together into blocks where they remember each other (`memory.windows_per_block`), and
    whatever memory is left between blocks widens bounds and floors and holds back rejections.

    Parameters
    ----------
    cases
        Metrics by name, all with the same golden and the same recon windows.
    rng
        The only source of chance. Draws are in a fixed order, so the same seed gives the same verdicts.
    settings
        Bounds of the rule.
    pairs
        Pairs of disjoint matched golden windows, if fewer than all pairs; never more than the blocks are
        worth.
    days
        Days that the golden windows lie on.

    Raises
    ------
    OptionError
        When metrics differ in their windows.
    """
    rule = settings or DecisionSettings()
    if not cases:
        return Judgement({}, {})
    sizes = {(case.blocks.golden_blocks, case.blocks.recon_blocks) for case in cases.values()}
    if len(sizes) > 1:
        raise OptionError("metrics are judged over the same windows", found=sorted(sizes))
    golden, recon = sizes.pop()
    if min(golden, recon) < 1:
        raise OptionError("a verdict needs a window on each side", found=(golden, recon))
    courses = {name: case.blocks.courses for name, case in cases.items()}
    every = [course for told in courses.values() for course in told]
    group = grouped(golden, recon, windows_per_block(every, min(golden, recon)))
    chances = _Chances.drawn(group, rule, rng)
    inflations = {name: inflation(map(group.means, told)) for name, told in courses.items()}
    permuted = np.stack(
        [chances.permuted(case, courses[name], inflations[name]) for name, case in cases.items()]
    )
    adjusted = max_t(permuted)
    evidence = {
        name: chances.evidence(case, inflations[name], float(adjusted[row]), pairs, days)
        for row, (name, case) in enumerate(cases.items())
    }
    plain = np.array([p_value(row) for row in permuted])
    p_plain = dict(zip(cases, plain.tolist(), strict=True))
    p_discovery = dict(zip(cases, false_discovery(plain).tolist(), strict=True))
    verdicts = {}
    for name, one in evidence.items():
        verdict = decide(one, rule)
        beside = {"p": p_plain[name], "p_discovery": p_discovery[name]}
        verdicts[name] = msgspec.structs.replace(verdict, numbers=verdict.numbers | beside)
    return Judgement(verdicts, evidence, p_plain, p_discovery)


@dataclass(frozen=True)
class _Chances:
    """What chance brings, the same for all metrics: labels of blocks, and draws as weights of windows."""

    group: Grouping
    rule: DecisionSettings
    labels: FloatArray
    draws: tuple[FloatArray, FloatArray]
    seed: int

    @classmethod
    def drawn(cls, group: Grouping, rule: DecisionSettings, rng: np.random.Generator) -> Self:
        """In a fixed order."""
        golden, recon = group.golden_blocks, group.recon_blocks
        labels = label_matrix(golden, recon, rule.permutations, rng)
        sides = ((golden, group.golden), (recon, group.recon))
        first, second = (draw_matrix(blocks, rule.rounds, rng)[:, numbers] for blocks, numbers in sides)
        return cls(group, rule, labels, (first, second), int(rng.integers(2**63)))

    def permuted(self, case: Case, courses: Sequence[Course], inflated: float) -> FloatArray:
        """How far apart the sides lie under all labels, in deviations from what is usual; row 0 is the truth.

        The greatest of the distance and of the studentised differences of its courses: a distance can't grow
        beyond that of two sides that share nothing, and shuffling mixes these; a difference in units of the
        deviations within the sides can. The truth is held back by the memory of its blocks.
        """
        distances = permuted_distances(self.group.spread(self.labels), case.blocks)
        parts = [(np.where(np.isnan(distances), 0.0, distances), case.blocks.order)]
        parts += [(studentised(np.concatenate(self.group.means(one)), self.labels), 1) for one in courses]
        scores = []
        for part, order in parts:
            mean, deviation = part[1:].mean(), part[1:].std()
            held = np.concatenate([part[:1] / inflated ** (order / 2), part[1:]])
            scores.append((held - mean) / deviation if deviation > 0 else np.zeros(len(part)))
        return np.asarray(np.max(scores, axis=0), dtype=np.float64)

    def evidence(
        self, case: Case, inflated: float, adjusted: float, pairs: int | None, days: int
    ) -> Evidence:
        """All numbers of one metric; the deviations of what is resampled are widened by its memory."""
        blocks, rule = case.blocks, self.rule
        rng = np.random.default_rng(self.seed)
        floor = half_floor(blocks, 0, rng, group=self.group.golden).quantile(rule.floor_share)
        wider = inflated ** (blocks.order / 2)
        apart = distance(blocks)
        drawn = resampled_distances(*self.draws, blocks)
        worth = effective_pairs(self.group.golden_blocks, inflated)
        return Evidence(
            distance=apart,
            lower=max(0.0, apart - wider * (apart - lower_bound(drawn, apart, rule.upper_share))),
            upper=max(apart, apart + wider * (upper_bound(drawn, rule.upper_share) - apart)),
            floor=rule.floor_factor * wider * floor,
            pairs=worth if pairs is None else min(worth, pairs),
            days=days,
            p_adjusted=adjusted,
            engineering_floor=case.engineering_floor,
            tolerable=case.tolerable,
            scale_ns=case.scale_ns,
            resolution_ns=case.resolution_ns,
            missing="" if np.isfinite(apart) else "no window of one side has a value",
            inflation=inflated,
        )
