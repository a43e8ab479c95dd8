"""Is a dataset like the market? Its symbols against those of a golden capture or dataset, a report each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rlx_datapipe.core.errors import OptionError, UnfinishedError
from rlx_datapipe.fidelity.catalogue import require_statistics, standard_registry
from rlx_datapipe.fidelity.reporter import FidelityReporter, Named
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.pipeline.fidelity_golden import golden_dataset, stranger, told
from rlx_datapipe.pipeline.fidelity_replayed import seen_in_replay
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
    golden: str | Path | Iterable[str | Path],
    *,
    metrics: Iterable[str] = (),
    symbols: Iterable[str] = (),
    window_ns: int | None = None,
    seed: int = 0,
    reporter: FidelityReporter | None = None,
    key_file: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> list[FidelityReport]:
    """Compare a dataset with golden, metric by metric: a report of each symbol, in its order.

    Parameters
    ----------
    dataset
        A dataset or its folder.
    golden
        The trusted side: a dataset, the folder of a capture, or recordings; what is no dataset yet becomes
        a temporary one.
    metrics
        Names of metrics; all if empty.
    symbols
        Only these, in any spelling; ``A=B`` holds A of the dataset against B of golden. By default all.
    window_ns
        Length of a window; by default the longest of which there are enough.
    seed
        The only source of chance.
    reporter
        Which metrics there are, and the bounds of the decision; the catalogue and installed plugins if None.
    key_file, on_progress, on_notice
        As in `reconstruct`, for a golden capture.

    Raises
    ------
    OptionError, SourceError, DatasetError
        With one sentence that says what to do.
    """
    require_statistics()
    reporter = reporter or FidelityReporter(standard_registry())
    names = [reporter.registry.get(name).name for name in metrics]
    if window_ns is not None and window_ns < 1:
        raise OptionError("a window has a length above 0", found=window_ns, remedy="Give one, such as 5m")
    asked = [tuple(one.split("=", 1)) for one in symbols]
    held = _opened(dataset, asked)
    ours = [held.manifest.chain(one[0]) for one in asked] or held.manifest.chains
    paths = [Path(golden)] if isinstance(golden, str | Path) else [Path(one) for one in golden]
    with golden_dataset(
        paths,
        held.manifest.settings,
        [chain.instrument for chain in ours],
        others=[one[1] for one in asked if len(one) > 1],
        key_file=key_file,
        on_progress=on_progress,
        on_notice=on_notice,
    ) as trusted:
        return [
            reported(
                reporter,
                Chain(held.path, chain.instrument),
                Chain(trusted.path, theirs.instrument),
                told(paths),
                names=names or None,
                window_ns=window_ns,
                seed=seed,
            )
            for chain, theirs in _pairs(held, trusted, asked, paths)
        ]


def _opened(dataset: Dataset | str | Path, asked: list[tuple[str, ...]]) -> Dataset:
    held = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    if not asked and held.manifest.unfinished:
        raise UnfinishedError(
            "is unfinished: its reconstruction was interrupted",
            file=held.path,
            missing=", ".join(held.manifest.unfinished),
            remedy=f"{GO_ON}, or compare a finished symbol alone (--symbols)",
        )
    return held


def reported(
    reporter: FidelityReporter,
    ours: Chain,
    theirs: Chain,
    golden: str,
    *,
    names: list[str] | None = None,
    **how: Any,
) -> FidelityReport:
    """The report of one chain against one of golden, by its name; ``how`` as in `fidelity_sides.compared`."""
    dataset = Named(readable(str(ours.dataset)), chain_digest(ours), seen_in_replay(ours))
    trusted = Named(golden, chain_digest(theirs), seen_in_replay(theirs))
    with ExitStack() as files:
        data, window_ns = compared(ours, theirs, files, **how)
        return reporter.report(data, names, dataset=dataset, golden=trusted, window_ns=window_ns)


def chain_digest(chain: Chain) -> str:
    """BLAKE3 over the logical rows of a chain, as its last commit says; empty where it is not finished."""
    exchange, symbol = chain.instrument.exchange, chain.instrument.symbol
    commits = read_commits(chain.dataset, exchange, symbol)
    if not commits or commits[-1].summary is None:
        return ""
    digests = commits[-1].summary["digests"]
    return combine({digest_name(table, exchange, symbol): one for table, one in digests.items()})


def _pairs(
    held: Dataset, golden: Dataset, asked: list[tuple[str, ...]], paths: list[Path]
) -> Iterator[tuple[ChainManifest, ChainManifest]]:
    """Chains of the dataset with those of golden that they are held against."""
    for ours, *theirs in asked:
        chain = held.manifest.chain(ours)
        yield chain, golden.manifest.chain(theirs[0]) if theirs else _same(golden, chain, paths)
    if not asked:
        shared = [chain for chain in held.manifest.chains if _of(golden, chain)]
        for chain in shared or held.manifest.chains[:1]:
            yield chain, _same(golden, chain, paths)


def _of(golden: Dataset, chain: ChainManifest) -> list[ChainManifest]:
    return [one for one in golden.manifest.chains if is_same_market(one.instrument, chain.instrument)]


def _same(golden: Dataset, chain: ChainManifest, paths: list[Path]) -> ChainManifest:
    """The chain of golden that is of the same market.

    Raises
    ------
    OptionError
        When there is none.
    """
    if found := _of(golden, chain):
        return found[0]
    raise stranger([one.instrument for one in golden.manifest.chains], paths, chain.instrument)
