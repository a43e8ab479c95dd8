"""Recordings of several symbols: each message goes to the chain of its symbol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlx_datapipe.core.feed import Frames, Reject
from rlx_datapipe.core.instrument import plain_symbol
from rlx_datapipe.venues import binance

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
    homes = {plain_symbol(symbol): symbol for symbol in held}
    shares = {
        name: Taken(Frames([], [], []), list(taken.rejects), taken.row, taken.consumed) for name in held
    }
    known: dict[bytes, str | None] = {}
    frames = taken.frames
    for row, received, payload in zip(frames.rows, frames.received, frames.payloads, strict=True):
        named = binance.symbol_of(payload)
        if named not in known:
            known[named] = homes.get(plain_symbol(named.decode("utf-8", "replace")))
        home = known[named]
        if not named and binance.is_snapshot(payload):
            for share in shares.values():
                share.rejects.append(Reject(file, row, _HOMELESS, raw=payload))
            continue
        for share in shares.values() if home is None else (shares[home],):
            share.frames.rows.append(row)
            share.frames.received.append(received)
            share.frames.payloads.append(payload)
    homeless = len(next(iter(shares.values())).rejects) - len(taken.rejects)
    for share in shares.values():
        share.elsewhere = len(frames.rows) - homeless - len(share.frames.rows)
        share.rejects.sort(key=lambda reject: reject.row)
    return shares
