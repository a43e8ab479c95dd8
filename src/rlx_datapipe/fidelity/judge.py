"""Judging many metrics at once: one permutation and one resampling for all, then the rule for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.blocks import Blocks, distance
from rlx_datapipe.fidelity.decision import DecisionSettings, Evidence, Verdict, decide
from rlx_datapipe.fidelity.dependence import neighbour_memory
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.equivalence import draw_matrix, half_floor, resampled_distances, upper_bound
from rlx_datapipe.fidelity.permutation import (
    false_discovery,
    label_matrix,
    max_t,
    p_value,
    permuted_distances,
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

    Parameters
    ----------
    cases
        Metrics by name, all with the same golden and the same recon windows.
    rng
        The only source of chance. Draws are in a fixed order, so the same seed gives the same verdicts.
    settings
        Bounds of the rule.
    pairs
        Pairs of disjoint matched golden windows; all pairs of golden windows when None.
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
    pairs = golden * (golden - 1) // 2 if pairs is None else pairs
    labels = label_matrix(golden, recon, rule.permutations, rng)
    draws = draw_matrix(golden, rule.rounds, rng), draw_matrix(recon, rule.rounds, rng)
    seed = int(rng.integers(2**63))
    permuted = np.stack([_known(permuted_distances(labels, case.blocks)) for case in cases.values()])
    adjusted = max_t(permuted)
    evidence, lows = {}, {}
    for row, (name, case) in enumerate(cases.items()):
        floor = half_floor(case.blocks, pairs, np.random.default_rng(seed), days=days)
        apart = distance(case.blocks)
        drawn = resampled_distances(*draws, case.blocks)
        lows[name] = float(np.quantile(drawn, 1 - rule.upper_share)) if np.isfinite(drawn).all() else None
        evidence[name] = Evidence(
            distance=apart,
            upper=upper_bound(drawn, rule.upper_share),
            floor=rule.floor_factor * floor.quantile(rule.floor_share),
            pairs=floor.pairs,
            days=floor.days,
            p_adjusted=float(adjusted[row]),
            engineering_floor=case.engineering_floor,
            tolerable=case.tolerable,
            scale_ns=case.scale_ns,
            resolution_ns=case.resolution_ns,
            missing=_missing(case.blocks, apart),
        )
    plain = np.array([p_value(row) for row in permuted])
    p_plain = dict(zip(cases, plain.tolist(), strict=True))
    p_discovery = dict(zip(cases, false_discovery(plain).tolist(), strict=True))
    told = {}
    for name, one in evidence.items():
        beside = {
            "lower": lows[name],
            "floor": one.floor,
            "p": p_plain[name],
            "p_discovery": p_discovery[name],
        }
        verdict = decide(one, rule)
        told[name] = msgspec.structs.replace(verdict, numbers={**verdict.numbers, **beside})
    return Judgement(told, evidence, p_plain, p_discovery)


def _missing(blocks: Blocks, apart: float) -> str:
    """Why these windows can't carry a verdict; empty when they can."""
    if not np.isfinite(apart):
        return "no window of one side has a value"
    memory = max(neighbour_memory(side) for side in blocks.levels)
    if memory:
        return f"neighbouring windows are correlated ({memory:.2f}), so they must be longer"
    return ""


def _known(distances: FloatArray) -> FloatArray:
    """Distances with 0 for those that are not defined, so that they reject nothing."""
    return np.where(np.isnan(distances), 0.0, distances)
