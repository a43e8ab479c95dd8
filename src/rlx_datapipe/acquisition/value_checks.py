"""Prices and sizes of a file: finite, positive, on their step; sides and ladders that are such."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.acquisition.blame import Blame, BoolArray
from rlx_datapipe.acquisition.columns import FloatArray, floats, mask
from rlx_datapipe.acquisition.step import StepCheck
from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.venues.crypto_lake import BOOK, DELTAS, LEVEL_NAMES, LEVELS, TRADES

RULE = "values"
_JUMP = 1.2
"""By how much a price may differ from the one before, as a factor, without a word being said of it."""
_CROSSED_SHARE = 0.001


class ValueCheck:
    """Every value of one table that is no time and no id, in one pass."""

    def __init__(self, table: str) -> None:
        self._table = table
        self.steps = {name: StepCheck(name) for name in ("price", "size")}
        self._last_price = np.nan
        self._low, self._high = np.inf, -np.inf
        self._crossed = self._locked = self._zeros = 0

    def observe(self, rows: pa.Table, first_row: int, blame: Blame) -> None:
        """Look at the next rows."""
        look = {TRADES: self._trades, DELTAS: self._deltas, BOOK: self._books}[self._table]
        if rows.num_rows:
            look(rows, first_row, blame)

    def _trades(self, rows: pa.Table, first_row: int, blame: Blame) -> None:
        side = rows["side"]
        known = mask(pc.or_(pc.equal(side, "buy"), pc.equal(side, "sell")))
        blame.rows(RULE, Severity.GATE, "side", "neither 'buy' nor 'sell'", ~known, first_row, _Lazy(side))
        price, good = self._number(rows, "price", first_row, blame, least_is_zero=False)
        self._number(rows, "amount", first_row, blame, least_is_zero=False)
        self._jumps(price, good, "price", first_row, blame)

    def _deltas(self, rows: pa.Table, first_row: int, blame: Blame) -> None:
        side = rows["side_is_bid"]
        if pa.types.is_boolean(side.type):
            absent = mask(pc.is_null(side))
            blame.rows(RULE, Severity.GATE, "side_is_bid", "no value", absent, first_row)
        else:
            known = mask(pc.or_(pc.equal(side, "bid"), pc.equal(side, "ask")))
            blame.rows(RULE, Severity.GATE, "side", "neither 'bid' nor 'ask'", ~known, first_row, _Lazy(side))
        price, good = self._number(rows, "price", first_row, blame, least_is_zero=False)
        self._range(price[good])
        size, _ = self._number(rows, "size", first_row, blame, least_is_zero=True)
        self._zeros += int((size == 0.0).sum())

    def _number(
        self, rows: pa.Table, name: str, first_row: int, blame: Blame, *, least_is_zero: bool
    ) -> tuple[FloatArray, BoolArray]:
        """A column of prices or sizes, and the mask of those that are what they should be."""
        values = floats(rows[name])
        absent = mask(pc.is_null(rows[name]))
        blame.rows(RULE, Severity.GATE, name, "no value", absent, first_row)
        infinite = ~absent & ~np.isfinite(values)
        blame.rows(RULE, Severity.GATE, name, "not a finite number", infinite, first_row, values)
        negative = np.isfinite(values) & np.signbit(values)
        blame.rows(RULE, Severity.GATE, name, "negative", negative, first_row, values)
        zero = (values == 0.0) & ~negative & (not least_is_zero)
        blame.rows(RULE, Severity.GATE, name, "zero", zero, first_row, values)
        good = np.isfinite(values) & ~negative & ~zero
        self.steps["price" if name == "price" else "size"].observe(values, good, name, first_row, blame)
        return values, good

    def _jumps(self, prices: FloatArray, good: BoolArray, name: str, first_row: int, blame: Blame) -> None:
        """Prices far from the one before."""
        at = np.flatnonzero(good)
        if not at.size:
            return
        kept = prices[at]
        self._range(kept)
        wrong = np.zeros(len(prices), dtype=np.bool_)
        with np.errstate(invalid="ignore", over="ignore"):
            ratio = kept / np.concatenate(([self._last_price], kept[:-1]))
            wrong[at[(ratio > _JUMP) | (ratio < 1 / _JUMP)]] = True
        self._last_price = float(kept[-1])
        reason = "more than a fifth away from the one before"
        blame.rows(RULE, Severity.WARN, name, reason, wrong, first_row, prices)

    def _range(self, prices: FloatArray) -> None:
        if prices.size:
            self._low = min(self._low, float(prices.min()))
            self._high = max(self._high, float(prices.max()))

    def _books(self, rows: pa.Table, first_row: int, blame: Blame) -> None:
        cells = np.stack([floats(rows[name]) for name in LEVEL_NAMES])
        levels = cells.reshape(2, LEVELS, 2, rows.num_rows)
        stands = ~(np.isnan(levels) | (levels == 0.0)).any(axis=2)
        for (side, level, what), name in zip(np.ndindex(2, LEVELS, 2), LEVEL_NAMES, strict=True):
            values: FloatArray = levels[side, level, what]
            there: BoolArray = stands[side, level]
            infinite = there & ~np.isfinite(values)
            blame.rows(RULE, Severity.GATE, name, "not a finite number", infinite, first_row, values)
            negative = there & np.signbit(values) & ~infinite
            blame.rows(RULE, Severity.GATE, name, "negative", negative, first_row, values)
        self._ladders(levels[:, :, 0], stands, first_row, blame)
        good = stands & np.isfinite(levels).all(axis=2) & (levels > 0.0).all(axis=2)
        for what, told in ((0, "price"), (1, "size")):
            kept = levels[:, :, what][good]
            here = np.broadcast_to(np.arange(rows.num_rows), good.shape)[good]
            self.steps[told].observe(
                kept, np.ones(len(kept), dtype=np.bool_), f"level {told}", first_row, blame, here
            )
        self._range(levels[:, :, 0][good])
        best = np.where(good[:, 0], levels[:, 0, 0], np.nan)
        with np.errstate(invalid="ignore"):
            self._crossed += int((best[0] > best[1]).sum())
            self._locked += int((best[0] == best[1]).sum())
        self._jumps(best[0], good[0, 0], "bid_0_price", first_row, blame)

    def _ladders(self, prices: FloatArray, stands: BoolArray, first_row: int, blame: Blame) -> None:
        """Levels without holes from the first on, bids falling and asks rising."""
        empty = ~np.logical_or.reduce(stands.reshape(-1, stands.shape[2]))
        blame.rows(RULE, Severity.GATE, "bid_0_price", "no level on either side", empty, first_row)
        for side, name in enumerate(("bid", "ask")):
            hole = np.logical_or.reduce(stands[side, 1:] & ~stands[side, :-1])
            reason = "no level before one that stands"
            blame.rows(RULE, Severity.GATE, f"{name} levels", reason, hole, first_row)
            with np.errstate(invalid="ignore"):
                step = np.diff(prices[side], axis=0) * (-1 if side == 0 else 1)
            wrong = (stands[side, 1:] & stands[side, :-1] & ~(step > 0.0)).any(axis=0)
            reason = "not behind the level before"
            blame.rows(RULE, Severity.GATE, f"{name} levels", reason, wrong, first_row)

    def conclude(self, rows: int) -> tuple[list[Finding], dict[str, Any]]:
        """What is to be said of all rows together, and the facts."""
        facts: dict[str, Any] = {}
        if self._low <= self._high:
            facts = {"lowest_price": self._low, "highest_price": self._high}
        findings = [finding for step in self.steps.values() for finding in step.conclude()]
        for name, step in self.steps.items():
            if step.decimals is not None:
                facts[f"{name}_decimals"] = step.decimals
        if self._table == DELTAS:
            facts["deletes"] = self._zeros
        for count, what in ((self._crossed, "crossed"), (self._locked, "locked")):
            if count:
                heavy = Severity.WARN if count > _CROSSED_SHARE * rows else Severity.NOTE
                told = f"the book is {what} in {count:,} of {rows:,} rows"
                findings.append(
                    Finding(rule=RULE, severity=heavy, message=told, measures={what: count, "rows": rows})
                )
        return findings, facts


class _Lazy:
    """The text of one row, which is looked up only where it is told, and cut."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column

    def __getitem__(self, at: int) -> str:
        return repr(str(self._column[at].as_py())[:40])
