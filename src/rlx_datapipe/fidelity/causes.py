"""Likely causes of a failure, from the pattern of what failed and what did not: each fault has its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rlx_datapipe.fidelity.decision import Standing, Verdict


@dataclass(frozen=True)
class Cause:
    """A fault, by what it moves and what it leaves alone.

    Parameters
    ----------
    name
        In a few words.
    told, remedy
        What may have happened, and what to try; whole sentences.
    moves
        Metrics that it moves: of those with a verdict all fail, and at least two do (or all there are).
    stays
        Metrics that it leaves alone: none of them fails.
    """

    name: str
    told: str
    remedy: str
    moves: frozenset[str]
    stays: frozenset[str]


def _cause(name: str, told: str, remedy: str, moves: str, stays: str) -> Cause:
    return Cause(name, told, remedy, frozenset(moves.split()), frozenset(stays.split()))


CAUSES = (
    _cause(
        "quantities scaled",
        "Quantities are in another unit, or were scaled or rounded on their way.",
        "Compare the quantity decimals of both sides (rlx inspect), and the vendor's unit.",
        "touch_depth trade_size",
        "spread_l1 trade_gaps returns_1s",
    ),
    _cause(
        "deep levels missing",
        "Deep levels are missing or stale: the snapshot was shallow, or the vendor cuts the book.",
        "Look at the depth of the snapshots (rlx assess); train on the levels that agree only.",
        "spread_l10 spread_l15 spread_l20",
        "spread_l1 trade_gaps",
    ),
    _cause(
        "sides flipped",
        "Buyer and seller are exchanged for some or all trades, or bid and ask for deltas.",
        "Check what the source says of the aggressor: for Binance, m = true means that the seller took.",
        "trade_sign_memory kyle_lambda",
        "trade_gaps trade_size spread_l1",
    ),
    _cause(
        "deltas lost",
        "Updates of the book are missing or applied to the wrong state, so that the best prices are stale.",
        "Run rlx validate DATASET --golden CAPTURE, which names each gap; reconstruct with --strategy full.",
        "touch_rms touch_exact",
        "trade_size trade_gaps",
    ),
    _cause(
        "book stuck",
        "The book stood still for a while and then went on: updates of that time came late, or never.",
        "Look at the quality rows of that time (rlx inspect), and for a silence of the recorder.",
        "touch_stuck",
        "touch_rms touch_exact spread_l1 trade_gaps",
    ),
    _cause(
        "times coarse or batched",
        "Times were rounded, or events come in batches that golden does not have.",
        "Compare the step of the stamps of both sides; use the exchange's time, not the receive time.",
        "quote_gaps trade_gaps trade_ties",
        "trade_size spread_l1 touch_depth",
    ),
    _cause(
        "trades lost or doubled",
        "Trades are missing or come twice.",
        "Run rlx validate DATASET: trade ids tell which; look for overlapping source files.",
        "trade_gaps trade_fano",
        "spread_l1 touch_depth trade_size",
    ),
    _cause(
        "clustering lost",
        "Values are right, their order in time is not: rows were shuffled, resampled or drawn anew.",
        "Sort by the exchange's time and ids before use; never shuffle within an episode.",
        "acf_squares trade_fano trade_sign_memory",
        "trade_size spread_l1 returns_1s",
    ),
    _cause(
        "tails clipped",
        "Extreme returns are missing: outliers were filtered or prices smoothed.",
        "Look for filters or resampling between the recording and the dataset.",
        "tail_ratio tail_index",
        "spread_l1 trade_gaps",
    ),
    _cause(
        "noise added",
        "The mid jumps back and forth more than golden's: noise was added, or two feeds were mixed.",
        "Check that one feed only goes into the dataset, and that no price was derived from rounded ones.",
        "acf_returns returns_1s",
        "trade_size trade_gaps",
    ),
)
_OTHER = Cause(
    "another market",
    "Nearly everything differs: another market, another regime, or another kind of recording.",
    "Check symbol, exchange and period of both sides; take golden from hours like those of the dataset.",
    frozenset(),
    frozenset(),
)
_SHARE_OF_ALL = 0.6


def likely_causes(verdicts: Mapping[str, Verdict]) -> list[Cause]:
    """Causes whose pattern fits, those that explain most failures first."""
    decided = {n: v for n, v in verdicts.items() if v.standing in (Standing.PASS, Standing.FAIL)}
    failed = {name for name, verdict in decided.items() if verdict.standing is Standing.FAIL}
    if len(decided) >= 5 and len(failed) >= _SHARE_OF_ALL * len(decided):
        return [_OTHER]
    fitting = [cause for cause in CAUSES if _fits(cause, failed, decided.keys() - failed)]
    return sorted(fitting, key=lambda cause: -len(cause.moves & failed))


def _fits(cause: Cause, failed: set[str], passed: set[str]) -> bool:
    moved = cause.moves & failed
    enough = min(2, len(cause.moves & (failed | passed)))
    return bool(moved) and len(moved) >= enough and not cause.moves & passed and not cause.stays & failed
