"""Verdicts of fidelity as a file that Prometheus' textfile collector reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.store.files import replace_bytes
from rlx_datapipe.telemetry.verdicts import MarketVerdict, MetricVerdict, verdict_exposition


def write_exposition(reports: Iterable[FidelityReport], path: Path) -> None:
    """Write the verdicts of all symbols; the file is there whole or as it was before.

    Raises
    ------
    OutputError
        When it can't be written.
    """
    replace_bytes(path, exposition(reports).encode())


def exposition(reports: Iterable[FidelityReport]) -> str:
    """The verdicts of all symbols as text."""
    return verdict_exposition([_market(report) for report in reports])


def _market(report: FidelityReport) -> MarketVerdict:
    side = report.header.dataset
    return MarketVerdict(
        exchange=side.exchange,
        symbol=side.symbol,
        standing=report.verdict.value,
        score=report.score.overall,
        decided=report.score.decided,
        data_end_s=None if side.ends_ns is None else side.ends_ns / 1e9,
        metrics=tuple(
            MetricVerdict(m.name, m.category, m.severity, m.verdict.value, m.value, m.margin, m.score)
            for m in report.metrics
        ),
    )
