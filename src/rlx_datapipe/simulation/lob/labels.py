"""Labels of planted episodes: which orders were theirs."""

from __future__ import annotations

import msgspec
import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.lob.episodes import Planted
from rlx_datapipe.simulation.lob.layout import Action, Column

LabelRow = tuple[int, str, str, int, int, list[int], list[int], str]


class Labels:
    """Gathers the orders of each episode from the order events."""

    def __init__(self) -> None:
        self._rested: dict[int, list[int]] = {}
        self._took: dict[int, dict[int, None]] = {}

    def note(self, rows: Int64Array) -> None:
        """Take in order events, shape (n, COLUMNS)."""
        added = rows[(rows[:, Column.EPISODE] >= 0) & (rows[:, Column.ACTION] == Action.ADD)]
        for episode, order in added[:, [Column.EPISODE, Column.ORDER]].tolist():
            self._rested.setdefault(episode, []).append(order)
        taken = rows[(rows[:, Column.ACTOR] >= 0) & (rows[:, Column.TAKER] >= 0)]
        for episode, order in np.unique(taken[:, [Column.ACTOR, Column.TAKER]], axis=0).tolist():
            self._took.setdefault(episode, {})[order] = None

    def row(self, planted: Planted) -> LabelRow:
        """Number, kind, side, first and last moment (ns), resting orders, takers, parameters as JSON."""
        told = msgspec.to_builtins(planted.episode)
        return (
            planted.number,
            told["kind"],
            told["side"],
            planted.start_ns,
            planted.end_ns,
            self._rested.get(planted.number, []),
            list(self._took.get(planted.number, {})),
            msgspec.json.encode(told).decode(),
        )
