"""Snapshot equality: the rebuilt book against the venue's later snapshots, as the replay measured it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.validation.rule import Outcome, Rule, plural, share


class SnapshotEquality(Rule):
    """Each later snapshot equals the rebuilt book level by level, within the depth that it covers."""

    name = "snapshot_equality"
    severity = Severity.GATE
    reference = "quality records of kind drift and check"
    purpose = "Wherever the venue states its book again, the rebuilt book is the same."

    def conclude(self) -> Outcome:
        """Gate where a best price was wrong, warn where any level was."""
        drift = self.subject.records.of("drift")
        equal = self.subject.records.of("check").total("count")
        compared, matched = drift.total("levels_compared"), drift.total("levels_matched")
        exact = int(
            pc.sum(pc.equal(drift.measure("levels_compared"), drift.measure("levels_matched"))).as_py() or 0
        )
        price_error, depth_error = (
            _worst(drift.measure("best_price_rms_error")),
            _worst(drift.measure("depth_error")),
        )
        measures = {
            "snapshots": len(drift) + equal,
            "exact": exact + equal,
            "equal_in_passing": equal,
            "stale": self.subject.records.of("stale_check").total("count"),
            "levels_compared": compared,
            "levels_matched": matched,
            "levels_matched_share": share(matched, compared),
            "levels_missing": drift.total("levels_missing"),
            "levels_extra": drift.total("levels_extra"),
            "best_price_rms_error_max": price_error,
            "depth_error_max": depth_error,
            "band_low_price": _text(pc.min(drift.measure("low_price"))),
            "band_high_price": _text(pc.max(drift.measure("high_price"))),
        }
        snapshots = len(drift) + equal
        if not snapshots:
            return Outcome("No later snapshot to compare with.", measures, skipped=True)
        headline = f"{exact + equal:,} of {plural(snapshots, 'later snapshot')} equal the rebuilt book"
        headline += f"; where levels were counted, {matched:,} of {compared:,} matched." if compared else "."
        return Outcome(
            headline, measures, self._findings(snapshots - exact - equal, price_error, depth_error)
        )

    def _findings(self, inexact: int, price_error: float | None, depth_error: float | None) -> list[Finding]:
        if not inexact:
            return []
        errors = {"best_price_rms_error_max": price_error, "depth_error_max": depth_error}
        wrong_best = bool(price_error)
        what = "with a wrong best price" if wrong_best else "the best prices were right"
        return [
            self.found(
                Severity.GATE if wrong_best else Severity.WARN,
                f"{plural(inexact, 'snapshot')} not equal to the rebuilt book, {what}",
                **errors,
            )
        ]


def _worst(errors: pa.Array) -> float | None:
    """The largest error that is a number; None if there is none."""
    values = np.asarray(pc.fill_null(errors, np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
    values = values[~np.isnan(values)]
    return float(values.max()) if len(values) else None


def _text(price: pa.Scalar) -> str | None:
    value = price.as_py()
    return None if value is None else f"{value.normalize():f}"
