"""What a validation says: per rule, per chain and together, ready for JSON."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from rlx_datapipe.core.finding import Finding, Severity, verdict

Mark = Literal["pass", "note", "warn", "fail", "skipped"]
NAMED_MAX = 100
"""Most differences that are named one by one; all are counted."""


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule found on one chain.

    ``verdict`` is the mark that it gives: ``fail`` for a gate, ``skipped`` where there was nothing to check.
    ``severity`` is the heaviest that the rule can be. ``headline`` is one sentence with the numbers.
    """

    name: str
    purpose: str
    reference: str
    severity: Severity
    verdict: Mark
    headline: str
    measures: dict[str, Any]


class ValidationReport(msgspec.Struct, frozen=True, kw_only=True):
    """Verdict on one chain, or on several together.

    Of several chains the numbers are sums, ``exchange`` and ``symbol`` are empty, ``rules`` too, and
    ``chains`` has the report of each. ``oracle`` has ``compared``, ``equal``, ``source`` and ``differing``
    (named, at most `NAMED_MAX` a chain). Prices and quantities are decimal strings.
    """

    verdict: Literal["pass", "fail"]
    oracle: dict[str, Any]
    gaps: int
    crossed: int
    events: int
    exchange: str = ""
    symbol: str = ""
    golden: str = ""
    findings: list[Finding] = []
    rules: list[RuleResult] = []
    chains: list[ValidationReport] = []

    def to_json(self) -> bytes:
        """The report as one JSON object."""
        return msgspec.json.encode(self)


def mark(findings: list[Finding], *, skipped: bool = False) -> Mark:
    """The mark of a rule with these findings."""
    severities = {finding.severity for finding in findings}
    if Severity.GATE in severities:
        return "fail"
    if Severity.WARN in severities:
        return "warn"
    if skipped:
        return "skipped"
    return "note" if Severity.NOTE in severities else "pass"


def combined(reports: list[ValidationReport]) -> ValidationReport:
    """One report of several chains; of one chain, that chain's."""
    if len(reports) == 1:
        return reports[0]
    findings = [
        msgspec.structs.replace(
            finding, measures={"exchange": one.exchange, "symbol": one.symbol, **finding.measures}
        )
        for one in reports
        for finding in one.findings
    ]
    oracle: dict[str, Any] = {
        name: sum(one.oracle[name] for one in reports) for name in ("compared", "equal")
    }
    oracle["source"] = ", ".join(dict.fromkeys(one.oracle["source"] for one in reports))
    oracle["differing"] = [
        {"exchange": one.exchange, "symbol": one.symbol, **difference}
        for one in reports
        for difference in one.oracle["differing"]
    ]
    return ValidationReport(
        verdict="fail" if verdict(findings) == "fail" else "pass",
        oracle=oracle,
        gaps=sum(one.gaps for one in reports),
        crossed=sum(one.crossed for one in reports),
        events=sum(one.events for one in reports),
        golden=", ".join(dict.fromkeys(one.golden for one in reports if one.golden)),
        findings=findings,
        chains=reports,
    )
