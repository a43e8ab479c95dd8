"""Recordings of several symbols: each message goes to the chain of its symbol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlx_datapipe.core.feed import Frames, Reject
from rlx_datapipe.core.instrument import plain_symbol
from rlx_datapipe.venues import binance

_ALL, _NONE = -1, -2
_HOMELESS = "a snapshot without a symbol, in a recording of several symbols"


@dataclass(slots=True)
class Taken:
    """What one reading step took from a recording.

    ``row`` is the last row looked at, ``consumed`` the bytes of the file read to get there, ``elsewhere`` the
    messages that went to other chains.
    """

    frames: Frames
    rejects: list[Reject]
    row: int
    consumed: int
    elsewhere: int = 0


def share_out(taken: Taken, held: Sequence[str], file: str) -> dict[str, Taken]:
    """A step of a recording that holds these symbols, shared out among them.

    A message that names none of them goes to all, as does a line that could not be read: it may have been
    anyone's. So what a chain gets does not depend on which others are read. A snapshot that names no symbol
    is rejected for all: it would pass for the book of each.
    """
    homes = {plain_symbol(symbol): number for number, symbol in enumerate(held)}
    frames, rejects = taken.frames, list(taken.rejects)
    names, name_of = binance.symbols_of(frames)
    home_of_name = [homes.get(plain_symbol(name.decode("utf-8", "replace")), _ALL) for name in names]
    home_of = np.array([*home_of_name, _ALL], dtype=np.int64)[name_of]
    for index in np.flatnonzero(name_of == binance.NAMELESS).tolist():
        payload = frames.payload(index)
        if binance.is_snapshot(payload):
            home_of[index] = _NONE
            rejects.append(Reject(file, int(frames.rows[index]), _HOMELESS, raw=payload))
    rejects.sort(key=lambda reject: reject.row)
    count = len(frames) - int((home_of == _NONE).sum())
    shares = {}
    for number, name in enumerate(held):
        own = np.flatnonzero((home_of == number) | (home_of == _ALL))
        elsewhere = count - len(own)
        shares[name] = Taken(frames.take(own), list(rejects), taken.row, taken.consumed, elsewhere)
    return shares
