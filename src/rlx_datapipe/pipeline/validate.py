"""Validate a dataset against the capture that it came from, or another one of the same market."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError, OptionError, UnfinishedError
from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.core.instrument import same_symbol
from rlx_datapipe.core.state import State
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.parsed import ParsedBatches
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.overlap import overlap
from rlx_datapipe.pipeline.saved_validation import AGAIN, SavedValidation
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.commits import read_commits
from rlx_datapipe.store.dataset import GO_ON, Dataset, open_dataset
from rlx_datapipe.store.manifest import ChainManifest, hash_file
from rlx_datapipe.validation.golden import Golden, GoldenGatherer
from rlx_datapipe.validation.result import ValidationReport, combined
from rlx_datapipe.validation.validate import RULES, ChainValidation

SAVED_EVENTS = 4_000_000
"""Events, of both sides together, after which a validation saves where it is."""
_AHEAD = 2
"""Batches that wait between the thread that reads and the one that checks."""
_FORMAT = 1
"""Of the states; raised with each change of what a rule remembers."""
_GOLDEN, _BATCHES = "golden", "batches"


def validate(
    dataset: Dataset | str | Path,
    symbol: str | None = None,
    *,
    golden: str | Path | Iterable[str | Path] = (),
    settings: Settings | None = None,
    key_file: Path | None = None,
    resume: bool = False,
    saved_events: int = SAVED_EVENTS,
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
    resume
        Go on where the same validation was killed; from the beginning if it had saved nothing.
    saved_events
        After so many events its state is saved beside the dataset; the report is the same with any number.
    on_progress
        Called as the events are checked.

    Raises
    ------
    DatasetError, SourceError
        When something can't be read, or what was saved is of something else.
    UnfinishedError
        When a symbol of the dataset is not finished, and none is named.
    OptionError
        When the captures hold none of the dataset's symbols.
    OutputError
        When another validation of the dataset is to be resumed while it runs.
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
    job = _Job(held, sources, settings, max(1, saved_events), on_progress)
    return job.run(chains, resume=resume)


class _Job:
    """One validation: of each chain the golden side is condensed, then its events are walked through."""

    def __init__(
        self,
        dataset: Dataset,
        sources: list[Source],
        settings: Settings,
        saved_events: int,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._dataset, self._sources, self._settings = dataset, sources, settings
        self._saved_events, self._on_progress = saved_events, on_progress
        self._digests = {path: hash_file(path).sha256 for source in sources for path in source.files}
        self._done: list[ValidationReport] = []
        self._unsaved: State | None = None
        """What of the golden side is in no part yet."""

    def run(self, chains: list[ChainManifest], *, resume: bool) -> ValidationReport:
        """The report; what was saved is removed when it is there."""
        self._saved = SavedValidation(self._dataset.path, self._identity(chains))
        report = None
        try:
            states = self._resumed() if resume else {}
            for chain in chains[len(self._done) :]:
                self._done.append(self._check(chain, states))
                self._saved.drop_parts()
                states = {}
            report = combined(self._done)
            return report
        finally:
            self._saved.close(done=report is not None)

    def _identity(self, chains: list[ChainManifest]) -> dict[str, str]:
        """All that the report and the states depend on, by the name that a refusal gives it."""
        instruments = [chain.instrument for chain in chains]
        commits = [read_commits(self._dataset.path, one.exchange, one.symbol)[-1] for one in instruments]
        return {
            "dataset": _digest([commit.digest() for commit in commits]),
            "golden capture": _digest([*self._digests.values(), self._settings.digest()]),
            "version": _digest([WRITER, str(_FORMAT), *RULES]),
        }

    def _resumed(self) -> dict[str, State]:
        """The states that were saved; the chains that were done by then."""
        found = self._saved.resume()
        if found is None:
            return {}
        states, head = found
        with self._believed():
            self._done = msgspec.convert(head["done"], list[ValidationReport])
        return states

    @contextmanager
    def _believed(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            raise DatasetError(
                f"holds a state that nothing can go on from ({error})", file=self._saved.folder, remedy=AGAIN
            ) from error

    def _check(self, chain: ChainManifest, states: dict[str, State]) -> ValidationReport:
        source = next((source for source in self._sources if _is_of(source, chain)), None)
        golden, kept = (None, {}) if source is None else self._gather(source, chain, states)
        validation = ChainValidation(self._dataset, chain, golden)
        if "walk" in states:
            with self._believed():
                validation.restore(states)
        instrument, total = chain.instrument, int(chain.summary["events"])
        since = 0
        for count in validation.walk(lambda items: overlap(items, _AHEAD)):
            since += count
            if since >= self._saved_events:
                self._save({**kept, **validation.state()})
                since = 0
            done = validation.events
            self._on_progress(Progress(instrument.exchange, instrument.symbol, done, total, done))
        return validation.report()

    def _gather(
        self, source: Source, chain: ChainManifest, states: dict[str, State]
    ) -> tuple[Golden, dict[str, State]]:
        """The capture, scaled as the dataset is, and what must be saved beside its parts to have it again."""
        batches = ParsedBatches(dataclasses.replace(source, instrument=chain.instrument), self._settings)
        gatherer = GoldenGatherer()
        if _GOLDEN in states:
            with self._believed():
                gatherer.restore(states[_GOLDEN], self._saved.parts())
                if _BATCHES in states:
                    batches.restore(states[_BATCHES])
        if _GOLDEN not in states or _BATCHES in states:
            for batch, place in overlap(self._placed(batches), _AHEAD):
                gatherer.add(batch)
                if place is not None:
                    self._unsaved = gatherer.take_part()
                    self._save({_GOLDEN: gatherer.state(), _BATCHES: place})
        self._unsaved = gatherer.take_part()
        kept = {_GOLDEN: gatherer.state()}
        is_source = {self._digests[path] for path in source.files} == {file.sha256 for file in chain.files}
        return gatherer.golden(_told_as(source), rule=source.rule, is_source=is_source), kept

    def _placed(self, batches: ParsedBatches) -> Iterator[tuple[Parsed, State | None]]:
        """Batches, and where they go on whenever it is time to save that."""
        since = 0
        for batch, _ in batches:
            since += batch.events.shape[1] + batch.quotes.shape[1]
            is_due = since >= self._saved_events
            since = 0 if is_due else since
            yield batch, batches.state() if is_due else None

    def _save(self, states: dict[str, State]) -> None:
        if self._unsaved is not None:
            self._saved.add_part(self._unsaved)
            self._unsaved = None
        self._saved.save(states, {"done": msgspec.to_builtins(self._done)})


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


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


def _told_as(source: Source) -> str:
    """Names of the files; of a capture folder, whose segments are many and long of name, its own."""
    if source.capture is None:
        return ", ".join(path.name for path in source.files)
    count = len(source.files)
    return f"capture {source.capture.name}, {count:,} segment{'' if count == 1 else 's'}"
