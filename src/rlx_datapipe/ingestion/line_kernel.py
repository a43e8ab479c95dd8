"""Kernels on the lines of a recording: usual ones are framed, messages packed to be sent."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.feed import Bytes

TIME_FROM_NS = 1_483_228_800_000_000_000
TIME_TO_NS = 4_102_444_800_000_000_000
"""Receive times lie in the years 2017 to 2100."""

ROW, RECEIVED, START, STOP = range(4)
SPAN_FIELDS = 4
"""Rows of an array of framed lines: line number, receive time in ns, where the JSON starts and stops."""

_RETURN, _SPACE, _QUOTE, _ZERO, _FOUR, _NINE = 13, 32, 34, 48, 52, 57
_BACKSLASH, _BRACE, _BRACE_END = 92, 123, 125
_NS_DIGITS, _US_DIGITS = 19, 16


def _word(text: str) -> Bytes:
    return np.frombuffer(text.encode(), dtype=np.uint8).copy()


_CAPTURED = _word('{"capture_ns":')
_MONOTONIC, _CONNECTION = _word(',"monotonic_ns":'), _word(',"connection":')
_STREAM, _DATA, _COMBINED = _word(',"stream":"'), _word('","data":{'), _word('"stream"')


@kernel
def _digits(data, start, stop):  # type: ignore[no-untyped-def]
    value = np.int64(0)
    for at in range(start, stop):
        character = data[at]
        if character < _ZERO or character > _NINE:
            return np.int64(0)
        value = value * 10 + np.int64(character - _ZERO)
    return value


@kernel
def _is_ascii(data, start, stop):  # type: ignore[no-untyped-def]
    for at in range(start, stop):  # noqa: SIM110 (generators do not compile)
        if data[at] > 127:
            return False
    return True


@kernel
def _is_at(data, at, stop, word):  # type: ignore[no-untyped-def]
    if at + word.shape[0] > stop:
        return False
    for k in range(word.shape[0]):  # noqa: SIM110 (generators do not compile)
        if data[at + k] != word[k]:
            return False
    return True


@kernel
def _behind_number(data, at, stop, word):  # type: ignore[no-untyped-def]
    """Where a word and a number behind it end; where the word should stand if they are not both there."""
    if not _is_at(data, at, stop, word):
        return at
    begin = at + word.shape[0]
    end = begin
    while end < stop and _ZERO <= data[end] <= _NINE:
        end += 1
    return end if end == begin + 1 or (end > begin and data[begin] > _ZERO) else at


@kernel
def _envelope(data, start, stop):  # type: ignore[no-untyped-def]
    """Where the comma before ``"stream"`` stands in a line of our own capture; 0 in any other."""
    at = start + _CAPTURED.shape[0] + _NS_DIGITS
    if at >= stop or data[stop - 1] != _BRACE_END or not _is_at(data, start, stop, _CAPTURED):
        return 0
    at = _behind_number(data, at, stop, _MONOTONIC)
    at = _behind_number(data, at, stop, _CONNECTION)
    if not _is_at(data, at, stop, _STREAM):
        return 0
    end = at + _STREAM.shape[0]
    while end < stop and data[end] != _QUOTE and data[end] != _BACKSLASH:
        end += 1
    # A message that has kept its envelope has two of them.
    if not _is_at(data, end, stop, _DATA) or _is_at(data, end + _DATA.shape[0], stop, _COMBINED):
        return 0
    return at


@kernel
def _message(data, start, stop):  # type: ignore[no-untyped-def]
    """Where the JSON of a usual line starts, or would if its brace stood there; 0 in any other."""
    if stop > start and data[start] == _BRACE:
        return _envelope(data, start, stop)
    at = start + _NS_DIGITS
    if at + 1 < stop and data[at] == _SPACE and data[at + 1] == _BRACE:
        return at + 1
    at = start + _US_DIGITS
    # A carriage return belongs to these no more than to the lines that are looked at one by one.
    if at + 1 < stop and data[at] == _SPACE and data[at + 1] == _BRACE and data[stop - 1] != _RETURN:
        return at + 1
    return 0


@kernel
def _received(data, start, message):  # type: ignore[no-untyped-def]
    at = start + _CAPTURED.shape[0] if data[start] == _BRACE else start
    if data[at] > _FOUR:
        # Beyond the year 2100, and maybe beyond int64.
        return 0
    if message == start + _US_DIGITS + 1:
        return _digits(data, at, at + _US_DIGITS) * 1000
    return _digits(data, at, at + _NS_DIGITS)


@kernel
def frame_lines(data, newlines, start, line_bytes_max, may_be_text, spans):  # type: ignore[no-untyped-def]
    """Frame lines; any that is not quite usual is left with receive time 0, to be looked at by itself.

    In a line of our own capture, what follows the times and the connection is the envelope of a combined
    stream but for its first brace, which is put in the place of the comma.

    Parameters
    ----------
    data
        uint8 array of shape (b,); changed in lines of our own capture.
    newlines
        int64 array of shape (n,): where each line stops.
    start
        Where the first one starts.
    line_bytes_max
        Longest line that is usual.
    may_be_text
        Whether some byte of ``data`` may be other than ASCII, so that each line has to be searched for it.
    spans
        int64 array of shape (SPAN_FIELDS, n), filled but for ROW; of an odd line START is that of the line.
    """
    for i in range(newlines.shape[0]):
        stop = newlines[i]
        time = 0
        message = _message(data, start, stop) if stop - start <= line_bytes_max else 0
        if message > 0:
            time = _received(data, start, message)
            if not TIME_FROM_NS <= time < TIME_TO_NS or (may_be_text and not _is_ascii(data, start, stop)):
                time = 0
        spans[RECEIVED, i] = time
        spans[START, i] = message if time > 0 else start
        spans[STOP, i] = stop
        if time > 0:
            data[message] = _BRACE
        start = stop + 1


@kernel
def pack_spans(data, starts, stops, packed):  # type: ignore[no-untyped-def]
    """Copy the bytes of messages one behind the other.

    Parameters
    ----------
    data
        uint8 array of shape (b,).
    starts, stops
        int64 arrays of shape (n,): where each message lies.
    packed
        uint8 array, filled; as long as all messages together.
    """
    at = 0
    for i in range(starts.shape[0]):
        for place in range(starts[i], stops[i]):
            packed[at] = data[place]
            at += 1
