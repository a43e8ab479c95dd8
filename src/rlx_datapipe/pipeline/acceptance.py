"""Files of an archive are accepted or kept away: examined, then moved to ready or to quarantine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.acquisition.examined import Examined, Subject, refused
from rlx_datapipe.acquisition.staged import ArchiveKey, Standing, Zone, read_head
from rlx_datapipe.acquisition.staging import StagingManager
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.finding import Finding, Severity, verdict
from rlx_datapipe.pipeline.examination import Examination
from rlx_datapipe.pipeline.examiner import Bounds
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.layout import readable
from rlx_datapipe.venues.crypto_lake import SCHEMAS, parse_path

CONTENTS = "contents"
"""Rule of the note that holds what a file contains; the certificate tells it on."""

OnProgress = Callable[[Progress], None]


def accept_staged(
    root: Path, *, again: bool = False, bounds: Bounds | None = None, on_progress: OnProgress = lambda _: None
) -> dict[str, Any]:
    """Examine what arrived in a staging folder; each file is in ``ready`` or ``quarantine`` afterwards.

    Parameters
    ----------
    root
        The staging folder.
    again
        Also examine anew what is in ``ready`` and ``quarantine``.
    bounds
        What the examination of one file may take.
    on_progress
        Called as it goes on.

    Returns
    -------
    A dictionary for JSON: ``verdict``, ``files`` with their findings and zones, ``counts`` by zone, ``cross``
    by market and day, ``notices`` and ``strangers`` (files that the manifest does not know).

    Raises
    ------
    OutputError, DatasetError
        When the folder is held by another process, can't be written, or is none.
    """
    read_head(root)
    with StagingManager(root).open() as manager, Examination(bounds) as examination:
        due = [one for one in manager.all() if again or one.zone in (Zone.RAW, Zone.VALIDATING)]
        watch = _Watch(sum(one.transfer.size_bytes for one in due), on_progress)
        files: list[dict[str, Any]] = []
        crossed: list[dict[str, Any]] = []
        for group in _by_market_and_day(due):
            told, cross = _accept(manager, examination, group, watch)
            files += told
            crossed += [cross] if cross else []
        return {
            "kind": "staging",
            "staging": readable(str(root)),
            **_told(files, crossed),
            "counts": {zone.value: sum(one.zone is zone for one in manager.all()) for zone in Zone},
            "notices": manager.notices,
            "strangers": [readable(str(path.relative_to(root))) for path in manager.strangers()],
        }


def examine_paths(
    paths: Sequence[Path], *, bounds: Bounds | None = None, on_progress: OnProgress = lambda _: None
) -> dict[str, Any]:
    """Examine files wherever they lie, and move nothing; as `accept_staged`, without zones.

    Raises
    ------
    SourceError
        When there is no such file, or none in a folder.
    """
    subjects = [_subject(path) for path in _candidates(paths)]
    sizes = [one.path.stat().st_size if isinstance(one, Subject) else 0 for one in subjects]
    watch = _Watch(sum(sizes), on_progress)
    groups: dict[tuple[Any, ...], list[Examined]] = defaultdict(list)
    with Examination(bounds) as examination:
        for subject, size in zip(subjects, sizes, strict=True):
            if isinstance(subject, Subject):
                examination.on_bytes = watch.of(subject)
                found = examination.examine(subject)
            else:
                found = subject
            watch.done(size)
            groups[found.group].append(found)
        files, crossed = [], []
        for group in groups.values():
            judged, cross = _crossed(examination, group, [])
            files += [_file(one) for one in judged]
            crossed += [cross] if cross else []
    return {"kind": "files", **_told(files, crossed)}


def _told(files: list[dict[str, Any]], crossed: list[dict[str, Any]]) -> dict[str, Any]:
    failed = any(one["verdict"] == "fail" for one in files)
    return {"verdict": "fail" if failed else "pass", "files": files, "cross": crossed}


class _Watch:
    """Tells how far an examination of many files has come."""

    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self._total, self._done, self._on_progress = max(total, 1), 0, on_progress

    def of(self, subject: Subject) -> Callable[[int], None]:
        """What to call with the bytes of one file that are done."""

        def tell(count: int) -> None:
            name = subject.path.name if not subject.symbol else f"{subject.symbol} {subject.date or ''}"
            done = min(self._done + count, self._total)
            state = f"{subject.table or 'file'} {name}"
            self._on_progress(Progress("archive", "validate", done, self._total, 0, state=state))

        return tell

    def done(self, size: int) -> None:
        """One more file is examined."""
        self._done += size
        self._on_progress(Progress("archive", "validate", min(self._done, self._total), self._total, 0))


def _by_market_and_day(standings: Iterable[Standing]) -> Iterator[list[Standing]]:
    groups: dict[tuple[Any, ...], list[Standing]] = defaultdict(list)
    for standing in standings:
        groups[_market_and_day(standing.key)].append(standing)
    for key in sorted(groups):
        yield groups[key]


def _market_and_day(key: ArchiveKey) -> tuple[Any, ...]:
    return key.exchange, key.symbol, key.date


def _accept(
    manager: StagingManager, examination: Examination, group: list[Standing], watch: _Watch
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Examine the files of one market and day, and move each to where it belongs."""
    examined: dict[ArchiveKey, Examined] = {}
    for standing in group:
        if standing.zone is not Zone.VALIDATING:
            manager.move(standing.key, Zone.VALIDATING)
        subject = _staged_subject(manager, standing)
        examination.on_bytes = watch.of(subject)
        examined[standing.key] = examination.examine(subject)
        watch.done(standing.transfer.size_bytes)
    beside = [
        one
        for one in manager.all()
        if one.zone is Zone.READY and _market_and_day(one.key) == _market_and_day(group[0].key)
    ]
    context = [(one.key.table, manager.place(one.zone, one.key)) for one in beside]
    judged, cross = _crossed(examination, list(examined.values()), context)
    files = []
    for key, found in zip(examined, judged, strict=True):
        zone = Zone.QUARANTINE if found.verdict == "fail" else Zone.READY
        manager.move(key, zone, [*found.findings, contents(found)])
        path = manager.place(zone, key).relative_to(manager.root)
        files.append(_file(found) | {"path": readable(str(path)), "zone": zone.value})
    return files, cross


def _staged_subject(manager: StagingManager, standing: Standing) -> Subject:
    key, transfer = standing.key, standing.transfer
    return Subject(
        path=manager.place(Zone.VALIDATING, key),
        table=key.table,
        exchange=key.exchange,
        symbol=key.symbol,
        date=key.date,
        size_bytes=transfer.size_bytes,
        sha256=transfer.sha256,
    )


def _crossed(
    examination: Examination, examined: list[Examined], context: list[tuple[str, Path]]
) -> tuple[list[Examined], dict[str, Any] | None]:
    """The same files with what their tables say of each other, and the measures, None where there are none.

    Where what is blamed was accepted earlier, the newcomers are: nothing tells which of the two is wrong.
    """
    paths: dict[str, list[Path]] = defaultdict(list)
    sound = [(one.table, one.subject.path) for one in examined if one.verdict == "pass" and one.rows]
    for table, path in [*sound, *context]:
        paths[table].append(path)
    if not set(paths) >= {"book"} or len(set(paths) & set(SCHEMAS)) < 2 or not sound:
        return examined, None
    crossed = examination.cross(dict(paths))
    new = {table for table, _ in sound}
    said = dict(crossed.findings)
    for table, found in crossed.findings.items():
        if table not in new and verdict(list(found)) == "fail":
            said.update({one: (*said.get(one, ()), *found) for one in new})
    judged = [
        msgspec.structs.replace(one, findings=(*one.findings, *said.get(one.table, ())))
        if one.verdict == "pass"
        else one
        for one in examined
    ]
    exchange, symbol, date = examined[0].group
    told = {"exchange": exchange, "symbol": symbol, "date": str(date or ""), **crossed.measures}
    return judged, told


def contents(found: Examined) -> Finding:
    """What a file contains, as a note that stays with it."""
    measures = {"rows": found.rows, "size_bytes": found.size_bytes, "sha256": found.sha256, **found.facts}
    told = f"{found.rows:,} rows of {found.table or 'no known table'}"
    return Finding(rule=CONTENTS, severity=Severity.NOTE, message=told, measures=measures)


def _file(found: Examined) -> dict[str, Any]:
    subject = found.subject
    return {
        "path": readable(str(subject.path)),
        "table": found.table,
        "exchange": subject.exchange,
        "symbol": subject.symbol,
        "date": str(subject.date or ""),
        "verdict": found.verdict,
        "reason": found.reason,
        "rows": found.rows,
        "size_bytes": found.size_bytes,
        "sha256": found.sha256,
        "findings": [msgspec.to_builtins(one) for one in found.findings],
        "facts": found.facts,
    }


def _candidates(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant: those given, and all Parquet files below the folders given."""
    found: dict[Path, Path] = {}
    for start in paths:
        if start.is_file():
            found.setdefault(start.resolve(), start)
        elif start.is_dir():
            for path in sorted(start.rglob("*.parquet")):
                if path.is_file() and not path.name.startswith("."):
                    found.setdefault(path.resolve(), path)
        else:
            raise SourceError("no such file or folder", file=start)
    if not found:
        told = ", ".join(readable(str(path)) for path in paths)
        raise SourceError("no Parquet files", file=told, remedy="Give the folder of an archive, or its files")
    return list(found.values())


def _subject(path: Path) -> Subject | Examined:
    """What the folders of a path say of a file; a refusal where they mislead."""
    try:
        told = parse_path(path)
    except SourceError as error:
        return refused(Subject(path), "file", error.what, found=str(error.facts.get("found", "")))
    return Subject(path, told.table, told.exchange, told.symbol, told.date)
