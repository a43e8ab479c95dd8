"""From what metrics measured to a verdict on each: paired, unpaired, or by two fits."""

from __future__ import annotations

import msgspec
import numpy as np

from rlx_datapipe.fidelity.blocks import window_distances
from rlx_datapipe.fidelity.decision import (
    RESOLUTIONS_MIN,
    DecisionSettings,
    Standing,
    Verdict,
    errors_allowed,
    two_fits,
)
from rlx_datapipe.fidelity.engine import Measured
from rlx_datapipe.fidelity.families import FitMetric
from rlx_datapipe.fidelity.judge import Case, judge
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.paired import decide_paired, paired
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult
from rlx_datapipe.fidelity.registry import MetricRegistry


def verdicts(
    measured: Measured,
    registry: MetricRegistry,
    data: Comparison,
    rng: np.random.Generator,
    settings: DecisionSettings | None = None,
) -> dict[str, Verdict]:
    """The verdict on each metric that was measured, by name.

    Paired windows are compared window by window, or moment by moment (`MetricPlugin.is_fact`); other
    windows by permutation and resampling, all metrics together; fits by their errors, with a share of the
    significance of their own: so all verdicts together fail one market held against itself no more often
    than the significance. A metric that says no more than one number of both sides has no verdict unless the
    sides are equal in it: it is INCONCLUSIVE, with that reason. A metric that failed has a finding, no
    verdict.

    Parameters
    ----------
    measured
        From `engine.run_metrics`, on these data.
    rng
        The only source of chance.
    """
    rule = settings or DecisionSettings()
    fits = sum(issubclass(registry.get(name), FitMetric) for name in measured.results)
    beyond = errors_allowed(rule, fits)
    told: dict[str, Verdict] = {}
    cases: dict[str, Case] = {}
    for name, result in measured.results.items():
        plugin = registry.get(name)
        if (settled := _settled(plugin, result, data, beyond)) is not None:
            told[name] = settled
        elif data.is_paired and result.blocks is not None:
            apart = window_distances(result.blocks)
            found = paired(np.zeros(len(apart)), apart, rng, rounds=rule.rounds, share=rule.upper_share)
            told[name] = decide_paired(found, plugin.engineering_floor, rule)
        elif result.blocks is not None:
            cases[name] = Case(
                result.blocks,
                engineering_floor=plugin.engineering_floor,
                tolerable=plugin().tolerated(result),
                scale_ns=plugin.scale_ns,
                resolution_ns=data.resolution_ns,
            )
    share = 1 - rule.fits_share if fits else 1.0
    gate = msgspec.structs.replace(rule, significance=rule.significance * share)
    days = len({window.start_ns // 86_400_000_000_000 for window in data.golden.windows})
    judged = judge(cases, rng, gate, days=days).verdicts if cases else {}
    return {name: told[name] if name in told else judged[name] for name in measured.results}


def _settled(
    plugin: type[MetricPlugin], result: MetricResult, data: Comparison, beyond: float
) -> Verdict | None:
    """The verdict where no resampling is needed for it; None where it is."""
    if 0 < plugin.scale_ns < RESOLUTIONS_MIN * data.resolution_ns:
        reason = f"speaks of {plugin.scale_ns:,} ns, and the stamps step by {data.resolution_ns:,} ns"
        return Verdict(standing=Standing.NOT_IDENTIFIABLE, reason=reason)
    if result.value is None:
        return Verdict(standing=Standing.INCONCLUSIVE, reason=result.reason)
    if issubclass(plugin, FitMetric):
        numbers = result.measures
        if data.is_paired and result.value == 0:
            return Verdict(standing=Standing.PASS, reason="equal on both sides")
        return two_fits(
            numbers["golden"],
            numbers["golden_error"],
            numbers["recon"],
            numbers["recon_error"],
            plugin.tolerance,
            beyond,
        )
    if plugin.is_fact and data.is_paired:
        return _counted(plugin, result.value)
    if result.blocks is None:
        margin = plugin.engineering_floor
        if data.is_paired:
            gap = abs(result.value - plugin().best())
            standing = Standing.PASS if gap <= margin else Standing.INCONCLUSIVE
            reason = f"{result.value:.4g} over the whole of one interval, margin {margin:.4g}"
            return Verdict(standing=standing, reason=reason, margin=margin)
        reason = "one number for both sides: its noise is not known"
        return Verdict(standing=Standing.INCONCLUSIVE, reason=reason)
    return None


def _counted(plugin: type[MetricPlugin], value: float) -> Verdict:
    """The verdict where each moment of one interval was compared: a hundred wrong seconds are no chance."""
    gap, margin = abs(value - plugin().best()), plugin.engineering_floor
    # The share 0.999 lies within 0.001 of 1, whatever the last bit says.
    is_within = gap <= margin * (1 + 1e-9)
    reason = f"off the best value by {gap:.4g}, margin {margin:.4g}; each moment of the interval was compared"
    standing = Standing.PASS if is_within else Standing.FAIL
    return Verdict(standing=standing, reason=reason, margin=margin, numbers={"difference": gap})
