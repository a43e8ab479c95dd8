"""Bytes of the protocol: text frames, combined envelopes, and times in microseconds."""

from __future__ import annotations

import re

_TEXT = 0x81
_ONE_BYTE_MAX, _TWO_BYTES_MAX = 125, 0xFFFF
_TIMES_MS = re.compile(rb'("[ET]"\s*:\s*)(\d{13})(?!\d)')
_TIMES_US = re.compile(rb'("[ET]"\s*:\s*)(\d{13})\d{3}(?!\d)')


def text_frame(payload: bytes) -> bytes:
    """One unmasked WebSocket text frame, as a server sends it."""
    size = len(payload)
    if size <= _ONE_BYTE_MAX:
        return bytes((_TEXT, size)) + payload
    if size <= _TWO_BYTES_MAX:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def combined(stream: str, data: bytes) -> bytes:
    """A message in the envelope of a combined stream; the bytes of ``data`` are not touched."""
    return b'{"stream":"%b","data":%b}' % (stream.encode(), data)


def in_microseconds(data: bytes) -> bytes:
    """A message with the times ``E`` and ``T`` in microseconds; what is in them already stays."""
    return _TIMES_MS.sub(rb"\g<1>\g<2>000", data)


def in_milliseconds(data: bytes) -> bytes:
    """A message with the times ``E`` and ``T`` in milliseconds; what is in them already stays."""
    return _TIMES_US.sub(rb"\1\2", data)
