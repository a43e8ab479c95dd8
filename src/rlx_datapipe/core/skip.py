"""A stretch of input that is passed over by policy: its content ends every process that works on it."""

from __future__ import annotations

import msgspec


class Skip(msgspec.Struct, frozen=True):
    """Rows of one source file that make no events.

    ``file`` is the number of the file in its chain from 0, ``name`` its name; ``from_row`` to ``to_row``
    count from 1, both included; ``reason`` says why in words.
    """

    file: int
    name: str
    from_row: int
    to_row: int
    reason: str
