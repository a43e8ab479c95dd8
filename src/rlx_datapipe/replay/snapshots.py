"""Snapshots that need more than a comparison: initialise, measure drift, resynchronise."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.book.engine import OrderBookEngine
from rlx_datapipe.book.quotes import Levels
from rlx_datapipe.core.event import NONE, Field, Int64Array, Side
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.core.state import State
from rlx_datapipe.replay.checks import bid_rows, levels_stop, stated_high, stated_low, widen_known
from rlx_datapipe.replay.control import NO_LIMIT, Word
from rlx_datapipe.replay.drift import Drift, measure_drift


class Statement:
    """The venue's own statement of the book: a snapshot, brought up to date by later deltas."""

    def __init__(self, events: Int64Array, start: int, stop: int) -> None:
        stop = int(levels_stop(events, start, stop))
        bids = int(bid_rows(events, start, stop))
        self.update_id = int(events[Field.UPDATE_ID, start])
        self.low = int(stated_low(events, start, bids))
        self.high = int(stated_high(events, stop, stop - start - bids))
        self._sides = [
            dict(zip(events[Field.PRICE, a:b].tolist(), events[Field.QUANTITY, a:b].tolist(), strict=True))
            for a, b in ((start, start + bids), (start + bids, stop))
        ]

    def state(self) -> State:
        """The statement as it stands, brought up to date."""
        names = zip(("bids", "asks"), self._sides, strict=True)
        return State(
            {"update_id": self.update_id, "low": self.low, "high": self.high},
            {name: np.array([*book.items()], dtype=np.int64).reshape(-1, 2) for name, book in names},
        )

    @classmethod
    def from_state(cls, state: State) -> Statement:
        """The statement that gave this state.

        Raises
        ------
        ValueError
            When the state is not one of a statement.
        """
        statement = cls.__new__(cls)
        statement.update_id = state.integer("update_id")
        statement.low, statement.high = state.integer("low"), state.integer("high")
        statement._sides = [dict(state.array(name, None, 2).tolist()) for name in ("bids", "asks")]
        return statement

    def apply(self, group: Int64Array) -> None:
        """Bring the statement to the update id of a delta group, int64 (FIELDS, n)."""
        rows = (Field.SIDE, Field.PRICE, Field.QUANTITY)
        for side, price, quantity in zip(*(group[row].tolist() for row in rows), strict=True):
            if price != NONE and self.covers(side, price):
                self._sides[side][price] = quantity

    def covers(self, side: int, price: int) -> bool:
        """Whether the statement knows this level: bids down to ``low``, asks up to ``high``."""
        return price >= self.low if side == Side.BID else price <= self.high

    def levels(self) -> Levels:
        """The stated levels, best first."""
        sides = []
        for side, book in enumerate(self._sides):
            held = sorted((price for price, quantity in book.items() if quantity), reverse=side == Side.BID)
            sides += [
                np.array(held, dtype=np.int64),
                np.array([book[price] for price in held], dtype=np.int64),
            ]
        return Levels(*sides)


def initialise(engine: OrderBookEngine, control: Int64Array, statement: Statement) -> None:
    """Replace the whole book by the statement."""
    engine.load_snapshot(*statement.levels())
    control[Word.KNOWN_LOW], control[Word.KNOWN_HIGH] = statement.low, statement.high


def resynchronise(engine: OrderBookEngine, control: Int64Array, statement: Statement) -> tuple[Drift, bool]:
    """Make the book equal to the statement where that covers it; the drift, and whether the book changed.

    Drift is measured where both know the book; what deltas built beyond that may have to change as well.
    """
    book, stated = engine.levels(), statement.levels()
    low, high = (
        max(statement.low, int(control[Word.KNOWN_LOW])),
        min(statement.high, int(control[Word.KNOWN_HIGH])),
    )
    drift = measure_drift(book, stated, low, high)
    changes = not measure_drift(book, stated, statement.low, statement.high).is_exact
    if changes:
        for side, ours, theirs in (
            (Side.BID, book.bid_prices, stated.bid_prices),
            (Side.ASK, book.ask_prices, stated.ask_prices),
        ):
            for price in np.setdiff1d(ours, theirs).tolist():
                if statement.covers(side, price):
                    engine.set_level(side, price, 0)
        engine.apply(np.full(len(stated.bid_prices), Side.BID), stated.bid_prices, stated.bid_quantities)
        engine.apply(np.full(len(stated.ask_prices), Side.ASK), stated.ask_prices, stated.ask_quantities)
    widen_known(control, statement.low, statement.high)
    return drift, changes


def drift_record(drift: Drift, event: int, time: int) -> Quality:
    """The quality record of one comparison."""
    share = drift.matched / drift.compared if drift.compared else 1.0
    return Quality(
        kind="drift",
        severity=Severity.NOTE if drift.is_exact else Severity.WARN,
        detail=f"{drift.matched} of {drift.compared} levels equal ({share:.2%}) in the known depth"
        + (f", {drift.learned} beyond it learned" if drift.learned else ""),
        from_event_id=event,
        to_event_id=event,
        from_time=time,
        to_time=time,
        measures={
            "levels_compared": drift.compared,
            "levels_matched": drift.matched,
            "levels_missing": drift.missing,
            "levels_extra": drift.extra,
            "best_price_rms_error": drift.best_price_rms_error,
            "depth_error": drift.depth_error,
            "low_price": drift.low if drift.low > 0 else NONE,
            "high_price": drift.high if drift.high < NO_LIMIT else NONE,
        },
    )
