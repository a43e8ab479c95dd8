"""Reports against golden beside a reconstruction: one of each batch that is committed, one of the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.fidelity.catalogue import missing_extra
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.child import Child
from rlx_datapipe.pipeline.fidelity_told import FORMATS, PROGRAM, Answer, Order, Part, decode_answer, encode
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.store.manifest import is_dataset

FOLDER = "fidelity"
"""Where the reports lie, below the dataset."""
WHOLE = "whole"


class GoldenWatch:
    """Reports on a dataset that is being written, one process at a time, beside the run.

    A report is of what was committed since the last one. While one is at work no other is begun: the next
    takes in all that came meanwhile. A process that takes longer than `Settings.report_s` is ended. What
    fails here is told, and never fails the run.

    Parameters
    ----------
    golden
        A dataset or a capture.
    dataset, settings
        What is written, and by which settings.
    key_file
        Keys of a golden capture that is encrypted.
    on_notice
        Told each verdict in a sentence.

    Raises
    ------
    OptionError, SourceError, DatasetError
        When golden can't be read, or the statistics are not installed; before anything is written.
    """

    def __init__(
        self,
        golden: Path,
        dataset: Path,
        settings: Settings,
        key_file: Path | None = None,
        on_notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        if find_spec("arch") is None:
            raise missing_extra()
        if is_dataset(golden):
            open_dataset(golden)
        else:
            find_sources([golden], settings, key_file=key_file)
        self._golden, self._dataset, self._settings = golden, dataset, settings
        self._key_file, self._on_notice = key_file, on_notice
        self._formats = FORMATS if find_spec("jinja2") else ("json",)
        self._instruments: tuple[Instrument, ...] = ()
        self._epochs: dict[tuple[str, str], int] = {}
        self._reported = 0
        self._since_ns: dict[tuple[str, str], int] = {}
        self._batches = 0
        self._keep: Path | None = None
        self._child: Child | None = None
        self._gives_up_at = 0.0
        self.told: list[dict[str, Any]] = []

    @contextmanager
    def over(
        self, instruments: Iterable[Instrument], on_progress: Callable[[Progress], None], *, is_live: bool
    ) -> Iterator[Callable[[Progress], None]]:
        """Watch over the writing of these chains; gives what is to be called with each progress.

        Only where it ``is_live`` there are reports of batches; whatever ends the run ends what is at work.
        """
        self._instruments = tuple(instruments)

        def look(progress: Progress) -> None:
            self._look(progress)
            on_progress(progress)

        with TemporaryDirectory(prefix="rlx-golden-", ignore_cleanup_errors=True) as keep:
            self._keep = Path(keep)
            try:
                yield look if is_live else on_progress
            finally:
                self._stop()

    def _look(self, progress: Progress) -> None:
        """Take in how a chain goes; begin a report when something was committed and none is at work."""
        self._epochs[progress.exchange, progress.symbol] = progress.epochs
        if self._child is not None:
            self._tend()
        elif sum(self._epochs.values()) > self._reported:
            self._reported = sum(self._epochs.values())
            self._batches += 1
            self._start(self._committed(), f"batch-{self._batches:06d}")

    def finish(self) -> list[dict[str, Any]]:
        """Wait for the report that is at work, then report on the whole; what all of them told."""
        self._wait()
        self._start(tuple(Part(one) for one in self._instruments), WHOLE)
        self._wait()
        return self.told

    def _stop(self) -> None:
        """End what is at work."""
        if self._child is not None:
            self._child.kill()
            self._child.close()
            self._child = None

    def _committed(self) -> tuple[Part, ...]:
        """Chains with commits, each from where its last report ended."""
        names = {(one.exchange, one.symbol): one for one in self._instruments}
        return tuple(
            Part(one, self._since_ns.get(name, 0)) for name, one in names.items() if self._epochs.get(name)
        )

    def _start(self, parts: tuple[Part, ...], name: str) -> None:
        order = Order(
            dataset=self._dataset.absolute(),
            golden=self._golden.absolute(),
            parts=parts,
            folder=self._dataset.absolute() / FOLDER,
            name=name,
            key_file=self._key_file and self._key_file.absolute(),
            keep=self._keep,
            formats=self._formats,
        )
        self._name = name
        self._child = Child(PROGRAM, encode(order))
        self._gives_up_at = time.monotonic() + self._settings.report_s

    def _wait(self) -> None:
        while self._child is not None:
            wait([self._child.told], 0.2)
            self._tend()

    def _tend(self) -> None:
        """Take in what the process told, if it has ended; end it when it takes too long."""
        child = self._child
        if child is None:
            return
        has_ended = child.has_ended()
        lines = child.lines()
        if not lines and not has_ended and time.monotonic() < self._gives_up_at:
            return
        if lines:
            answer = decode_answer(lines[0])
        elif has_ended:
            answer = Answer(problem=f"its process {child.how_it_ended()}")
        else:
            answer = Answer(problem=f"no report within {self._settings.report_s:,} s (report_s)")
        self._stop()
        self._take(answer)

    def _take(self, answer: Answer) -> None:
        if answer.problem:
            self.told.append({"name": self._name, "problem": answer.problem})
            self._on_notice(f"fidelity of {self._name}: no verdict, {answer.problem}")
        for one in answer.outcomes:
            self.told.append({"name": self._name, **msgspec.to_builtins(one)})
            score = "" if one.score is None else f", score {one.score:.3f}"
            said = f"{one.exchange} {one.symbol} {one.verdict}{score}: {one.reason} ({one.report})"
            self._on_notice(f"fidelity of {self._name}: {said}")
            if one.until_ns:
                self._since_ns[one.exchange, one.symbol] = one.until_ns
