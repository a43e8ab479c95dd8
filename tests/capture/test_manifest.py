"""What is counted of a segment, against the plainest count of its lines."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.capture.scripted import BEGIN_NS, SMALL, recorder

from rlx_datapipe.capture.arrival import NO_ID, Arrival
from rlx_datapipe.capture.limits import RecorderLimits
from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.store.capture_files import CaptureFolder
from rlx_datapipe.store.capture_manifest import Entry, StreamTally
from rlx_datapipe.store.frames import RecordKind

STREAMS = ("a@trade", "b@depth", "c@bookTicker")
ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from([RecordKind.MESSAGE, RecordKind.MESSAGE, RecordKind.SNAPSHOT, RecordKind.NOTE]),
        st.sampled_from(STREAMS),
        st.integers(NO_ID, 50),
        st.integers(0, 5),
        st.integers(-(10**12), 10**12),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


def arrival(
    kind: RecordKind, stream: str, first_id: int, width: int, drift_ns: int, is_sound: bool
) -> Arrival:
    data = b'{"x":"%b"}' % (b"y" * 60) if is_sound else b'{"x":'
    payload = b'{"stream":"%b","data":%b}' % (stream.encode(), data) if kind is RecordKind.MESSAGE else data
    last_id = first_id + width if first_id != NO_ID else NO_ID
    return Arrival(kind, 1, stream, payload, BEGIN_NS + drift_ns, drift_ns, first_id, last_id)


def twin(arrivals: list[Arrival], sound: list[bool]) -> tuple[dict[str, StreamTally], dict[str, int]]:
    """Tallies by stream, and the last ids."""
    tallies: dict[str, list[int | None]] = {}
    last: dict[str, int] = {}
    for one, is_sound in zip(arrivals, sound, strict=True):
        tally = tallies.setdefault(one.stream if is_sound else "!raw", [0, None, None])
        tally[0] = (tally[0] or 0) + 1
        if one.last_id != NO_ID:
            tally[1] = one.first_id if tally[1] is None else tally[1]
            tally[2] = one.last_id
            last[one.stream] = max(one.last_id, last.get(one.stream, NO_ID))
    return {name: StreamTally(n or 0, a, b) for name, (n, a, b) in tallies.items()}, last


@settings(max_examples=60, derandomize=True, deadline=None)
@given(ARRIVALS)
def test_each_entry_is_the_plain_count_of_its_segment(
    drawn: list[tuple[RecordKind, str, int, int, int, bool]],
) -> None:
    arrivals, sound = [arrival(*one) for one in drawn], [one[-1] for one in drawn]
    with TemporaryDirectory() as folder:
        into = recorder(Path(folder) / "c", limits=SMALL)
        for one in arrivals:
            into.record(one)
            into.tick_now()
        into.close()
        reader = CaptureFolder(Path(folder) / "c")
        due, ids = 0, dict[str, int]()
        for file in reader.files():
            entry, content = file.entry, b"".join(reader.lines(file))
            assert isinstance(entry, Entry)
            some = arrivals[due : due + entry.records]
            tallies, last = twin(some, sound[due : due + entry.records])
            ids = {name: max(last.get(name, NO_ID), ids.get(name, NO_ID)) for name in last | ids}
            assert (entry.streams, entry.last_ids) == (tallies, ids)
            assert entry.kinds == Counter(one.kind.name.lower() for one in some)
            assert (entry.first_sequence, entry.last_sequence) == (due, due + len(some) - 1)
            assert (entry.first_wall_ns, entry.last_wall_ns) == (some[0].wall_ns, some[-1].wall_ns)
            assert (entry.first_monotonic_ns, entry.last_monotonic_ns) == (
                some[0].monotonic_ns,
                some[-1].monotonic_ns,
            )
            assert entry.lines_sha256 == hashlib.sha256(content).hexdigest()
            assert content.count(b"\n") == len(some)
            due += len(some)
        assert due == len(arrivals)


def test_the_last_ids_are_the_highest_until_the_venue_counts_anew(tmp_path: Path) -> None:
    into = recorder(tmp_path / "c", limits=RecorderLimits(rotate_bytes=1, ballast_bytes=0, resume_bytes=0))
    gap = b'{"stream":"a@trade","from_id":8,"to_id":%d,"reason":"missing"}'
    for kind, payload, first_id in (
        (RecordKind.MESSAGE, b'{"stream":"a@trade","data":{}}', 7),
        (RecordKind.GAP, gap % 20, NO_ID),
        (RecordKind.MESSAGE, b'{"stream":"a@trade","data":{}}', 9),  # late
        (RecordKind.GAP, b'{"stream":"a@trade","from_id":null,"to_id":null,"reason":"reset"}', NO_ID),
        (RecordKind.MESSAGE, b'{"stream":"a@trade","data":{}}', 3),
    ):
        stream = "a@trade" if kind is RecordKind.MESSAGE else "!gap"
        into.record(Arrival(kind, 1, stream, payload, BEGIN_NS, 0, first_id, first_id))
        into.tick_now()
    into.close()
    last = [
        file.entry.last_ids.get("a@trade") for file in CaptureFolder(tmp_path / "c").files() if file.entry
    ]
    assert set(last) <= {7, 20, None, 3}
    assert (last[-1], 20 in last) == (3, True)


def test_a_folder_with_anything_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match=r"is there already and no capture \(found thesis.tex\)"):
        recorder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
