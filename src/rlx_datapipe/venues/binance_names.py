"""The symbol that each message of a batch names: of combined streams by a kernel, of others by looking."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.feed import Frames
from rlx_datapipe.venues.binance_probe import symbol_of

NAMELESS = -1
"""Number of the name of a message that names no symbol."""

_LOOK = -2
_NAMES_MAX = 4096
_HEAD = np.frombuffer(bytearray(b'{"stream":"'), dtype=np.uint8)
_QUOTE, _BANG, _AT = 34, 33, 64


@kernel
def _same(data, start, other, length):  # type: ignore[no-untyped-def]
    for at in range(length):  # noqa: SIM110 (generators do not compile)
        if data[start + at] != data[other + at]:
            return False
    return True


@kernel
def number_names(data, starts, stops, head, name_starts, name_stops, numbers):  # type: ignore[no-untyped-def]
    """Number the names of combined streams, each by the first place where it was seen.

    Parameters
    ----------
    data
        uint8 array of shape (b,).
    starts, stops
        int64 arrays of shape (n,): where each message lies.
    head
        uint8 array: what a combined stream begins with.
    name_starts, name_stops
        int64 arrays of shape (m,), filled from the start: where each name was first seen.
    numbers
        int64 array of shape (n,), filled: the number of its name, or -2 for a message to be looked at.

    Returns
    -------
    Names found; no more are told apart than there is room for.
    """
    known = 0
    for i in range(starts.shape[0]):
        numbers[i] = _LOOK
        start, stop = starts[i], stops[i]
        length = head.shape[0]
        if stop - start <= length:
            continue
        begin = start + length
        at = begin
        while at < stop and data[at] != _AT and data[at] != _QUOTE and data[at] != _BANG:
            at += 1
        if at in (begin, stop) or data[at] != _AT:
            continue
        is_framed = True
        for k in range(length):
            is_framed &= data[start + k] == head[k]
        if not is_framed:
            continue
        number = 0
        while number < known:
            other = name_starts[number]
            if name_stops[number] - other == at - begin and _same(data, begin, other, at - begin):
                break
            number += 1
        if number == known:
            if known == name_starts.shape[0]:
                continue
            name_starts[known], name_stops[known] = begin, at
            known += 1
        numbers[i] = number
    return known


def symbols_of(frames: Frames) -> tuple[list[bytes], Int64Array]:
    """The symbols that a batch names, as they are spelled there, and of each message the number of its own.

    NAMELESS, the last place of any list, for a message that names none.
    """
    spans = np.empty((2, _NAMES_MAX), dtype=np.int64)
    numbers = np.empty(len(frames), dtype=np.int64)
    known = number_names(frames.data, frames.starts, frames.stops, _HEAD, spans[0], spans[1], numbers)
    names = [frames.data[start:stop].tobytes() for start, stop in spans[:, :known].T.tolist()]
    known_names = {name: number for number, name in enumerate(names)}
    for index in np.flatnonzero(numbers == _LOOK).tolist():
        name = symbol_of(frames.payload(index))
        numbers[index] = known_names.setdefault(name, len(known_names)) if name else NAMELESS
    return list(known_names), numbers
