"""Lines of a sealed capture: one record each, its data byte for byte as it was received."""

from __future__ import annotations

import base64
import re
import struct
from functools import lru_cache
from typing import NamedTuple

import msgspec

from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.store.frames import Record, RecordKind

RAW = b"!raw"
"""Stream of what is no message as it should be: its data is a JSON string, in base64, of all its bytes."""

NO_ID = -1
_HEAD = struct.Struct("<qqH")
_HEAD_BYTES = _HEAD.size
_STREAM = re.compile(rb'[^"\\\x00-\x1f\x7f]{1,256}')
_JSON = msgspec.json.Decoder(msgspec.Raw)


class Said(NamedTuple):
    """What the payload of a log record holds: ids that it covers (`NO_ID` where none), stream and content."""

    first_id: int
    last_id: int
    stream: bytes
    content: bytes


def packed(stream: str, content: bytes, first_id: int = NO_ID, last_id: int = NO_ID) -> bytes:
    """The payload of a log record; ids that 64 bits don't hold are told in the message alone.

    Raises
    ------
    OutputError
        When the name of the stream can't stand in a line as it is.
    """
    name = _stream_bytes(stream)
    try:
        return _HEAD.pack(first_id, last_id, len(name)) + name + content
    except struct.error:
        return _HEAD.pack(NO_ID, NO_ID, len(name)) + name + content


@lru_cache(maxsize=8192)
def _stream_bytes(stream: str) -> bytes:
    name = stream.encode("utf-8", "replace")
    if not _STREAM.fullmatch(name):
        raise OutputError("is no name of a stream", found=ascii(stream[:80]))
    return name


def unpacked(payload: bytes) -> Said:
    """What `packed` put together."""
    first_id, last_id, length = _HEAD.unpack_from(payload)
    middle = _HEAD_BYTES + length
    return Said(first_id, last_id, payload[_HEAD_BYTES:middle], payload[middle:])


def line_of(record: Record, said: Said) -> tuple[bytes, bytes]:
    """The line of a record, newline and all, and the stream that it stands under.

    A message is taken out of the envelope of a combined stream; with its stream the line gives back every
    byte of it. What is not exactly that, or would not be one line of JSON, stands under `RAW`.
    """
    stream, data = said.stream, said.content
    if record.kind is RecordKind.MESSAGE:
        prefix = b'{"stream":"%b","data":' % stream
        is_whole = data.startswith(prefix) and data.endswith(b"}")
        data = data[len(prefix) : -1] if is_whole else b""
    if not _is_a_line_of_json(data):
        stream, data = RAW, b'"%b"' % base64.b64encode(said.content)
    return (
        b'{"capture_ns":%d,"monotonic_ns":%d,"connection":%d,"stream":"%b","data":%b}\n'
        % (record.wall_ns, record.monotonic_ns, record.connection, stream, data),
        stream,
    )


def _is_a_line_of_json(data: bytes) -> bool:
    if b"\n" in data or b"\r" in data:
        return False
    try:
        # The decoder passes over the bytes of strings.
        if not data.isascii():
            data.decode()
        _JSON.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True
