"""What one file of an archive was found to be, and what it was said to be before."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.finding import Finding, Severity, verdict


class Subject(msgspec.Struct, frozen=True):
    """One file to be examined, and what is known of it beforehand; None or empty where nothing is.

    ``size_bytes`` and ``sha256`` are those recorded when it was transferred.
    """

    path: Path
    table: str = ""
    exchange: str = ""
    symbol: str = ""
    date: dt.date | None = None
    size_bytes: int | None = None
    sha256: str = ""


class Examined(msgspec.Struct, frozen=True):
    """A file after examination; ``facts`` are measures of its content, by name."""

    subject: Subject
    table: str
    size_bytes: int
    sha256: str
    rows: int
    findings: tuple[Finding, ...]
    facts: dict[str, Any]

    @property
    def verdict(self) -> str:
        """``fail`` if any finding is a gate."""
        return verdict(list(self.findings))

    @property
    def reason(self) -> str:
        """The first gate in words; empty for none."""
        return next((one.message for one in self.findings if one.severity is Severity.GATE), "")

    @property
    def group(self) -> tuple[str, str, dt.date | None]:
        """Files of one market and day can be held against each other."""
        return self.subject.exchange, self.subject.symbol, self.subject.date


def refused(subject: Subject, rule: str, message: str, **measures: Any) -> Examined:
    """A file of which nothing more is known than why it is refused."""
    finding = Finding(rule=rule, severity=Severity.GATE, message=message, measures=measures)
    return Examined(subject, subject.table, 0, "", 0, (finding,), {})
