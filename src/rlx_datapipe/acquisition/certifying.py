"""Certifying: the bytes of all ready files held against the manifest, and their gaps declared."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from rlx_datapipe.acquisition.staged import Standing, Zone, read_head
from rlx_datapipe.acquisition.staging import StagingManager
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.store.certificate import Certificate, CertifiedFile, Gap, publish_certificate, told
from rlx_datapipe.store.files import file_digest, unwritable
from rlx_datapipe.store.layout import readable

CHECKS = (
    "file: magic, footer, every page readable, checksums of pages, size and SHA-256 as transferred",
    "schema: the columns and types of its table, or known aliases",
    "time: nanoseconds, within the day, coverage by minute",
    "values: finite, positive, plain decimals; sides; ladders of books",
    "ids: there, not negative, messages whole",
    "cross: trades and deltas are of the market of the day's book",
)
_MINUTES = 1_440


def certify(root: Path, on_file: Callable[[Path, int, int], None] = lambda *_: None) -> dict[str, Any]:
    """Certify what is ready in a staging folder; the certificate for JSON, with ``path`` and ``is_new``.

    Every file is read again: one whose bytes are not those of its transfer goes to quarantine, and nothing is
    certified in this run.

    Parameters
    ----------
    root
        The staging folder.
    on_file
        Called with each file that is about to be read, its size, and that of all.

    Raises
    ------
    DatasetError
        When nothing is ready, or a ready file has changed.
    OutputError
        When the folder is held by another process or can't be written.
    """
    read_head(root)
    with StagingManager(root).open() as manager:
        ready = [one for one in manager.all() if one.zone is Zone.READY]
        if not ready:
            remedy = "Download and validate first: rlx acquire download, then rlx acquire validate"
            raise DatasetError("nothing is ready to be certified", file=root, remedy=remedy)
        total = sum(one.transfer.size_bytes for one in ready)
        changed = []
        for one in ready:
            on_file(manager.place(Zone.READY, one.key), one.transfer.size_bytes, total)
            changed += [] if _is_whole(manager, one) else [one]
        if changed:
            named = ", ".join(readable(str(one.key.path)) for one in changed[:3])
            raise DatasetError(
                "ready files are not the bytes that were transferred, and are in quarantine now",
                file=root,
                found=named + (f" and {len(changed) - 3} more" if len(changed) > 3 else ""),
                remedy="Download them again, or certify the others by the same command",
            )
        certificate = certificate_of(ready)
        path, is_new = publish_certificate(root, certificate)
        return {**told(certificate), "path": readable(str(path)), "is_new": is_new}


def _is_whole(manager: StagingManager, one: Standing) -> bool:
    path = manager.place(Zone.READY, one.key)
    try:
        held = file_digest(path)
    except OSError as error:
        raise unwritable(path, error) from error
    if held == (one.transfer.size_bytes, one.transfer.sha256):
        return True
    message = "changed after it was validated (SHA-256 differs)"
    measures = {"sha256": held[1], "recorded_sha256": one.transfer.sha256}
    found = Finding(rule="file", severity=Severity.GATE, message=message, measures=measures)
    manager.move(one.key, Zone.QUARANTINE, [found])
    return False


def certificate_of(ready: Iterable[Standing]) -> Certificate:
    """The certificate of these files, told by the manifest alone."""
    held = sorted(ready, key=lambda one: one.key.path.as_posix())
    files = tuple(_certified(one) for one in held)
    return Certificate(
        writer=WRITER,
        checks=CHECKS,
        files=files,
        gaps=tuple(sorted({*_missing_days(held), *(gap for one in held for gap in _gaps(one))})),
        totals={
            "files": len(files),
            "bytes": sum(file.size_bytes for file in files),
            "rows": sum(file.rows for file in files),
        },
    )


def _facts(one: Standing) -> dict[str, Any]:
    """What the file contains, as it was found when it was validated."""
    return next((dict(found.measures) for found in one.findings if found.rule == "contents"), {})


def _certified(one: Standing) -> CertifiedFile:
    facts = _facts(one)
    return CertifiedFile(
        path=one.key.path.as_posix(),
        table=one.key.table,
        size_bytes=one.transfer.size_bytes,
        sha256=one.transfer.sha256,
        rows=int(facts.get("rows", 0)),
        first_time=facts.get("first_time"),
        last_time=facts.get("last_time"),
        remarks=tuple(found.message for found in one.findings if found.severity is Severity.WARN),
    )


def _gaps(one: Standing) -> Iterator[Gap]:
    """What one file itself lacks of its day."""
    facts, key = _facts(one), one.key

    def gap(kind: str, detail: str) -> Gap:
        return Gap(key.exchange, key.symbol, key.table, key.date.isoformat(), kind, detail)

    silent = facts.get("silent_minutes") or []
    if facts.get("rows") == 0:
        yield gap("empty", "no rows")
    for first, last in silent:
        edge = first == 0 or last == _MINUTES - 1
        yield gap("outside the file" if edge else "silent", f"{_clock(first)} to {_clock(last + 1)} UTC")
    if missing := facts.get("missing_ids"):
        yield gap("ids", f"{missing} trade ids are missing")


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _missing_days(held: Iterable[Standing]) -> Iterator[Gap]:
    """Days of a table without a file, between the first and the last day of its market in any table."""
    days: dict[tuple[str, str], dict[str, set[dt.date]]] = defaultdict(lambda: defaultdict(set))
    for one in held:
        days[one.key.exchange, one.key.symbol][one.key.table].add(one.key.date)
    for (exchange, symbol), tables in days.items():
        every = set().union(*tables.values())
        day, last = min(every), max(every)
        while day <= last:
            for table, known in tables.items():
                if day not in known:
                    yield Gap(exchange, symbol, table, day.isoformat(), "day", "no file")
            day += dt.timedelta(days=1)
