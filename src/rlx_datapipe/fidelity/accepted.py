"""What a metric declares and says, checked before anything is built on it; what is wrong is a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from rlx_datapipe.core.errors import DatapipeError, OptionError
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.fidelity.blocks import Blocks
from rlx_datapipe.fidelity.families import FitMetric
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.plot_data import HeatMap
from rlx_datapipe.fidelity.plugin import Goal, MetricPlugin, MetricResult, Need

_WORDS = ("name", "category", "purpose", "reference")
_NUMBERS = ("scale_ns", "engineering_floor", "tolerable")
_FITTED = ("golden", "golden_error", "recon", "recon_error")


def undeclared(plugin: type[MetricPlugin]) -> str:
    """What is wrong with what a metric declares, a few words; empty when nothing is."""
    declared: Any = plugin
    for name in _WORDS:
        if not isinstance(getattr(declared, name, None), str) or not getattr(declared, name):
            return f"declares no {name}"
    if not plugin.name.isidentifier() or plugin.name != plugin.name.lower():
        return f"the name {plugin.name!r} is not lower case with underscores"
    if getattr(plugin, "tier", None) not in (1, 2, 3):
        return "its cost tier is not 1, 2 or 3"
    if not isinstance(declared.unit, str) or not isinstance(declared.formula, str):
        return "its unit or its formula is no text"
    if not isinstance(declared.goal, Goal) or not isinstance(declared.severity, Severity):
        return "its goal is no Goal, or its severity no Severity"
    bounds = declared.bounds
    if not isinstance(bounds, tuple) or len(bounds) != 2 or not bounds[0] < bounds[1]:
        return f"its bounds {bounds} are none"
    if not all(isinstance(need, Need) for need in plugin.requirements):
        return f"its requirements are no Needs: {', '.join(sorted(map(str, plugin.requirements)))}"
    if isinstance(declared.dependencies, str) or not all(isinstance(one, str) for one in plugin.dependencies):
        return "its dependencies are no tuple of names"
    wrong = [name for name in _NUMBERS if not _is_number(getattr(plugin, name)) or getattr(plugin, name) < 0]
    return f"its {wrong[0]} is no number from 0 on" if wrong else ""


def cause(error: BaseException) -> str:
    """Why something of a metric failed, for its finding."""
    return str(error) if isinstance(error, DatapipeError) else f"{type(error).__name__}: {error}"


def accepted(plugin: type[MetricPlugin], result: object, data: Comparison) -> MetricResult:
    """The result of a metric, with a plain number, if verdict and report can be built on it.

    Raises
    ------
    OptionError
        When they can't; it says what is wrong.
    """
    if not isinstance(result, MetricResult):
        raise OptionError(f"gave {type(result).__name__}, no MetricResult")
    if not isinstance(result.reason, str) or (result.value is None and not result.reason):
        raise OptionError("gave no number, and no reason why")
    if not isinstance(result.measures, Mapping) or not all(isinstance(one, str) for one in result.measures):
        raise OptionError("its measures are no numbers by name")
    if result.heat_map is not None:
        msgspec.convert(msgspec.to_builtins(result.heat_map), HeatMap)
    if result.value is None:
        return result
    if not _is_number(result.value) or not np.isfinite(result.value):
        raise OptionError("its value is no finite number", found=result.value)
    if issubclass(plugin, FitMetric):
        lacking = [name for name in _FITTED if not _is_number(result.measures.get(name))]
        if lacking:
            raise OptionError("a fit needs both estimates and their errors", missing=", ".join(lacking))
    one = plugin()
    if not _is_number(one.best()) or not _is_number(one.tolerated(result)):
        raise OptionError("its best value, or the margin that it tolerates, is no number")
    if result.blocks is not None:
        _try_blocks(result.blocks, data)
    return replace(result, value=float(result.value))


def _try_blocks(blocks: Blocks, data: Comparison) -> None:
    """Ask blocks what verdicts will ask them.

    Raises
    ------
    OptionError
        When they are not those of the windows, or answer in other shapes.
    """
    sizes = blocks.golden_blocks, blocks.recon_blocks
    windows = tuple(len(side.windows) for side in data.sides)
    if sizes != windows:
        raise OptionError("its blocks are no windows", found=sizes, expected=windows)
    if blocks.order not in (1, 2):
        raise OptionError("its blocks have an order of 1 or 2", found=blocks.order)
    for pair in (blocks.levels, *blocks.courses):
        told = tuple(np.shape(side) for side in pair)
        if told != tuple((size,) for size in sizes):
            raise OptionError("its blocks don't tell a number of each window", found=told)
    every = np.ones((1, sum(sizes)))
    truth = np.where(np.arange(sum(sizes)) < sizes[0], 1.0, 0.0)[None]
    first = np.concatenate([truth, every, 2 * truth])
    apart = blocks.apart(first, np.concatenate([1 - truth, every, truth]))
    if np.shape(apart) != (len(first),) or not np.issubdtype(apart.dtype, np.floating):
        raise OptionError("its blocks don't tell a distance of each weighing", found=np.shape(apart))
    if np.isinf(apart).any() or (apart < 0).any():
        raise OptionError("distances of its blocks are finite, and 0 or more", found=apart.tolist())


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return is_number and not np.isnan(value)
