"""Validate a dataset against the capture that it came from, or another one of the same market."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError, UnfinishedError
from rlx_datapipe.core.instrument import same_symbol
from rlx_datapipe.ingestion.ingest import parsed_batches
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.dataset import GO_ON, Dataset, open_dataset
from rlx_datapipe.store.manifest import ChainManifest, hash_file
from rlx_datapipe.validation.golden import Golden, gather_golden
from rlx_datapipe.validation.result import ValidationReport
from rlx_datapipe.validation.validate import validate as check


def validate(
    dataset: Dataset | str | Path,
    symbol: str | None = None,
    *,
    golden: str | Path | Iterable[str | Path] = (),
    settings: Settings | None = None,
    key_file: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> ValidationReport:
    """Check a dataset by all rules.

    Parameters
    ----------
    dataset
        A dataset or its folder.
    symbol
        Only this one, in any spelling; all if None.
    golden
        Captures to compare with; without any, the dataset's own ``quotes`` judge its book.
    settings
        How the captures are read; those of the dataset if None.
    key_file
        Keys of captures that are encrypted.
    on_progress
        Called as the events are checked.

    Raises
    ------
    DatasetError, SourceError
        When something can't be read.
    UnfinishedError
        When a symbol of the dataset is not finished, and none is named.
    OptionError
        When the captures hold none of the dataset's symbols.
    """
    held = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    if symbol is None and held.manifest.unfinished:
        raise UnfinishedError(
            "is unfinished: its reconstruction was interrupted",
            file=held.path,
            missing=", ".join(held.manifest.unfinished),
            remedy=f"{GO_ON}, or check a finished symbol alone (--symbol)",
        )
    settings = settings or held.manifest.settings
    paths = [golden] if isinstance(golden, str | Path) else list(golden)
    chains = list(held.manifest.chains) if symbol is None else [held.manifest.chain(symbol)]
    wanted = _symbols(chains, paths)
    sources = find_sources(paths, settings, symbols=wanted, key_file=key_file) if paths else []
    _refuse_strangers(sources, chains)

    def golden_of(chain: ChainManifest) -> Golden | None:
        source = next((source for source in sources if _is_of(source, chain)), None)
        return None if source is None else _gather(source, chain, settings)

    def on_events(chain: ChainManifest, events: int) -> None:
        total = int(chain.summary["events"])
        instrument = chain.instrument
        on_progress(Progress(instrument.exchange, instrument.symbol, events, total, events))

    return check(held, symbol, golden_of, on_events)


def _symbols(chains: list[ChainManifest], paths: list[str | Path]) -> list[str]:
    """Symbols to choose from captures that mix several; of captures with one each, all are taken."""
    return [chain.instrument.symbol for chain in chains] if len(paths) == 1 and len(chains) > 1 else []


def _is_of(source: Source, chain: ChainManifest) -> bool:
    ours, theirs = chain.instrument, source.instrument
    return ours.exchange == theirs.exchange and same_symbol(ours.symbol, theirs.symbol)


def _refuse_strangers(sources: list[Source], chains: list[ChainManifest]) -> None:
    if strangers := [source for source in sources if not source.has_messages]:
        raise OptionError(
            "only a capture can be golden",
            found=strangers[0].format,
            expected="captures with bookTicker messages",
            remedy="Give the recording itself with --golden",
        )
    if sources and not any(_is_of(source, chain) for source in sources for chain in chains):
        raise OptionError(
            "the golden capture is of another market",
            found=", ".join(f"{s.instrument.exchange} {s.instrument.symbol}" for s in sources),
            expected=", ".join(f"{c.instrument.exchange} {c.instrument.symbol}" for c in chains),
        )


def _gather(source: Source, chain: ChainManifest, settings: Settings) -> Golden:
    """The capture, scaled as the dataset is."""
    scaled = dataclasses.replace(source, instrument=chain.instrument)
    digests = {file.sha256 for file in chain.files}
    return gather_golden(
        (parsed for parsed, _ in parsed_batches(scaled, settings)),
        _told_as(source),
        rule=source.rule,
        is_source={hash_file(path).sha256 for path in source.files} == digests,
    )


def _told_as(source: Source) -> str:
    """Names of the files; of a capture folder, whose segments are many and long of name, its own."""
    if source.capture is None:
        return ", ".join(path.name for path in source.files)
    count = len(source.files)
    return f"capture {source.capture.name}, {count:,} segment{'' if count == 1 else 's'}"
