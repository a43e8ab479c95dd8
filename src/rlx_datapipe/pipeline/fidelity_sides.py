"""Two chains as the sides of a comparison: one scale, one length of windows, paired where times coincide."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rlx_datapipe.core.instrument import Instrument, same_symbol
from rlx_datapipe.fidelity.mapped import keep_derived
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window, cut_windows
from rlx_datapipe.fidelity.reading import read_whole
from rlx_datapipe.fidelity.scales import common_scale

LENGTHS_S = (300, 120, 60, 30, 20, 10, 5, 2, 1)
"""Lengths of windows to choose from, the longest first of which there are enough."""
WINDOWS = 12
"""Enough: twelve windows are 66 pairs, and a floor needs 40."""
_NS = 1_000_000_000


class Chain(NamedTuple):
    """A chain of a dataset, finished or not: its folder, and what it is."""

    dataset: Path
    instrument: Instrument


def compared(
    ours: Chain,
    golden: Chain,
    files: ExitStack,
    *,
    window_ns: int | None = None,
    seed: int = 0,
    since_ns: int = 0,
) -> tuple[Comparison, int]:
    """A comparison of two chains, and the length of its windows, ns.

    Where the same market was recorded at the same time, the windows that both have are paired; elsewhere
    all windows of both are compared, as draws from two markets.

    Parameters
    ----------
    ours, golden
        The chains.
    files
        Until it is closed both sides lie in files below the folder for temporary ones, mapped into memory:
        memory does not grow with them.
    window_ns
        Length of a window; chosen by `chosen_length` if None.
    seed
        As in `market.Comparison`.
    since_ns
        Windows that begin before it are left out.

    Raises
    ------
    OptionError
        When a side has no events.
    """
    folder = Path(files.enter_context(TemporaryDirectory(prefix="rlx-fidelity-")))
    chains = {"golden": golden, "recon": ours}
    scales = common_scale(golden.instrument, ours.instrument)
    wholes = [
        read_whole(
            chain.dataset,
            chain.instrument,
            scale=scale,
            folder=folder / name,
            since_ns=since_ns,
            ends_only=True,
        )
        for (name, chain), scale in zip(chains.items(), scales, strict=True)
    ]
    spans = [(max(whole.start_ns, since_ns), whole.end_ns) for whole, _ in wholes]
    start, end = max(span[0] for span in spans), min(span[1] for span in spans)
    is_paired = start < end and is_same_market(ours.instrument, golden.instrument)
    span = end - start if is_paired else min(last - first for first, last in spans)
    length = chosen_length(span) if window_ns is None else window_ns
    sides = [
        MarketSide(name, whole.instrument, _since(cut_windows(whole, length, gaps), since_ns))
        for name, (whole, gaps) in zip(chains, wholes, strict=True)
    ]
    if is_paired:
        sides = _paired(*sides)
    sides = [keep_derived(side, folder / side.name) for side in sides]
    return Comparison(sides[0], sides[1], is_paired=is_paired, seed=seed), length


def chosen_length(span_ns: int) -> int:
    """The longest window of which a span holds enough; the shortest, where it never does."""
    fitting = (length for length in LENGTHS_S if span_ns // (length * _NS) > WINDOWS)
    return next(fitting, LENGTHS_S[-1]) * _NS


def _paired(golden: MarketSide, recon: MarketSide) -> list[MarketSide]:
    """Both sides with the windows that both have."""
    starts = {w.start_ns for w in golden.windows} & {w.start_ns for w in recon.windows}
    kept = ([w for w in side.windows if w.start_ns in starts] for side in (golden, recon))
    return [replace(side, windows=windows) for side, windows in zip((golden, recon), kept, strict=True)]


def is_same_market(one: Instrument, other: Instrument) -> bool:
    """Whether two chains are of one symbol, in any spelling, on one exchange."""
    return one.exchange == other.exchange and same_symbol(one.symbol, other.symbol)


def _since(windows: list[Window], since_ns: int) -> list[Window]:
    return [window for window in windows if window.start_ns >= since_ns]
