"""What the cells of a table in text may hold, as data that a venue declares and one kernel obeys."""

from __future__ import annotations

from enum import IntEnum


class Column(IntEnum):
    """What a column holds, and what is accepted in it."""

    NAME = 0
    """One of two words, each with its number; a name is the first and only one."""
    TIME_US = 1
    PRICE = 2
    QUANTITY = 3
    AMOUNT = 4
    """A quantity that can't be zero."""
    LEVEL_PRICE = 5
    """Of a level that may be absent: then it is empty."""
    LEVEL_AMOUNT = 6
    ID = 7
    """A whole number; anything else does not apply."""


Words = tuple[str, str]
"""The two words of a `Column.NAME`; the second is empty where there is but one."""
