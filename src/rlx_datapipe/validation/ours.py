"""The dataset's side of a comparison of distributions: filled from its events as they are read."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import Flag, Int64Array, Kind
from rlx_datapipe.core.state import State
from rlx_datapipe.validation.golden import Golden
from rlx_datapipe.validation.histograms import NAMES, Histograms
from rlx_datapipe.validation.reading import Stretch

_OF_TRADES = ("trade_quantity", "trade_interval_ns", "price_step", "second_return_ppb")


class Ours:
    """Histograms of the dataset, which several rules read."""

    def __init__(self) -> None:
        self._histograms = Histograms()
        self._aggregates = False
        self._last_id = -2

    def observe(self, stretch: Stretch) -> None:
        """Count the next events."""
        trades = np.flatnonzero(stretch.kind == Kind.TRADE)
        self._aggregates |= bool((stretch.flags[trades] & Flag.AGGREGATE).any())
        columns = (stretch.origin_time, stretch.price, stretch.quantity)
        self._histograms.add_trades(*(column[trades] for column in columns))
        deltas = np.flatnonzero(stretch.kind == Kind.BOOK_DELTA)
        if len(deltas):
            ids = stretch.update_id[deltas]
            starts = deltas[np.diff(ids, prepend=self._last_id) != 0]
            self._last_id = int(ids[-1])
            real = deltas[stretch.flags[deltas] & Flag.EMPTY_GROUP == 0]
            self._histograms.add_messages(stretch.origin_time[starts])
            self._histograms.add_levels(stretch.quantity[real])

    def beside(self, golden: Golden | None, name: str) -> tuple[Int64Array, Int64Array] | None:
        """Counts of both sides by name, int64 (BINS,) each; None where they would be of different things."""
        if golden is None or (name in _OF_TRADES and golden.aggregates != self._aggregates):
            return None
        at = NAMES.index(name)
        return self._histograms.finish()[at], golden.histograms[at]

    def state(self) -> State:
        """All that was counted."""
        state = State({"aggregates": self._aggregates, "last_id": self._last_id})
        state.put("histograms", self._histograms.state())
        return state

    def restore(self, state: State) -> None:
        """Go on from there.

        Raises
        ------
        ValueError
            When it is not one of these.
        """
        self._aggregates = bool(state.integer("aggregates"))
        self._last_id = state.integer("last_id")
        self._histograms.restore(state.part("histograms"))
