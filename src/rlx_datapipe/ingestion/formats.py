"""The table of formats: how each is recognised by its first bytes, found, and read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.ingestion.archives import LAKE, ArchiveReader, find_archives
from rlx_datapipe.ingestion.bitstamp import BitstampReader, find_bitstamp, has_bitstamp_head
from rlx_datapipe.ingestion.captures import CaptureReader, find_captures
from rlx_datapipe.ingestion.inflate import Inflated, codec_of
from rlx_datapipe.ingestion.lobster import LobsterReader, find_lobster, has_lobster_head
from rlx_datapipe.ingestion.reader import Reader, Task
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.tardis import TardisReader
from rlx_datapipe.ingestion.tardis_files import find_tardis
from rlx_datapipe.ingestion.wanted import Wanted
from rlx_datapipe.venues import binance, bitstamp, lobster, tardis

_HEAD_BYTES = 1 << 16
BYTES_OF_NOTHING = 64
"""A file so small may be nothing, compressed: two of those are no copies of a recording."""


@dataclass(frozen=True)
class Format:
    """One layout of input.

    Attributes
    ----------
    names
        As ``--format`` takes them and `Source.format` has them.
    has_head
        Whether a file that begins with these bytes, inflated, is of this layout.
    find
        The chains of files of this layout.
    reader
        What reads one of those chains.
    """

    names: tuple[str, ...]
    has_head: Callable[[bytes], bool]
    find: Callable[[Sequence[Path], Wanted], list[Source]]
    reader: Callable[[Source, Task], Reader]


CAPTURES = Format(tuple(binance.MARKETS), lambda _: True, find_captures, CaptureReader)
"""Whatever is of no other layout: the lines of a capture are looked at one by one."""
ARCHIVES = Format((LAKE,), lambda head: head.startswith(b"PAR1"), find_archives, ArchiveReader)
TARDIS = Format((tardis.FORMAT,), tardis.has_head, find_tardis, TardisReader)
LOBSTER = Format((lobster.FORMAT,), has_lobster_head, find_lobster, LobsterReader)
BITSTAMP = Format((bitstamp.FORMAT,), has_bitstamp_head, find_bitstamp, BitstampReader)

FORMATS = (ARCHIVES, TARDIS, LOBSTER, BITSTAMP, CAPTURES)
"""All formats; a file is of the first one that knows its head."""

NAMES = (*CAPTURES.names, *(name for format in FORMATS if format is not CAPTURES for name in format.names))


def open_reader(source: Source, task: Task) -> Reader:
    """The reader of a source's format."""
    return format_named(source.format).reader(source, task)


def format_named(name: str) -> Format:
    """The format that has a name."""
    return next(format for format in FORMATS if name in format.names)


def head_of(path: Path) -> bytes:
    """The first bytes of a file, inflated; fewer where it is short or breaks off.

    Raises
    ------
    SourceError
        When it can't be read, or is empty.
    """
    head = b""
    for piece in Inflated(path, codec_of(path), _HEAD_BYTES).pieces():
        head += piece
        if len(head) >= _HEAD_BYTES:
            break
    return head[:_HEAD_BYTES]


def by_format(files: Sequence[Path], wanted: Wanted) -> dict[Format, list[Path]]:
    """Files by their formats, each told by its head.

    Tardis publishes an empty file for a day without data: beside others of its files such a one is passed
    over, and told.

    Raises
    ------
    SourceError
        When a file can't be read, or is plainly of another format than the one named.
    """
    heads = {path: head_of(path) for path in files}
    told: dict[Format, list[Path]] = {}
    for path, head in heads.items():
        format = next(format for format in FORMATS if format.has_head(head))
        if wanted.format != "auto" and wanted.format not in format.names and head:
            raise SourceError(
                "is not of the format that was named",
                file=path,
                found=format.names[0] if format is not CAPTURES else "no head of it",
                expected=wanted.format,
            )
        told.setdefault(format, []).append(path)
    if TARDIS in told and CAPTURES in told:
        for path in [path for path in told[CAPTURES] if not heads[path]]:
            wanted.on_ignored(path)
            told[CAPTURES].remove(path)
    return {format: paths for format, paths in told.items() if paths}
