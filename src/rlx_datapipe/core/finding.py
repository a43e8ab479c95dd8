"""What a rule or a stage says of the data, in one type."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Severity(StrEnum):
    """Weight of a finding: a gate fails the dataset, a warning asks for a look, a note informs."""

    GATE = "gate"
    WARN = "warn"
    NOTE = "note"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a rule says: which rule, how heavy, where, and how much."""

    rule: str
    severity: Severity
    message: str
    measures: dict[str, Any] = msgspec.field(default_factory=dict)


def verdict(findings: list[Finding]) -> str:
    """``fail`` if any finding is a gate, else ``pass``."""
    return "fail" if any(finding.severity is Severity.GATE for finding in findings) else "pass"
