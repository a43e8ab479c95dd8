"""IntegrityValidator: one file of the archive, held to all that can be known of it, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.acquisition.blame import Blame
from rlx_datapipe.acquisition.examined import Examined, Subject
from rlx_datapipe.acquisition.id_checks import IdCheck
from rlx_datapipe.acquisition.time_checks import TimeCheck
from rlx_datapipe.acquisition.value_checks import ValueCheck
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.venues.crypto_lake import (
    BOOK,
    LEVELS,
    OTHER_TABLES,
    SCHEMAS,
    Layout,
    SchemaProblem,
    match_table,
)
from rlx_datapipe.venues.crypto_lake_open import check_metadata, open_parquet, read_batches

FILE, SCHEMA = "file", "schema"
_BATCH_ROWS = 65_536
_PIECE_BYTES = 1 << 22
_DENSE = "BINANCE"
"""Exchanges whose names begin so count their trades without a hole."""


class IntegrityValidator:
    """Examines one file at a time; a gate is what a reconstruction would refuse, or what is not as recorded.

    Parameters
    ----------
    on_bytes
        Called with the bytes of the file that are done, after each piece of work.
    """

    def __init__(self, on_bytes: Callable[[int], None] = lambda _: None) -> None:
        self._on_bytes = on_bytes

    def examine(self, subject: Subject) -> Examined:
        """Everything that can be said of a file by itself; never raises for what is wrong with it."""
        findings: list[Finding] = []
        facts: dict[str, Any] = {}
        table, rows, size, digest = subject.table, 0, 0, ""
        try:
            size, digest = self._hashed(subject.path)
            findings += _as_recorded(subject, size, digest)
            with open_parquet(subject.path) as file:
                rows = file.metadata.num_rows
                facts["row_groups"] = file.metadata.num_row_groups
                check_metadata(subject.path, file.metadata)
                layout = match_table(file.schema_arrow)
                findings += _schema_findings(subject, file.schema_arrow, layout)
                if isinstance(layout, Layout):
                    table = layout.table
                    self._read(file, layout, subject, findings, facts)
                elif subject.table in OTHER_TABLES:
                    self._read_through(file, subject)
        except SourceError as error:
            findings.insert(0, _found(FILE, Severity.GATE, _sentence(error)))
        except (pa.ArrowMemoryError, MemoryError):
            told = "can't be read in the memory that one file may take"
            findings.insert(0, _found(FILE, Severity.GATE, told))
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            told = f"can't be read ({str(error).partition(chr(10))[0] or type(error).__name__})"
            findings.insert(0, _found(FILE, Severity.GATE, told))
        order = list(Severity)
        findings.sort(key=lambda finding: order.index(finding.severity))
        return Examined(subject, table, size, digest, rows, tuple(findings), facts)

    def _hashed(self, path: Path) -> tuple[int, str]:
        """Size and SHA-256; piece by piece, so that whoever watches sees that it goes on."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
                self._on_bytes(0)
        return size, digest.hexdigest()

    def _read(
        self,
        file: pq.ParquetFile,
        layout: Layout,
        subject: Subject,
        findings: list[Finding],
        facts: dict[str, Any],
    ) -> None:
        """Hold every row to the rules of its table."""
        blame, times, values = Blame(), TimeCheck(subject.date), ValueCheck(layout.table)
        ids = IdCheck(layout.table, is_dense=subject.exchange.upper().startswith(_DENSE))
        names = (subject.exchange, subject.symbol)
        at_once = _BATCH_ROWS // (2 * LEVELS) if layout.table == BOOK else _BATCH_ROWS
        done, total = 0, file.metadata.num_rows
        size = subject.path.stat().st_size
        try:
            for rows in read_batches(file, layout, subject.path, names, at_once):
                for check in (times, ids, values):
                    check.observe(rows, done + 1, blame)
                done += rows.num_rows
                self._on_bytes(size * done // max(total, 1))
        finally:
            # What was found up to a damage is worth telling, too.
            findings += blame.findings(done)
        for said, known in (times.conclude(done), ids.conclude(), values.conclude(done)):
            findings += said
            facts.update(known)

    def _read_through(self, file: pq.ParquetFile, subject: Subject) -> None:
        """See that every page of a table that we know nothing of can be read."""
        for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
            self._on_bytes(0)
            del batch


def _as_recorded(subject: Subject, size: int, digest: str) -> list[Finding]:
    """Whether the bytes are those that were transferred."""
    if subject.size_bytes is not None and size != subject.size_bytes:
        told = f"has {size:,} bytes, not the {subject.size_bytes:,} that were transferred"
        return [_found(FILE, Severity.GATE, told, size_bytes=size, recorded_bytes=subject.size_bytes)]
    if subject.sha256 and digest != subject.sha256:
        told = "is not the bytes that were transferred (SHA-256 differs)"
        return [_found(FILE, Severity.GATE, told, sha256=digest, recorded_sha256=subject.sha256)]
    return []


def _schema_findings(subject: Subject, schema: pa.Schema, layout: Layout | SchemaProblem) -> list[Finding]:
    if isinstance(layout, SchemaProblem):
        if subject.table in OTHER_TABLES:
            told = f"columns of table {subject.table} are not checked: no book is made from them"
            return [_found(SCHEMA, Severity.NOTE, told)]
        difference = {
            "missing": list(layout.missing),
            "unexpected": list(layout.unexpected),
            "mistyped": [list(one) for one in layout.mistyped],
        }
        told = f"columns are not those of a Crypto Lake table: {layout.sentence()}"
        return [_found(SCHEMA, Severity.GATE, told, **difference)]
    if subject.table and layout.table != subject.table:
        told = f"columns are those of {layout.table}, but the folder says {subject.table}"
        return [_found(SCHEMA, Severity.GATE, told, found=layout.table, expected=subject.table)]
    other = [
        [wanted.name, name, str(kind), str(wanted.type)]
        for wanted in SCHEMAS[layout.table]
        for name in (layout.columns[wanted.name],)
        for kind in (schema.field(name).type,)
        if name != wanted.name or kind != wanted.type
    ]
    if not other:
        return []
    told = "columns under other names or types: " + ", ".join(
        f"{wanted} is {name} ({kind})" for wanted, name, kind, _ in other[:4]
    )
    if len(other) > 4:
        told += f" and {len(other) - 4} more"
    return [_found(SCHEMA, Severity.NOTE, told, columns=other)]


def _found(rule: str, severity: Severity, message: str, **measures: Any) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, measures=measures)


def _sentence(error: SourceError) -> str:
    """What is wrong, without the path: the finding stands beside it."""
    facts = {name: value for name, value in error.facts.items() if name != "file"}
    return SourceError(error.what, **facts).sentence()
