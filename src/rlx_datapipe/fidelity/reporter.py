"""FidelityReporter: measures a comparison, judges it, scores it, and says what it means, in one report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from rlx_datapipe.core.version import VERSION
from rlx_datapipe.fidelity.advice import problems_of, strengths_of
from rlx_datapipe.fidelity.causes import likely_causes
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing, Verdict
from rlx_datapipe.fidelity.engine import Measured, run_metrics
from rlx_datapipe.fidelity.market import Comparison, MarketSide
from rlx_datapipe.fidelity.meanings import meaning_of, remedy_of
from rlx_datapipe.fidelity.overall import asked, overall
from rlx_datapipe.fidelity.plotted import plotted
from rlx_datapipe.fidelity.plugin import MetricPlugin, MetricResult
from rlx_datapipe.fidelity.registry import MetricRegistry
from rlx_datapipe.fidelity.result import FidelityReport, Header, MetricReport, PValues, Replayed, Side
from rlx_datapipe.fidelity.score import likeness, scored, weight
from rlx_datapipe.fidelity.tiers import TierSettings
from rlx_datapipe.fidelity.verdicts import verdicts

PACKAGES = ("numpy", "scipy", "numba", "arch", "statsmodels")
"""Packages that the numbers come from; their versions stand in each report."""
_CLASSICAL = "classical_ks_p_not_valid_under_dependence"
_SIDES = (("golden_mean", "recon_mean"), ("golden", "recon"))


@dataclass(frozen=True)
class Named:
    """Where a side comes from: its name as the user gave it, the digest of its content, and its tier 1."""

    source: str
    digest: str = ""
    replayed: Replayed | None = None


@dataclass(frozen=True)
class FidelityReporter:
    """Reports on comparisons by the metrics of a registry.

    Parameters
    ----------
    registry
        The metrics, and findings of plugins that could not be loaded.
    engine, decision
        How metrics are run, and the bounds of the decision.
    """

    registry: MetricRegistry
    engine: TierSettings = field(default_factory=TierSettings)
    decision: DecisionSettings = field(default_factory=DecisionSettings)

    def report(
        self,
        data: Comparison,
        names: Iterable[str] | None = None,
        *,
        dataset: Named,
        golden: Named,
        window_ns: int,
    ) -> FidelityReport:
        """Measure, judge, score. The same data, seed and settings give the same report to the byte.

        Raises
        ------
        OptionError
            For a name that no metric has.
        """
        wanted = None if names is None else [name for name in names if self.registry.get(name)]
        measured = run_metrics(self.registry, data, wanted, self.engine)
        if wanted is not None:
            kept = {name: one for name, one in measured.results.items() if name in wanted}
            measured = Measured(kept, measured.findings)
        found = verdicts(measured, self.registry, data, data.generator("verdicts"), self.decision)
        plugins = {name: self.registry.get(name) for name in found}
        failed = [finding.rule for finding in measured.findings]
        whole = overall(found, plugins, failed, is_paired=data.is_paired)
        counted = {n: one for n, one in found.items() if asked(plugins[n], one, is_paired=data.is_paired)}
        metrics = [
            _metric(plugins[name], measured.results[name], found[name], data)
            for name in sorted(found, key=lambda one: (plugins[one].category, one))
        ]
        return FidelityReport(
            header=Header(
                dataset=_side(data.recon, dataset),
                golden=_side(data.golden, golden),
                is_paired=data.is_paired,
                window_ns=window_ns,
                seed=data.seed,
                settings=self.decision,
                versions=_versions(),
            ),
            verdict=whole.standing,
            reason=whole.reason,
            score=scored(counted, plugins),
            metrics=metrics,
            strengths=strengths_of(metrics),
            problems=problems_of(metrics, likely_causes(found), is_paired=data.is_paired),
            findings=[*self.registry.problems, *measured.findings],
        )


def _metric(
    plugin: type[MetricPlugin], result: MetricResult, verdict: Verdict, data: Comparison
) -> MetricReport:
    """All that is told of one metric."""
    numbers, measures = verdict.numbers, result.measures
    low, high = (_number(numbers.get(one, numbers.get(other))) for one, other in _INTERVAL)
    golden, recon = _two_sides(measures)
    return MetricReport(
        name=plugin.name,
        category=plugin.category,
        tier=plugin.tier,
        unit=plugin.unit,
        severity=plugin.severity.value,
        verdict=verdict.standing,
        reason=verdict.reason,
        purpose=plugin.purpose,
        value=_number(result.value),
        tested=_tested(verdict, result),
        low=low,
        high=high,
        golden=golden,
        recon=recon,
        floor=_number(numbers.get("floor")),
        margin=_number(verdict.margin),
        ratio=_number(numbers.get("ratio_to_floor")),
        p=PValues(
            adjusted=_number(numbers.get("p_adjusted")),
            discovery=_number(numbers.get("p_discovery")),
            plain=_number(numbers.get("p")),
            wilcoxon=_number(numbers.get("wilcoxon_p")),
            classical_ks_not_valid_under_dependence=_number(measures.get(_CLASSICAL)),
        ),
        scope=verdict.scope,
        score=likeness(verdict),
        weight=weight(plugin),
        meaning=meaning_of(plugin, verdict.standing),
        remedy=remedy_of(plugin, verdict.standing),
        requirements=sorted(need.value for need in plugin.requirements),
        reference=plugin.reference,
        measures={name: _plain(value) for name, value in sorted(measures.items()) if name != _CLASSICAL},
        plots=plotted(result, data, getattr(plugin, "axis", "value")),
    )


_INTERVAL = (("lower", "low"), ("upper", "high"))


def _tested(verdict: Verdict, result: MetricResult) -> float | None:
    """The number that the rule looked at: the mean difference of paired windows, else the value itself."""
    return _number(verdict.numbers.get("mean_difference", result.value))


def _two_sides(measures: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """What each side is by itself, where the metric says it."""
    for golden, recon in _SIDES:
        if golden in measures and recon in measures:
            return _number(measures[golden]), _number(measures[recon])
    return None, None


def _number(value: Any) -> float | None:
    """A finite number as a float; None for any other and for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    return float(value) if np.isfinite(value) else None


def _plain(value: Any) -> Any:
    """A measure as JSON has it: no NaN, no NumPy."""
    if isinstance(value, np.ndarray):
        return [_plain(one) for one in value.tolist()]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    return _number(value)


def _side(side: MarketSide, named: Named) -> Side:
    windows = side.windows
    return Side(
        source=named.source,
        digest=named.digest,
        exchange=side.instrument.exchange,
        symbol=side.instrument.symbol,
        begins_ns=windows[0].start_ns if windows else None,
        ends_ns=windows[-1].end_ns if windows else None,
        data_hours=sum(window.duration_s for window in windows) / 3600,
        windows=len(windows),
        events=sum(window.event_count for window in windows),
        resolution_ns=side.resolution_ns,
        replayed=named.replayed,
    )


def _versions() -> dict[str, str]:
    told = {"rlx-datapipe": VERSION}
    for package in PACKAGES:
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            continue
    return told


def worst(reports: Iterable[FidelityReport]) -> Standing:
    """The verdict over several reports: FAIL before INCONCLUSIVE before PASS."""
    held = {report.verdict for report in reports}
    order = (Standing.FAIL, Standing.INCONCLUSIVE, Standing.PASS)
    return next((one for one in order if one in held), Standing.INCONCLUSIVE)
