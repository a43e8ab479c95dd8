"""Two chains as the sides of a comparison: one scale, one length of windows, paired where times coincide."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rlx_datapipe.core.instrument import same_symbol
from rlx_datapipe.fidelity.market import Comparison, MarketSide, Window, cut_windows
from rlx_datapipe.fidelity.reading import read_whole
from rlx_datapipe.fidelity.scales import common_scale
from rlx_datapipe.store.dataset import Dataset
from rlx_datapipe.store.manifest import ChainManifest

LENGTHS_S = (300, 120, 60, 30, 20, 10, 5, 2, 1)
"""Lengths of windows to choose from, the longest first of which there are enough."""
WINDOWS = 12
"""Enough: twelve windows are 66 pairs, and a floor needs 40."""
_NS = 1_000_000_000


def compared(
    held: Dataset,
    ours: ChainManifest,
    golden: Dataset,
    theirs: ChainManifest,
    window_ns: int | None,
    seed: int,
    files: ExitStack,
) -> tuple[Comparison, int]:
    """A comparison of two chains, and the length of its windows, ns.

    Both sides lie in files below the folder for temporary ones, mapped into memory, until ``files`` is
    closed: memory does not grow with them.

    Where the same market was recorded at the same time, the windows that both have are paired; elsewhere
    all windows of both are compared, as draws from two markets.

    Raises
    ------
    OptionError
        When a side has no events.
    """
    folder = Path(files.enter_context(TemporaryDirectory(prefix="rlx-fidelity-")))
    scales = common_scale(theirs.instrument, ours.instrument)
    wholes = [
        read_whole(dataset.path, chain.instrument, scale=scale, folder=folder / name)
        for dataset, chain, scale, name in (
            (golden, theirs, scales[0], "golden"),
            (held, ours, scales[1], "recon"),
        )
    ]
    golden_whole, recon_whole = (whole for whole, _ in wholes)
    is_same = _is_same_market(ours, theirs)
    start, end = (
        max(golden_whole.start_ns, recon_whole.start_ns),
        min(golden_whole.end_ns, recon_whole.end_ns),
    )
    is_paired = is_same and start < end
    span = end - start if is_paired else min(_length(golden_whole), _length(recon_whole))
    length = window_ns or chosen_length(span)
    sides = [
        MarketSide(name, whole.instrument, cut_windows(whole, length, gaps))
        for name, (whole, gaps) in zip(("golden", "recon"), wholes, strict=True)
    ]
    if is_paired:
        sides = _paired(*sides)
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


def _is_same_market(ours: ChainManifest, theirs: ChainManifest) -> bool:
    one, other = ours.instrument, theirs.instrument
    return one.exchange == other.exchange and same_symbol(one.symbol, other.symbol)


def _length(whole: Window) -> int:
    return whole.end_ns - whole.start_ns
