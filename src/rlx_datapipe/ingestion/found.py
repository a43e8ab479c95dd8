"""What lies at the paths that a user gives: recordings, archives, notes beside them, the same file twice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.ingestion.lake import LakeFile
from rlx_datapipe.ingestion.wanted import Ignored
from rlx_datapipe.store.capture_manifest import HEAD
from rlx_datapipe.store.layout import MANIFEST
from rlx_datapipe.store.manifest import hash_file

NOTE_BYTES_MAX = 1 << 20
_DATA = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".zst", ".xz", ".bz2", ".zip"}
_TIMED = re.compile(rb"^\s*(?:\d{10,}|[{\[])", re.MULTILINE)
_PARQUET = b"PAR1"


def split_paths(
    paths: list[Path], *, as_lake: bool, is_auto: bool, apart: Path | None, on_ignored: Ignored
) -> tuple[list[Path], list[Path], list[Path]]:
    """Files that may be recordings, files or folders of Crypto Lake, and folders of captures.

    A folder may hold notes beside its recordings, see `is_note`: they are passed over, as is what lies beside
    the Parquet files of an archive, and without a word what lies in the folder ``apart``. A file that was
    named is never passed over.

    Raises
    ------
    OptionError
        When no path is given.
    SourceError
        When a path is absent, an empty folder, or one of datasets.
    """
    if not paths:
        raise OptionError("no source given", remedy="Give files or a folder")
    captures: list[Path] = []
    lake: list[Path] = []
    folders: list[Path] = []
    for path in paths:
        if not path.exists():
            raise SourceError("no such file or folder", file=path, remedy="Check the path")
        files = [path] if path.is_file() else _visible_files(path, apart)
        found = sorted({file.parent for file in files if file.name == HEAD})
        folders += found
        files = [file for file in files if not any(folder in file.parents for folder in found)]
        if found and not files:
            continue
        parquet = [file for file in files if _is_parquet(file)]
        if as_lake or (is_auto and parquet):
            lake.append(path)
            passed = [file for file in files if file not in parquet] if path.is_dir() else []
        else:
            passed = [file for file in files if is_note(file)] if path.is_dir() else []
            captures += [file for file in files if file not in passed]
            if len(passed) == len(files):
                raise SourceError(
                    "holds no recordings",
                    file=path,
                    found=", ".join(f.name for f in files[:5]),
                    remedy="Give a folder with recordings",
                )
        for file in passed:
            on_ignored(file)
    return list({path.resolve(): path for path in captures}.values()), lake, list(dict.fromkeys(folders))


def _visible_files(folder: Path, apart: Path | None) -> list[Path]:
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not (apart and path.resolve().is_relative_to(apart.resolve()))
    ]
    if not files:
        raise SourceError("is an empty folder", file=folder, remedy="Give a folder with recordings")
    datasets = [file.parent for file in files if file.name == MANIFEST]
    if folder in datasets:
        raise SourceError(
            "is a dataset, not a recording", file=folder, remedy="Give the recordings that it was made from"
        )
    if datasets:
        found = ", ".join(str(path) for path in datasets[:5]) + (", ..." if len(datasets) > 5 else "")
        raise SourceError(
            "is no dataset but holds one"
            if len(datasets) == 1
            else f"is no dataset but holds {len(datasets)}",
            file=folder,
            found=found,
            remedy="Give one dataset, or recordings without a dataset among them",
        )
    return files


def _is_parquet(path: Path) -> bool:
    if path.suffix == ".parquet":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(_PARQUET)) == _PARQUET
    except OSError:
        return False


def is_note(path: Path) -> bool:
    """Whether a file is plainly no data: a short UTF-8 text, no line of which begins as a message or time.

    Anything else that is not recognised may be a recording that something happened to: it is refused by name.
    """
    try:
        if path.suffix.lower() in _DATA or not 0 < path.stat().st_size <= NOTE_BYTES_MAX:
            return False
        content = path.read_bytes()
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return bool(text.strip()) and "\0" not in text and _TIMED.search(content) is None


def refuse_copies(files: Iterable[tuple[Path, int]]) -> None:
    """Refuse two files of the same bytes, (path, bytes): all that happened would happen twice.

    Raises
    ------
    SourceError
        With the names of both; only files of equal size are read for it.
    """
    by_size: dict[int, list[Path]] = {}
    for path, size in files:
        by_size.setdefault(size, []).append(path)
    for paths in by_size.values():
        seen: dict[str, Path] = {}
        for path in paths if len(paths) > 1 else ():
            first = seen.setdefault(hash_file(path).sha256, path)
            if first != path:
                raise SourceError(
                    "is the same recording as another that was given, byte for byte",
                    file=path,
                    other=first,
                    remedy="Give it once: its trades would count twice",
                )


def refuse_lake_copies(files: Iterable[LakeFile]) -> None:
    """The same for files of an archive, where those without rows are alike."""
    chains: dict[tuple[str, str, str], list[tuple[Path, int]]] = {}
    for file in files:
        if file.rows:
            chains.setdefault((file.table, file.exchange, file.symbol), []).append((file.path, file.bytes))
    for chain in chains.values():
        refuse_copies(chain)
