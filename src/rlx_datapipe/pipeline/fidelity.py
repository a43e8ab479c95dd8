"""Is a dataset like the market? Its symbols against those of a golden capture or dataset, a report each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rlx_datapipe.core.errors import OptionError, UnfinishedError
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.fidelity.catalogue import require_statistics, standard_registry
from rlx_datapipe.fidelity.decision import DecisionSettings
from rlx_datapipe.fidelity.registry import MetricRegistry
from rlx_datapipe.fidelity.reporter import FidelityReporter, Named
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.fidelity.tiers import TierSettings
from rlx_datapipe.pipeline.fidelity_golden import golden_dataset
from rlx_datapipe.pipeline.fidelity_sides import Chain, compared, is_same_market
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.commits import read_commits
from rlx_datapipe.store.dataset import GO_ON, Dataset, open_dataset
from rlx_datapipe.store.digest import combine
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import ChainManifest
from rlx_datapipe.store.tables import digest_name


def fidelity(
    dataset: Dataset | str | Path,
    golden: str | Path,
    *,
    metrics: Iterable[str] = (),
    symbols: Iterable[str] = (),
    window_ns: int | None = None,
    seed: int = 0,
    decision: DecisionSettings | None = None,
    engine: TierSettings | None = None,
    registry: MetricRegistry | None = None,
    key_file: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> list[FidelityReport]:
    """Compare a dataset with golden, metric by metric: a report of each symbol, in the dataset's order.

    Parameters
    ----------
    dataset
        A dataset or its folder.
    golden
        The trusted side: a dataset, the folder of a capture, or a recording; what is no dataset yet becomes
        a temporary one.
    metrics
        Names of metrics; all if empty.
    symbols
        Only these, in any spelling. ``BTCUSDT=ETHUSDT`` holds the first, of the dataset, against the second,
        of golden. All that both have if empty.
    window_ns
        Length of a window; by default the longest of which there are enough.
    seed
        The only source of chance.
    decision, engine, registry
        Bounds of the decision, how metrics are run, and which there are; the catalogue and installed plugins
        if None.
    key_file
        Keys of a golden capture that is encrypted.
    on_progress, on_notice
        As in `reconstruct`: of golden as it is reconstructed.

    Raises
    ------
    OptionError
        For an unknown metric, golden of another market, or a missing extra.
    SourceError, DatasetError, UnfinishedError
        When a side can't be read.
    """
    require_statistics()
    known = registry or standard_registry()
    for name in metrics:
        known.get(name)
    held = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    if not symbols and held.manifest.unfinished:
        raise UnfinishedError(
            "is unfinished: its reconstruction was interrupted",
            file=held.path,
            missing=", ".join(held.manifest.unfinished),
            remedy=f"{GO_ON}, or compare a finished symbol alone (--symbols)",
        )
    reporter = FidelityReporter(known, engine or TierSettings(), decision or DecisionSettings())
    asked = [tuple(one.split("=", 1)) for one in symbols]
    with golden_dataset(
        Path(golden), held.manifest.settings, key_file=key_file, on_progress=on_progress, on_notice=on_notice
    ) as trusted:
        return [
            reported(
                reporter,
                Chain(held.path, ours.instrument),
                Chain(trusted.path, theirs.instrument),
                Named(readable(str(held.path)), chain_digest(held, ours)),
                Named(readable(str(golden)), chain_digest(trusted, theirs)),
                names=list(metrics) or None,
                window_ns=window_ns,
                seed=seed,
            )
            for ours, theirs in _pairs(held, trusted, asked, Path(golden))
        ]


def reported(
    reporter: FidelityReporter,
    ours: Chain,
    theirs: Chain,
    dataset: Named,
    golden: Named,
    *,
    names: list[str] | None = None,
    **how: Any,
) -> FidelityReport:
    """The report of one chain against one of golden; ``how`` as in `fidelity_sides.compared`."""
    with ExitStack() as files:
        data, window_ns = compared(ours, theirs, files, **how)
        return reporter.report(data, names, dataset=dataset, golden=golden, window_ns=window_ns)


def chain_digest(dataset: Dataset, chain: ChainManifest) -> str:
    """BLAKE3 over the logical rows of a chain, as its last commit says; empty where it has none."""
    exchange, symbol = chain.instrument.exchange, chain.instrument.symbol
    commits = read_commits(dataset.path, exchange, symbol)
    if not commits or commits[-1].summary is None:
        return ""
    digests = commits[-1].summary["digests"]
    return combine({digest_name(table, exchange, symbol): one for table, one in digests.items()})


def _pairs(
    held: Dataset, golden: Dataset, asked: list[tuple[str, ...]], named: Path
) -> Iterator[tuple[ChainManifest, ChainManifest]]:
    """Chains of the dataset with those of golden that they are held against."""
    if asked:
        for ours, *theirs in asked:
            chain = held.manifest.chain(ours)
            yield chain, golden.manifest.chain(theirs[0]) if theirs else _same(golden, chain, named)
        return
    shared = [chain for chain in held.manifest.chains if _of(golden, chain)]
    if not shared:
        raise stranger(golden, held.manifest.chains[0].instrument, named)
    for chain in shared:
        yield chain, _same(golden, chain, named)


def _of(golden: Dataset, chain: ChainManifest) -> list[ChainManifest]:
    return [one for one in golden.manifest.chains if is_same_market(one.instrument, chain.instrument)]


def _same(golden: Dataset, chain: ChainManifest, named: Path) -> ChainManifest:
    found = _of(golden, chain)
    if not found:
        raise stranger(golden, chain.instrument, named)
    return found[0]


def stranger(golden: Dataset, ours: Instrument, named: Path) -> OptionError:
    """The error for golden that has no such market."""
    theirs = [one.instrument for one in golden.manifest.chains]
    return OptionError(
        "golden is of another market",
        file=readable(str(named)),
        found=", ".join(f"{one.exchange} {one.symbol}" for one in theirs),
        expected=f"{ours.exchange} {ours.symbol}",
        remedy=f"To compare them all the same: --symbols {ours.symbol}={theirs[0].symbol}",
    )
