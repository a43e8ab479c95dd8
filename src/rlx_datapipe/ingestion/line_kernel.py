"""Kernels on the lines of a recording: usual ones are framed, messages packed to be sent."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.compiled import kernel

TIME_FROM_NS = 1_483_228_800_000_000_000
TIME_TO_NS = 4_102_444_800_000_000_000
"""Receive times lie in the years 2017 to 2100."""

ROW, RECEIVED, START, STOP = range(4)
SPAN_FIELDS = 4
"""Rows of an array of framed lines: line number, receive time in ns, where the JSON starts and stops."""

_RETURN, _SPACE, _ZERO, _FOUR, _NINE, _BRACE = 13, 32, 48, 52, 57, 123
_NS_DIGITS, _US_DIGITS = 19, 16


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
def _received(data, start, stop):  # type: ignore[no-untyped-def]
    if stop - start > 0 and data[start] > _FOUR:
        # Beyond the year 2100, and maybe beyond int64.
        return 0
    if stop - start > _NS_DIGITS + 1 and data[start + _NS_DIGITS] == _SPACE:
        if data[start + _NS_DIGITS + 1] != _BRACE:
            return 0
        return _digits(data, start, start + _NS_DIGITS)
    if stop - start > _US_DIGITS + 1 and data[start + _US_DIGITS] == _SPACE:
        # A carriage return belongs to these no more than to the lines that are looked at one by one.
        if data[start + _US_DIGITS + 1] != _BRACE or data[stop - 1] == _RETURN:
            return 0
        return _digits(data, start, start + _US_DIGITS) * 1000
    return 0


@kernel
def frame_lines(data, newlines, start, line_bytes_max, may_be_text, spans):  # type: ignore[no-untyped-def]
    """Frame lines; any that is not quite usual is left with receive time 0, to be looked at by itself.

    Parameters
    ----------
    data
        uint8 array of shape (b,).
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
        if stop - start <= line_bytes_max:
            time = _received(data, start, stop)
            if not TIME_FROM_NS <= time < TIME_TO_NS or (may_be_text and not _is_ascii(data, start, stop)):
                time = 0
        spans[RECEIVED, i] = time
        spans[START, i] = start
        if time > 0:
            spans[START, i] += _US_DIGITS + 1 if data[start + _US_DIGITS] == _SPACE else _NS_DIGITS + 1
        spans[STOP, i] = stop
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
