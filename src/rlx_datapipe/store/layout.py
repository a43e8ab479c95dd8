"""Where things lie in a dataset: the one function that turns names from outside into paths."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from rlx_datapipe.core.schema import PARTITION

MANIFEST = "rlx.json"
QUARANTINE = "quarantine"
UNKNOWN = "unknown"
EPOCH = r"epoch-([0-9]{10})(?:-[0-9]{3})?"
"""Name of a file of an epoch, as a pattern; only where one file grows too large the next has a number."""
_PLAIN = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}")
_PLAIN_FILE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._=-]{0,98}[A-Za-z0-9])?")


def slug(name: str) -> str:
    """A folder name for any name from outside: itself if plain capitals and digits, else ASCII plus a hash.

    Never a separator, a dot-dot, a control character or more than 80 bytes; two names never share a slug on
    a file system that ignores case.
    """
    if _PLAIN.fullmatch(name) and ".." not in name:
        return name
    # A plain name never begins with an underscore, so no name from outside can imitate a slug.
    return f"_{_ascii(name)}-{_digest(name)}"


def _ascii(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name)[:48].strip("_").lower() or "name"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def file_slug(name: str) -> str:
    """A file name for any name from outside: itself if it is plain, else ASCII, a hash and its plain suffix.

    Never a separator, hidden, a dot-dot or longer than 100 bytes.
    """
    if _PLAIN_FILE.fullmatch(name) and ".." not in name:
        return name
    suffix = re.search(r"(?:\.[A-Za-z0-9]{1,12}){1,2}\Z", name)
    told = suffix[0] if suffix else ""
    # No plain name has a tilde, so none can imitate a slug.
    return f"{_ascii(name.removesuffix(told))}~{_digest(name)}{told}"


def readable(name: str) -> str:
    """A name from outside as text that every format can hold; bytes that are no text become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def partition_folder(exchange: str, symbol: str, date: str) -> str:
    """Folder of one partition below its table, with forward slashes."""
    return f"exchange={slug(exchange)}/symbol={slug(symbol)}/date={date}"


def place_problem(dataset: Path) -> str:
    """Why no dataset can lie in this folder; empty if one can."""
    path = dataset.resolve()
    if "%" in str(path):
        return "can't hold a dataset: Delta Lake takes the '%' in its path for an escape"
    for part in path.parts:
        if part.partition("=")[0] in PARTITION and "=" in part:
            return f"can't hold a dataset: readers take {part!r} in its path for a partition of the tables"
    return ""


def table_folder(dataset: Path, table: str) -> Path:
    """Folder of one table, absolute: Arrow and Delta Lake take a relative path with a colon for a URL."""
    return dataset.resolve() / table


def set_aside_file(dataset: Path, folder: str, exchange: str, symbol: str, source: str) -> Path:
    """File of the messages of one source file that are set aside in a folder, one JSON object a line."""
    return dataset / folder / slug(exchange) / slug(symbol) / f"{slug(source)}.jsonl"


def epoch_name(epoch: int, number: int = 1) -> str:
    """Stem of an epoch's file; ``number`` counts those of one table and date, from 1."""
    return f"epoch-{epoch:010d}" if number == 1 else f"epoch-{epoch:010d}-{number:03d}"


def epoch_files(folder: Path, suffix: str) -> list[tuple[int, Path]]:
    """Files of a folder that bear our name of an epoch, with the epoch; others are not ours."""
    pattern = re.compile(rf"{EPOCH}{re.escape(suffix)}")
    found = ((pattern.fullmatch(path.name), path) for path in sorted(folder.glob(f"epoch-*{suffix}")))
    return [(int(match[1]), path) for match, path in found if match]
