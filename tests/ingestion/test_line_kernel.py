"""Lines framed by the kernel are those that a plain reading finds, whatever the chunks and batches."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.ingestion import lines as module
from rlx_datapipe.ingestion.inflate import Inflated
from rlx_datapipe.ingestion.line_kernel import (
    RECEIVED,
    SPAN_FIELDS,
    START,
    STOP,
    TIME_FROM_NS,
    TIME_TO_NS,
    frame_lines,
    pack_spans,
)
from rlx_datapipe.ingestion.lines import read_frames

EXAMPLES = int(os.environ.get("RLX_VENUES_EXAMPLES", "200"))
NS = 1_723_161_253_937_085_768
LINE_BYTES_MAX = 150
LINES = [
    *(b'%d {"a":%d}' % (NS + step, step) for step in (0, 1, 40, 95, 100, 250)),
    b'%d {"a":1}' % (NS // 1000),
    b'%d {"a":1}\r' % NS,
    b'%d {"a":1}\r' % (NS // 1000),
    b'%d {"a":"\xc3\xa4"}' % NS,
    b'%d {"a":"\xff"}' % NS,
    b"%d [1]" % NS,
    b"%d {" % NS,
    b"%d " % NS,
    b"%d" % NS,
    b"%d {}" % (NS // 10),
    b"1483228799999999999 {}",
    b"1483228800000000000 {}",
    b"4102444799999999999 {}",
    b"4102444800000000000 {}",
    b"9999999999999999999 {}",
    b"1483228799999999 {}",
    b"1483228800000000 {}",
    b"4102444800000000 {}",
    b"172316125393708576x {}",
    b"x723161253937085768 {}",
    b"17231612539370857 {}",
    b"172316125393708\xb2 {}",
    b'{"capture_ns":%d,"stream":"btcusdt@trade","data":{"e":1}}' % NS,
    b'{"capture_ns":%d,"stream":"b","data":7}' % NS,
    b'{"capture_ns":%d,"monotonic_ns":81,"connection":3,"stream":"b@trade","data":{"e":1}}' % NS,
    b'{"capture_ns":%d,"connection":0,"stream":"!gap","data":{"e":1}}' % NS,
    b'{"capture_ns":%d,"monotonic_ns":07,"stream":"b","data":{}}' % NS,
    b'{"capture_ns":%d,"monotonic_ns":,"stream":"b","data":{}}' % NS,
    b'{"capture_ns":%d,"monotonic_ns":1,"stream":"b","data":{"stream":"c","data":{}}}' % NS,
    b'{"capture_ns":%d,"stream":"b","data":{}}\r' % NS,
    b'{"capture_ns":%d,"stream":"b\\u00e4","data":{}}' % NS,
    b'{"capture_ns":%d,"stream":"b","data":{}} ' % NS,
    b'{"capture_ns":%d,"stream":"b","data":{' % NS,
    b'{"capture_ns":%d,"stream":"b","data":{"a":"\xc3\xa4"}}' % NS,
    b'{"capture_ns":%d,"stream":"b","data":{}}' % (NS // 10),
    b'{"capture_ns":%d0,"stream":"b","data":{}}' % NS,
    b'{"capture_ns": %d, "stream": "b", "data": {}}' % NS,
    b'{"capture_ns":9999999999999999999,"stream":"b","data":{}}',
    b'{"capture_ns":172316125393708576x,"stream":"b","data":{}}',
    b"",
    b"\r",
    b"\0",
    b"x" * (LINE_BYTES_MAX + 1),
    *(b'%d {"a":"%s"}' % (NS, b"x" * (LINE_BYTES_MAX - 28 + more)) for more in range(5)),
    *(b'%d {"a":"%s"}\r' % (NS, b"x" * (LINE_BYTES_MAX - 28 + more)) for more in range(5)),
    b'%d {"a":"%s"}' % (NS, b"y" * 500),
]

OWN = re.compile(
    rb'\{"capture_ns":(\d{19})(?:,"monotonic_ns":(?:0|[1-9]\d*))?(?:,"connection":(?:0|[1-9]\d*))?'
    rb',("stream":"[^"\\]*","data":\{(?!"stream").*\})'
)
"""A usual line of our own capture."""

Told = list[tuple[list[tuple[int, int, bytes]], list[Reject]]]


def plainly(path: Path, batch_rows: int, span_ns: int) -> Told:
    """Batches read line by line: each line is looked at by itself."""
    reader = module._Reader(path, Inflated(path, None, 1), path.name, LINE_BYTES_MAX, 0)
    batches: Told = []
    frames: list[tuple[int, int, bytes]] = []
    rejects: list[Reject] = []
    *ended, last = path.read_bytes().split(b"\n")
    for row, line in enumerate([*ended, last] if last else ended, start=1):
        # A usual line is taken as it is; a return at its end belongs to its payload.
        stamp, _, payload = line.partition(b" ")
        if own := OWN.fullmatch(line):
            stamp, payload = own[1], b"{" + own[2]
        is_usual = len(stamp) == 19 and stamp.isdigit() and payload[:1] == b"{" and payload.isascii()
        in_range = is_usual and TIME_FROM_NS <= int(stamp) < TIME_TO_NS
        found = (int(stamp), payload) if in_range and len(line) <= LINE_BYTES_MAX else reader._look(line)
        if isinstance(found, str):
            rejects.append(Reject(path.name, row, found, raw=line[:LINE_BYTES_MAX]))
        elif found is not None:
            frames.append((row, *found))
            if len(frames) == batch_rows or found[0] - frames[0][1] >= span_ns:
                batches.append((frames, rejects))
                frames, rejects = [], []
    return [*batches, (frames, rejects)] if frames or rejects else batches


def read(path: Path, batch_rows: int, span_ns: int) -> Told:
    batches = read_frames(path, batch_rows, LINE_BYTES_MAX, span_ns=span_ns)
    return [
        (list(zip(frames.rows.tolist(), frames.received.tolist(), frames.payloads(), strict=True)), rejects)
        for frames, rejects, _ in batches
    ]


@given(
    st.lists(st.sampled_from(LINES), min_size=1, max_size=60),
    st.booleans(),
    st.integers(1, 12),
    st.sampled_from([1, 60, 100, 1 << 62]),
    st.sampled_from([1, 2, 7, 64, 300, 1 << 20]),
)
@settings(max_examples=EXAMPLES)
def test_frames_rejects_and_batches_are_those_of_a_plain_reading(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    ends: bool,
    batch_rows: int,
    span_ns: int,
    chunk: int,
) -> None:
    path = tmp_path_factory.mktemp("lines") / "recording"
    path.write_bytes(b"\n".join(lines) + b"\n" * ends)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_BYTES", chunk)
        try:
            found = read(path, batch_rows, span_ns)
        except SourceError:
            assert not path.read_bytes()
            return
    assert found == plainly(path, batch_rows, span_ns)


def test_batches_that_were_given_out_stay_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(b"\n".join(LINES * 40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_BYTES", 256)
        held = [frames for frames, _, _ in read_frames(path, 7, LINE_BYTES_MAX)]
    assert len({id(frames.data) for frames in held}) > 3, "several blocks"
    payloads = [payload for frames in held for payload in frames.payloads()]
    assert payloads == [payload for frames, _ in plainly(path, 7, 1 << 62) for *_, payload in frames]


def framed(lines: Sequence[bytes], *, may_be_text: bool = True) -> list[tuple[int, bytes]]:
    """Receive time and span of each line by the kernel alone, in an array without a byte to spare."""
    data = np.frombuffer(bytearray(b"\n".join(lines)), dtype=np.uint8)
    stops = np.cumsum([len(line) + 1 for line in lines], dtype=np.int64) - 1
    spans = np.zeros((SPAN_FIELDS, len(lines)), dtype=np.int64)
    frame_lines(data, stops, 0, LINE_BYTES_MAX, may_be_text, spans)
    times = spans[RECEIVED].tolist()
    places = zip(spans[START].tolist(), spans[STOP].tolist(), strict=True)
    return [(time, data[start:stop].tobytes()) for time, (start, stop) in zip(times, places, strict=True)]


@pytest.mark.parametrize("line", LINES)
def test_an_odd_line_is_left_whole_and_no_byte_behind_is_touched(line: bytes) -> None:
    [(time, span)] = framed([line])
    is_own = line.endswith(b"," + span[1:]) and OWN.fullmatch(line) is not None
    assert (time == 0 and span == line) or line.endswith(b" " + span) or is_own


def test_usual_lines_are_framed() -> None:
    assert framed([b"%d {1}" % NS, b"%d {2}" % (NS // 1000)]) == [(NS, b"{1}"), (NS // 1000 * 1000, b"{2}")]


def test_lines_of_our_own_capture_are_framed_where_they_lie() -> None:
    head = b'{"capture_ns":%d,"monotonic_ns":81234567890,"connection":3' % NS
    envelope = b'{"stream":"btcusdt@trade","data":{"e":"trade"}}'
    assert framed([head + b"," + envelope[1:]]) == [(NS, envelope)]
    assert framed([b'{"capture_ns":%d,' % NS + envelope[1:]]) == [(NS, envelope)]


def test_text_is_looked_for_where_there_may_be_some() -> None:
    line = b'%d {"\xc3\xa4"}' % NS
    assert [time for time, _ in framed([line])] == [0]
    assert [time for time, _ in framed([line], may_be_text=False)] == [NS]


@given(st.lists(st.tuples(st.binary(max_size=9), st.booleans()), max_size=9))
def test_messages_are_packed_one_behind_the_other(pieces: list[tuple[bytes, bool]]) -> None:
    data = np.frombuffer(bytearray(b"".join(piece for piece, _ in pieces)), dtype=np.uint8)
    stops = np.cumsum([0, *(len(piece) for piece, _ in pieces)], dtype=np.int64)
    wanted = np.flatnonzero([is_wanted for _, is_wanted in pieces])
    expected = b"".join(piece for piece, is_wanted in pieces if is_wanted)
    packed = np.empty(len(expected), dtype=np.uint8)
    pack_spans(data, stops[:-1][wanted], stops[1:][wanted], packed)
    assert packed.tobytes() == expected
