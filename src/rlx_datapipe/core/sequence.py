"""The sequence rule of a depth feed, as data that a venue declares and every reader obeys."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Link(IntEnum):
    """How a depth message names its predecessor."""

    FIRST_ID = 0
    """The message's first id follows the last id applied (Binance spot: ``U == u + 1``)."""
    PREVIOUS_ID = 1
    """The message repeats the last id of its predecessor (Binance futures: ``pu == u``)."""
    UNPROVABLE = 2
    """Only the last id is known (Crypto Lake): a regress is seen, a missing message is not."""
    INFERRED = 3
    """There are no messages: what stands in their place was inferred, and no venue gave it an id."""


class SequenceRule(msgspec.Struct, frozen=True):
    """When a delta may follow a snapshot, and when a delta may follow a delta.

    Attributes
    ----------
    link
        How continuity is proven.
    keeps_equal
        Whether a delta whose last id equals the snapshot's id is applied (futures drop ``u < L``, spot drops
        ``u <= L``).
    source
        Where the rule is published.
    """

    link: Link
    keeps_equal: bool
    source: str
