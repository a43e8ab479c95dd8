"""The index of a table, ``contents.json.gz``: which objects the archive says it has, read within bounds."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from rlx_datapipe.acquisition.archive import Archive
from rlx_datapipe.acquisition.refusals import AbsentError, DeniedError

NAME = "contents.json.gz"
NO_INDEX = "there is no index"
_BOTH = 32
"""Added to the size of the window, zlib tells its own header from that of gzip by itself."""


class TableIndex(msgspec.Struct, frozen=True):
    """What an index says: paths below the root of the archive; or why it is of no use.

    ``etag`` is that of the index itself.
    """

    paths: tuple[str, ...] = ()
    etag: str = ""
    problem: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether its paths may be believed."""
        return not self.problem


def read_index(archive: Archive, table: str, bytes_max: int) -> TableIndex:
    """Read the index of a table, zlib or gzip; an archive may have none.

    Parameters
    ----------
    bytes_max
        Most bytes that it may unpack to.

    Raises
    ------
    ArchiveError
        When the store can't be reached, or refuses the key.
    """
    path = f"{table}/{NAME}"
    try:
        about = archive.head(path)
        if not 0 < about.size_bytes <= bytes_max:
            return TableIndex(problem=f"the index has {about.size_bytes:,} bytes")
        packed = b"".join(archive.read(path, 0, about.size_bytes, about.etag))
    except (AbsentError, DeniedError):
        # Whoever may not list a bucket is told 403 for what is not there.
        return TableIndex(problem=NO_INDEX)
    paths, problem = parse_index(packed, table, archive.address.prefix, bytes_max)
    return TableIndex(paths, about.etag, problem)


def parse_index(packed: bytes, table: str, prefix: str, bytes_max: int) -> tuple[tuple[str, ...], str]:
    """Paths below the root of the archive that an index names, and what is wrong with it, if anything.

    An entry is a path, or an object with one (``key``, ``Key``, ``path``); it starts at the bucket, at the
    root of the archive, or below the table. One that lies elsewhere condemns the index: it is another's.
    """
    unpacker = zlib.decompressobj(zlib.MAX_WBITS + _BOTH)
    try:
        text = unpacker.decompress(packed, bytes_max)
        if unpacker.unconsumed_tail:
            return (), f"the index unpacks to more than {bytes_max:,} bytes"
        if not unpacker.eof:
            return (), "the index breaks off"
        told = msgspec.json.decode(text)
    except zlib.error:
        return (), "the index is neither zlib nor gzip"
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return (), "the index is no JSON"
    entries = told.get("objects") if isinstance(told, dict) else None
    if not isinstance(entries, list):
        return (), "the index has no list `objects`"
    paths = []
    for entry in entries:
        path = _placed(_path_of(entry), table, prefix)
        if not path:
            return (), f"the index names what is not of this table: {str(entry)[:80]!a}"
        if path != f"{table}/{NAME}":
            paths.append(path)
    return tuple(paths), ""


def _path_of(entry: Any) -> str:
    if isinstance(entry, dict):
        entry = next((entry[name] for name in ("key", "Key", "path") if name in entry), "")
    return entry.lstrip("/") if isinstance(entry, str) else ""


def _placed(path: str, table: str, prefix: str) -> str:
    """A path as it is below the root; empty if it is not of this table."""
    inside = path.removeprefix(f"{prefix}/") if prefix else path
    if inside.startswith("exchange="):
        return f"{table}/{inside}"
    return inside if inside.startswith(f"{table}/") else ""
