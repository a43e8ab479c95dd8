"""State of the published best: crossed or locked books, and where trades print against it."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import NONE, Flag, Kind, Side
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.validation.reading import Stretch
from rlx_datapipe.validation.result import NAMED_MAX
from rlx_datapipe.validation.rule import Outcome, Rule, Subject, plural, share


class Crossed(Rule):
    """No state has its best bid above its best ask; recomputed from the columns, not only from flags."""

    name = "crossed"
    severity = Severity.GATE
    reference = "a matching engine leaves no crossed book behind"
    purpose = "The best bid is never above the best ask."
    remembers = ("groups", "crossed", "locked", "misflagged", "_named")

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.groups = self.crossed = self.locked = self.misflagged = 0
        self._named: list[int] = []

    def observe(self, stretch: Stretch) -> None:
        """Count states at the ends of book groups; compare the flags of all rows with their best prices."""
        bid, ask = stretch.best[0], stretch.best[2]
        whole = (bid != NONE) & (ask != NONE)
        crossed, locked = whole & (bid > ask), whole & (bid == ask)
        flags_agree = (crossed == stretch.has(Flag.CROSSED)) & (locked == stretch.has(Flag.LOCKED))
        self.misflagged += int((~flags_agree).sum())
        ends = (stretch.kind != Kind.TRADE) & stretch.has(Flag.GROUP_END) & whole
        self.groups += int(ends.sum())
        self.crossed += int((ends & crossed).sum())
        self.locked += int((ends & locked).sum())
        self._named += stretch.event_id[ends & crossed][: NAMED_MAX - len(self._named)].tolist()

    def conclude(self) -> Outcome:
        """Gate for any crossed state, or a flag that contradicts the prices."""
        intervals = len(self.subject.records.of("crossed"))
        measures = {
            "states": self.groups,
            "crossed": self.crossed,
            "locked": self.locked,
            "crossed_intervals": intervals,
            "locked_intervals": len(self.subject.records.of("locked")),
            "misflagged": self.misflagged,
        }
        findings = []
        if self.crossed or intervals:
            message = f"{plural(self.crossed, 'crossed state')} in {plural(intervals, 'recorded interval')}"
            findings.append(self.found(Severity.GATE, message, event_ids=self._named))
        if self.misflagged:
            message = f"flags of {plural(self.misflagged, 'event')} contradict the best prices"
            findings.append(self.found(Severity.GATE, message))
        if self.locked:
            findings.append(self.found(Severity.NOTE, plural(self.locked, "locked state")))
        headline = (
            f"{self.crossed:,} crossed and {self.locked:,} locked of {plural(self.groups, 'book state')}."
        )
        return Outcome(headline, measures, findings)


class TradesAtTouch(Rule):
    """Where market trades print against the best published before them; a note, for depth feeds lag."""

    name = "trades_at_touch"
    severity = Severity.NOTE
    reference = "depth is published every 100 ms on Binance spot, trades at once"
    purpose = "How many market trades print at or inside the published best."
    remembers = ("trades", "off_book", "judged", "at_best", "inside")

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.trades = self.off_book = self.judged = self.at_best = self.inside = 0

    def observe(self, stretch: Stretch) -> None:
        """Place each market trade that has a book."""
        market = (stretch.kind == Kind.TRADE) & ~stretch.has(Flag.NOT_MARKET)
        self.trades += int(market.sum())
        self.off_book += int((market & stretch.has(Flag.OFF_BOOK)).sum())
        bid, ask = stretch.best[0], stretch.best[2]
        judged = (
            market & ~stretch.has(Flag.BOOK_INVALID) & (bid != NONE) & (ask != NONE) & (stretch.side != NONE)
        )
        price, bought = stretch.price, stretch.side == Side.BID
        self.judged += int(judged.sum())
        self.at_best += int((judged & (price == np.where(bought, ask, bid))).sum())
        self.inside += int((judged & (price > bid) & (price < ask)).sum())

    def conclude(self) -> Outcome:
        """Shares only."""
        good = self.at_best + self.inside
        measures = {
            "trades": self.trades,
            "judged": self.judged,
            "at_best": self.at_best,
            "inside_spread": self.inside,
            "at_or_inside_share": share(good, self.judged),
            "off_book": self.off_book,
            "off_book_share": share(self.off_book, self.trades),
        }
        if not self.judged:
            return Outcome("No market trades under a valid book.", measures, skipped=True)
        headline = (
            f"{good / self.judged:.1%} of {plural(self.judged, 'market trade')} at or inside the best; "
            f"{self.off_book / self.trades:.1%} off the book. Depth is published later than "
            "trades: the others met a book that had moved on."
        )
        return Outcome(headline, measures, [self.found(Severity.NOTE, headline)])
