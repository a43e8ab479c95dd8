"""Lines of a capture: every byte of a message comes back from its line."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.store.capture_lines import NO_ID, Said, line_of, packed, unpacked
from rlx_datapipe.store.frames import Record, RecordKind

LINE = re.compile(
    rb'\{"capture_ns":(-?\d+),"monotonic_ns":(-?\d+),"connection":(\d+),"stream":"([^"]*)","data":(.*)\}\n',
    re.DOTALL,
)


def line(kind: RecordKind, stream: str, content: bytes) -> bytes:
    said = Said(NO_ID, NO_ID, stream.encode(), content)
    return line_of(Record(0, kind, 5, 6, 7, b""), said)[0]


def message_of(written: bytes) -> bytes:
    """The message that a line was made from, by the plainest reading."""
    match = LINE.fullmatch(written)
    assert match is not None
    _, _, _, stream, data = match.groups()
    if stream == b"!raw":
        return base64.b64decode(json.loads(data))
    return b'{"stream":"%b","data":%b}' % (stream, data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
LETTERS = st.characters(min_codepoint=33, exclude_characters='"\\\x7f', exclude_categories=["Cs"])
NAMES = st.text(LETTERS, min_size=1, max_size=85).filter(lambda name: len(name.encode()) <= 256)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(NAMES.filter(lambda name: name != "!raw"), JSON, st.booleans())
def test_a_message_is_a_line_that_is_json_and_gives_it_back(name: str, data: Any, ascii_only: bool) -> None:
    content = json.dumps(data, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    message = b'{"stream":"%b","data":%b}' % (name.encode(), content)
    written = line(RecordKind.MESSAGE, name, message)
    assert written.count(b"\n") == 1
    assert list(json.loads(written)) == ["capture_ns", "monotonic_ns", "connection", "stream", "data"]
    assert message_of(written) == message


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.sampled_from(list(RecordKind)), st.binary(max_size=80))
@example(RecordKind.MESSAGE, b'{"stream":"s","data":}')
@example(RecordKind.MESSAGE, b'{"stream":"s","data":1')
@example(RecordKind.SNAPSHOT, b"1\n")
@example(RecordKind.SNAPSHOT, b'"\xed\xa0\x80"')
def test_whatever_comes_is_one_line_of_json_and_none_of_it_is_lost(kind: RecordKind, content: bytes) -> None:
    written = line(kind, "s", content)
    assert written.count(b"\n") == 1
    told = json.loads(written)
    if told["stream"] == "!raw":
        assert base64.b64decode(told["data"]) == content
    elif kind is RecordKind.MESSAGE:
        assert message_of(written) == content
    else:
        assert (
            written == b'{"capture_ns":5,"monotonic_ns":6,"connection":7,"stream":"s","data":%b}\n' % content
        )


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    NAMES.filter(lambda name: len(name.encode()) <= 256), st.binary(max_size=50), st.integers(-1, 2**63 - 1)
)
def test_what_is_packed_is_unpacked(name: str, content: bytes, last_id: int) -> None:
    assert unpacked(packed(name, content, -1, last_id)) == Said(-1, last_id, name.encode(), content)


@pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "a\nb", "x" * 257, "é" * 129])
def test_a_name_that_can_not_stand_in_a_line_is_refused(name: str) -> None:
    with pytest.raises(OutputError, match="is no name of a stream"):
        packed(name, b"")


def test_ids_that_64_bits_do_not_hold_are_none() -> None:
    """F31: they stay in the message as they are."""
    for ids in ((2**63, 2**63), (5, 2**70), (-(2**64), 0)):
        assert unpacked(packed("s", b"{}", *ids)) == Said(NO_ID, NO_ID, b"s", b"{}")
