"""What an ablation tells: two ways of one work, measured in turn, their ratio with an interval, a verdict."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

CONFIRMED, REFUTED, OPEN = "confirmed", "refuted", "not measurable here"
# Student's t, 97.5 %, by degrees of freedom; beyond the last the normal's is close enough.
_T = (math.inf, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_T_BEYOND = 2.2


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One claim and what came of it.

    ``ratio`` is how many times as much the plain way takes (of time, bytes or pause, see ``unit``), the
    geometric mean of the pairs; ``low`` and ``high`` bound it at 95 %. The claim is that it is at least
    ``bound``.
    """

    name: str
    claim: str
    ways: tuple[str, str]
    unit: str
    bound: float
    ratio: float
    low: float
    high: float
    verdict: str
    detail: dict[str, Any] = {}


@dataclass(frozen=True)
class Pairs:
    """Measures of both ways, pair by pair: first the one that the claim speaks for, then the plain one."""

    ours: Sequence[float]
    plain: Sequence[float]
    unit: str = "CPU s"


def judge(name: str, claim: str, ways: tuple[str, str], bound: float, pairs: Pairs, **detail: Any) -> Verdict:
    """The verdict of pairs of measures.

    The interval is Student's t over the logarithms of the ratios: pairs are taken side by side, so that
    whatever slows the machine slows both. Confirmed if all of it lies at the bound or above, refuted if all
    of it lies below; else the claim can't be told here.
    """
    logs = [math.log(plain / ours) for ours, plain in zip(pairs.ours, pairs.plain, strict=True)]
    mean, freedom = statistics.fmean(logs), len(logs) - 1
    # Measures without any noise, such as bytes, may agree to the last digit.
    spread = statistics.stdev(logs) / math.sqrt(len(logs)) if freedom else math.inf
    reach = (_T[freedom] if freedom < len(_T) else _T_BEYOND) * spread if spread else 0.0
    low, high = math.exp(mean - reach), math.exp(min(mean + reach, 700.0))
    verdict = CONFIRMED if low >= bound else REFUTED if high < bound else OPEN
    return Verdict(
        name=name,
        claim=claim,
        ways=ways,
        unit=pairs.unit,
        bound=bound,
        ratio=math.exp(mean),
        low=low,
        high=high,
        verdict=verdict,
        detail=detail,
    )


def in_turn(
    ours: Callable[[], Any],
    plain: Callable[[], Any],
    repeats: int,
    clock: Callable[[], float] = time.process_time,
    unit: str = "CPU s",
) -> Pairs:
    """Measure both ways in turn, each once before the clock starts; who goes first changes with each pair."""
    ours()
    plain()
    spent: tuple[list[float], list[float]] = ([], [])
    for number in range(repeats):
        for which in (0, 1) if number % 2 else (1, 0):
            gc.collect()
            begun = clock()
            (ours, plain)[which]()
            spent[which].append(max(clock() - begun, 1e-9))
    return Pairs(*spent, unit)
