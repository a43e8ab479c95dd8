"""What is counted of a segment as it is sealed, for its entry in the manifest."""

from __future__ import annotations

import hashlib
from collections import Counter

import msgspec

from rlx_datapipe.capture.judging import MarketJudge
from rlx_datapipe.store.capture_lines import NO_ID, RAW, Said
from rlx_datapipe.store.capture_manifest import DeclaredGap, Entry, PublishedEntry, StreamTally
from rlx_datapipe.store.frames import Record, RecordKind
from rlx_datapipe.store.segment import SegmentReader


class _Note(msgspec.Struct):
    kind: str | None = None
    offset_ns: int | None = None


class SegmentTally:
    """Counts the records of one segment.

    Parameters
    ----------
    before
        The entry of the segment before this one; None if it is the first.
    judge
        Tells the market in it.
    """

    def __init__(self, before: PublishedEntry | None, judge: MarketJudge) -> None:
        self._before, self._judge = before, judge
        judge.begin()
        self._kinds: Counter[int] = Counter()
        self._streams: dict[bytes, list[int]] = {}
        self._last_ids = (
            {name.encode(): last for name, last in before.entry.last_ids.items()} if before else {}
        )
        self._gaps: list[DeclaredGap] = []
        self._first: Record | None = None
        self._last: Record | None = None
        self._offset_ns: int | None = None
        self._digest = hashlib.sha256()
        self._lines_bytes = 0

    def add(self, record: Record, said: Said, stream: bytes) -> None:
        """Count a record that stands under a stream."""
        self._judge.add(record, said)
        self._first = self._first or record
        self._last = record
        self._kinds[record.kind] += 1
        tally = self._streams.get(stream)
        if tally is None:
            tally = self._streams[stream] = [0, said.first_id, said.last_id]
        tally[0] += 1
        if said.last_id != NO_ID:
            if tally[1] == NO_ID:
                tally[1] = said.first_id
            tally[2] = said.last_id
            self._reach(said.stream, said.last_id)
        if record.kind in (RecordKind.GAP, RecordKind.NOTE) and stream != RAW:
            self._add_event(record.kind, said.content)

    def _reach(self, stream: bytes, last_id: int) -> None:
        """A message that came late, into a gap that was declared, does not lead back behind that."""
        self._last_ids[stream] = max(last_id, self._last_ids.get(stream, NO_ID))

    def _add_event(self, kind: RecordKind, content: bytes) -> None:
        try:
            if kind is RecordKind.GAP:
                gap = msgspec.json.decode(content, type=DeclaredGap)
                self._gaps.append(gap)
                if gap.stream is not None and gap.to_id is not None:
                    self._reach(gap.stream.encode(), gap.to_id)
                if gap.stream is not None and gap.reason == "reset":
                    self._last_ids.pop(gap.stream.encode(), None)
                return
            note = msgspec.json.decode(content, type=_Note)
        except msgspec.MsgspecError:
            # A gap in words that are not ours is a gap all the same.
            self._gaps += [DeclaredGap(reason="unreadable")] * (kind is RecordKind.GAP)
            return
        if note.kind == "clock" and note.offset_ns is not None:
            self._offset_ns = note.offset_ns

    def add_lines(self, lines: bytes) -> None:
        """Count the bytes of lines, in order."""
        self._digest.update(lines)
        self._lines_bytes += len(lines)

    @property
    def span_ns(self) -> tuple[int, int]:
        """Wall times of the first and the last record."""
        assert self._first is not None  # noqa: S101 (an empty segment is not sealed)
        assert self._last is not None  # noqa: S101
        return self._first.wall_ns, self._last.wall_ns

    def entry(self, name: str, file: str, reader: SegmentReader) -> Entry:
        """The entry of the segment, without size and digest of the file."""
        first, last = self._first, self._last
        assert first is not None  # noqa: S101 (an empty segment is not sealed)
        assert last is not None  # noqa: S101
        assert reader.header is not None  # noqa: S101
        seal = reader.end.seal if reader.end else None
        return Entry(
            name=name,
            file=file,
            size_bytes=0,
            sha256="",
            lines_bytes=self._lines_bytes,
            lines_sha256=self._digest.hexdigest(),
            key_id=None,
            first_sequence=first.sequence,
            last_sequence=last.sequence,
            records=sum(self._kinds.values()),
            generation=reader.header.generation,
            kinds={RecordKind(kind).name.lower(): self._kinds[kind] for kind in sorted(self._kinds)},
            streams={
                stream.decode(): StreamTally(count, *(None if each == NO_ID else each for each in ids))
                for stream, (count, *ids) in sorted(self._streams.items())
            },
            gaps=tuple(self._gaps),
            first_wall_ns=first.wall_ns,
            last_wall_ns=last.wall_ns,
            first_monotonic_ns=first.monotonic_ns,
            last_monotonic_ns=last.monotonic_ns,
            clock_offset_ns=self._offset_ns,
            markets=self._judge.told(first.wall_ns, last.wall_ns),
            lost_bytes=seal.lost_bytes if seal else 0,
            is_damaged=bool(seal and seal.is_damaged),
            last_ids={name.decode(): last for name, last in sorted(self._last_ids.items())},
            previous_sha256=self._before.sha256 if self._before else None,
        )
