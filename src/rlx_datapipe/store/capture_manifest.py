"""What a capture folder says of itself: what is recorded, and one entry for each sealed segment."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec

from rlx_datapipe.core.errors import DatasetError, OutputError, SourceError
from rlx_datapipe.store.capture_market import Market
from rlx_datapipe.store.files import make_folder, publish_bytes, system_reason, unwritable

FORMAT_VERSION = 1
HEAD = "capture.json"
LOG, SEGMENTS, ENTRIES = "open", "segments", "manifest"
PLAIN_SUFFIX, SEALED_SUFFIX = ".jsonl.zst", ".jsonl.zst.sealed"
NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z-\d{8}T\d{6}\.\d{3}Z-(\d{10,})")


class CaptureHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a capture records; ``key_id`` is the key that it began with, None where nothing is encrypted."""

    format_version: int = FORMAT_VERSION
    venue: str
    symbols: tuple[str, ...]
    streams: tuple[str, ...]
    key_id: str | None = None

    def place(self, first_sequence: int) -> bytes:
        """What the encryption of a segment is bound to: whose it is, and its place in the order."""
        whose = msgspec.json.encode([self.venue, self.symbols])
        return b"%b %d" % (hashlib.sha256(whose).hexdigest().encode(), first_sequence)


class StreamTally(msgspec.Struct, frozen=True):
    """Records of one stream in a segment, and the first and last of the venue's ids (None: it has none)."""

    records: int
    first_id: int | None = None
    last_id: int | None = None


class DeclaredGap(msgspec.Struct, frozen=True):
    """Ids, inclusive, of which the capture itself says that it has not got them; None where unknown."""

    stream: str | None = None
    from_id: int | None = None
    to_id: int | None = None
    reason: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One sealed segment. Published once, and only when the segment is on the disk: it makes it count.

    Attributes
    ----------
    size_bytes, sha256
        Of the file as it lies there.
    lines_bytes, lines_sha256
        Of its lines, decrypted and inflated.
    first_sequence, last_sequence
        Numbers of its records, dense over the capture.
    generation
        Which process received it, counted from 0; its steady clock tells nothing about that of another.
    clock_offset_ns
        What the last note of the clock in this segment says; None where none does.
    markets
        The market in this segment, by symbol in capitals: its measures and its regime.
    lost_bytes, is_damaged
        Behind the last whole record, where the process died: a torn tail, or else damage.
    last_ids
        Last id of every stream, up to the end of this segment, that is accounted for: received, or in a gap
        that was declared.
    previous_sha256
        Digest of the entry before this one, as it lies there; None for the first.
    """

    format_version: int = FORMAT_VERSION
    name: str
    file: str
    size_bytes: int
    sha256: str
    lines_bytes: int
    lines_sha256: str
    key_id: str | None
    first_sequence: int
    last_sequence: int
    records: int
    generation: int
    kinds: dict[str, int]
    streams: dict[str, StreamTally]
    gaps: tuple[DeclaredGap, ...]
    first_wall_ns: int
    last_wall_ns: int
    first_monotonic_ns: int
    last_monotonic_ns: int
    clock_offset_ns: int | None
    markets: dict[str, Market]
    lost_bytes: int
    is_damaged: bool
    last_ids: dict[str, int]
    previous_sha256: str | None


class PublishedEntry(msgspec.Struct, frozen=True):
    """An entry with the digest of its file."""

    entry: Entry
    sha256: str


def segment_name(first_wall_ns: int, last_wall_ns: int, first_sequence: int) -> str:
    """Name of a segment: its time range by the wall clock, and the number of its first record."""
    return f"{_stamp(first_wall_ns)}-{_stamp(last_wall_ns)}-{first_sequence:010d}"


def _stamp(wall_ns: int) -> str:
    seconds, rest_ns = divmod(wall_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{rest_ns // 1_000_000:03d}Z"


def begin_capture(folder: Path, head: CaptureHead) -> CaptureHead:
    """Make a capture folder, or find that it holds just this capture already; its head as it began.

    Raises
    ------
    OutputError
        When the folder holds another capture or anything else, or it can't be written.
    """
    try:
        if not (folder / HEAD).exists() and folder.is_dir():
            _refuse_others(folder)
        for path in (folder, folder / LOG, folder / SEGMENTS, folder / ENTRIES):
            make_folder(path)
        if not (folder / HEAD).exists():
            content = msgspec.json.format(msgspec.json.encode(head), indent=2)
            publish_bytes(folder / HEAD, content + b"\n")
            return head
    except OSError as error:
        raise unwritable(folder, error) from error
    begun = read_head(folder)
    found, expected = _compared(begun, head)
    if found != expected:
        raise OutputError(
            "holds another capture",
            file=folder,
            found=found,
            expected=expected,
            remedy="Go on with the same symbols, streams and encryption, or choose another --out",
        )
    return begun


def _refuse_others(folder: Path) -> None:
    """Refuse a folder with anything in it that no capture began."""
    ours = {LOG, SEGMENTS, ENTRIES}
    others = sorted(
        path.name for path in folder.iterdir() if path.name not in ours and not path.name.startswith(".")
    )
    if others:
        raise OutputError(
            "is there already and no capture",
            file=folder,
            found=", ".join(others[:5]),
            remedy="Choose another --out",
        )


def _compared(begun: CaptureHead, head: CaptureHead) -> tuple[str, str]:
    """In words, the first thing in which two heads differ; another key is none."""
    told = [
        (", ".join(one) if isinstance(one, tuple) else str(one))
        for pair in (
            (begun.venue, head.venue),
            (begun.symbols, head.symbols),
            (begun.streams, head.streams),
        )
        for one in pair
    ]
    told += ["plain" if one.key_id is None else "encrypted" for one in (begun, head)]
    pairs = list(zip(told[::2], told[1::2], strict=True))
    return next(((found, due) for found, due in pairs if found != due), ("", ""))


def read_head(folder: Path) -> CaptureHead:
    """What a capture folder records.

    Raises
    ------
    DatasetError
        When it is none, or of another version.
    """
    try:
        head = msgspec.json.decode((folder / HEAD).read_bytes(), type=CaptureHead)
    except (OSError, msgspec.MsgspecError) as error:
        raise DatasetError(
            "is no capture (no readable capture.json)",
            file=folder,
            remedy="Give the folder that rlx capture run --out made",
        ) from error
    if head.format_version != FORMAT_VERSION:
        raise DatasetError(
            "was captured by another version",
            file=folder,
            found=head.format_version,
            expected=FORMAT_VERSION,
        )
    return head


def is_capture(path: Path) -> bool:
    """Whether a path looks like a capture of ours."""
    return (path / HEAD).is_file()


def entry_paths(folder: Path) -> list[Path]:
    """The files of all entries, in the order of their records; other files are passed over."""
    found: list[tuple[int, Path]] = []
    entries = folder / ENTRIES
    for path in entries.iterdir() if entries.is_dir() else ():
        match = NAME.fullmatch(path.name.removesuffix(".json"))
        if match and path.name.endswith(".json"):
            found.append((int(match[1]), path))
    return [path for _, path in sorted(found)]


def read_entry(path: Path) -> PublishedEntry:
    """One entry, and the digest of its file.

    Raises
    ------
    SourceError
        When it can't be read or understood, or stands under another name than its own.
    """
    try:
        content = path.read_bytes()
        entry = msgspec.json.decode(content, type=Entry)
    except OSError as error:
        raise SourceError(f"can't be read ({system_reason(error)})", file=path) from error
    except msgspec.MsgspecError as error:
        raise SourceError("is no entry of a manifest", file=path, found=str(error)) from error
    files = {f"{SEGMENTS}/{entry.name}{suffix}" for suffix in (PLAIN_SUFFIX, SEALED_SUFFIX)}
    if f"{entry.name}.json" != path.name or entry.file not in files:
        raise SourceError("is the entry of another segment", file=path, found=entry.file)
    return PublishedEntry(entry, hashlib.sha256(content).hexdigest())


def newest_entry(folder: Path) -> PublishedEntry | None:
    """The entry of the last sealed segment; None if there is none."""
    paths = entry_paths(folder)
    return read_entry(paths[-1]) if paths else None


def publish_entry(folder: Path, entry: Entry, *, adopt: bool = False) -> PublishedEntry:
    """Publish an entry; from then on its segment counts, and its log may go. ``adopt`` as `publishing`."""
    content = msgspec.json.format(msgspec.json.encode(entry), indent=2) + b"\n"
    publish_bytes(folder / ENTRIES / f"{entry.name}.json", content, adopt=adopt)
    return PublishedEntry(entry, hashlib.sha256(content).hexdigest())


def chained(entries: Sequence[PublishedEntry], told_as: Path) -> list[Entry]:
    """Entries, in order, after a check that none between them is missing, doubled or changed.

    Raises
    ------
    SourceError
        At the first that does not follow the one before it.
    """
    for before, after in pairwise(entries):
        due = before.entry.last_sequence + 1
        if after.entry.first_sequence != due:
            raise SourceError(
                "a sealed segment is missing or doubled before this one",
                file=told_as / after.entry.file,
                found=f"record {after.entry.first_sequence}",
                expected=f"record {due}",
                remedy="Put the missing segment and its entry back",
            )
        if after.entry.previous_sha256 != before.sha256:
            raise SourceError(
                "the entry before this one is not the one that it was written behind",
                file=told_as / ENTRIES / f"{after.entry.name}.json",
                remedy="Restore the manifest from a copy",
            )
    return [published.entry for published in entries]
