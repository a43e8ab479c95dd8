"""Seeded updates of a full-depth book whose touch wanders, as plain columns: what benchmarks measure on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from rlx_datapipe.core.event import Int64Array

MID_TICKS: Final = 6_000_000
NEAR_TICKS: Final = 20
_NEAR_SHARE = 0.7
_DELETED_SHARE = 0.23
_NEARER_SHARE = 0.12
_STEP_SHARE = 0.15
_FIRST_LOTS = 100_000
_LOTS_MAX = 1_000_000
_CONTIGUOUS_SHARE = 2 / 3
_FAR_TICKS = 70_000
_FAR_GAP_TICKS = 400
_BLOCK_ROWS = 1 << 20


class Updates(NamedTuple):
    """Rows of depth messages, whole messages in order; each int64 of shape (n,).

    ``messages`` counts from 0; ``sides`` are 0 for bids and 1 for asks; prices count ticks and are above 0;
    a quantity of 0 lots removes the level.
    """

    messages: Int64Array
    sides: Int64Array
    prices: Int64Array
    quantities: Int64Array


@dataclass(frozen=True)
class UpdatesConfig:
    """One stream: the same config gives the same rows.

    Attributes
    ----------
    rows
        Rows behind the first message, which sets every level.
    levels
        Levels a side at first, of which about three quarters stay: two thirds at neighbouring ticks, the rest
        far out, beyond the window of the book.
    message_rows
        Rows of a message on average; their number is geometric.
    """

    seed: int = 7
    rows: int = 2_000_000
    levels: int = 2_700
    message_rows: float = 7.4


def updates(config: UpdatesConfig) -> Iterator[Updates]:
    """First the message that sets every level, then the rest in blocks of about a million rows.

    70 % of the rows lie within 20 ticks of the touch, 23 % remove a level, and at three messages in ten the
    mid has moved by a tick: the side that it has moved into loses that level in the message's first row, so
    that the book is never crossed. Memory is bounded by a block.
    """
    dice = np.random.default_rng(config.seed)
    near = np.arange(1, max(1, round(config.levels * _CONTIGUOUS_SHARE)) + 1)
    far = _FAR_TICKS + np.cumsum(dice.integers(1, _FAR_GAP_TICKS, config.levels - len(near)))
    offsets = np.concatenate([near, far])
    yield _opening(offsets)
    message, mid, left = 0, MID_TICKS, config.rows
    while left:
        rows = min(left, _BLOCK_ROWS)
        block, mid = _block(config, dice, offsets, message, mid, rows)
        message = int(block.messages[-1])
        left -= rows
        yield block


def _opening(offsets: Int64Array) -> Updates:
    """Every level of both sides, from the touch outwards."""
    levels = len(offsets)
    return Updates(
        np.zeros(2 * levels, dtype=np.int64),
        np.repeat(np.array([0, 1]), levels),
        np.concatenate([MID_TICKS - offsets, MID_TICKS + offsets]),
        np.full(2 * levels, _FIRST_LOTS),
    )


def _block(
    config: UpdatesConfig, dice: np.random.Generator, offsets: Int64Array, message: int, mid: int, rows: int
) -> tuple[Updates, int]:
    """Rows of the messages behind ``message``, and the mid after them."""
    begins = dice.random(rows) < 1 / config.message_rows
    begins[0] = True
    draw = dice.random(rows)
    step = np.where(draw < _STEP_SHARE, 1, np.where(draw < 2 * _STEP_SHARE, -1, 0)) * begins
    mids = mid + np.cumsum(step)
    near = np.minimum(dice.geometric(_NEARER_SHARE, rows), NEAR_TICKS)
    anywhere = offsets[dice.integers(0, len(offsets), rows)]
    offset = np.where(dice.random(rows) < _NEAR_SHARE, near, anywhere)
    sides = dice.integers(0, 2, rows)
    # Far levels keep their prices, or the book would grow with each tick that the mid moves.
    centre = np.where(offset >= _FAR_TICKS, MID_TICKS, mids)
    prices = centre + np.where(sides == 0, -offset, offset)
    lots = dice.integers(1, _LOTS_MAX, rows)
    lots[dice.random(rows) < _DELETED_SHARE] = 0
    moved = step != 0
    sides[moved] = step[moved] > 0
    prices[moved] = mids[moved]
    lots[moved] = 0
    return Updates(message + np.cumsum(begins), sides, prices, lots), int(mids[-1])
