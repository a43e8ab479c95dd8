"""Where things lie in a dataset: the one function that turns names from outside into paths."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

MANIFEST = "rlx.json"
QUARANTINE = "quarantine"
_PLAIN = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}")


def slug(name: str) -> str:
    """A folder name for any name from outside: itself if plain capitals and digits, else ASCII plus a hash.

    Never a separator, a dot-dot, a control character or more than 80 bytes; two names never share a slug on
    a file system that ignores case.
    """
    if _PLAIN.fullmatch(name) and ".." not in name:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    ascii_part = re.sub(r"[^A-Za-z0-9]+", "_", name)[:48].strip("_").lower()
    # A plain name never begins with an underscore, so no name from outside can imitate a slug.
    return f"_{ascii_part or 'name'}-{digest}"


def partition_folder(exchange: str, symbol: str, date: str) -> str:
    """Folder of one partition below its table, with forward slashes."""
    return f"exchange={slug(exchange)}/symbol={slug(symbol)}/date={date}"


def table_folder(dataset: Path, table: str) -> Path:
    """Folder of one table."""
    return dataset / table


def quarantine_file(dataset: Path, exchange: str, symbol: str, source: str) -> Path:
    """File of what could not be read in one source file, one JSON object a line."""
    return dataset / QUARANTINE / slug(exchange) / slug(symbol) / f"{slug(source)}.jsonl"
