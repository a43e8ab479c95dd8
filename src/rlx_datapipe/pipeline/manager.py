"""ProcessManager: a process for each symbol, some at a time; one symbol's fault is no other's."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatapipeError, StoppedError
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.pipeline.child import WORKER
from rlx_datapipe.pipeline.job import Done
from rlx_datapipe.pipeline.router import SymbolRouter, share_evenly
from rlx_datapipe.pipeline.symbol_worker import SymbolWorker
from rlx_datapipe.pipeline.watching import Progress

_TICK_S = 0.2
STOPPING = "stopping: each symbol is brought to the end of its epoch; Ctrl-C again to end at once"


class ProcessManager:
    """Writes chains of one dataset by processes that are watched, restarted and stopped in good order.

    A source with a recording for itself is read by its worker; chains that share mixed recordings are fed by
    a router, as many at a time as there are workers, the groups evenly loaded. The heaviest begin.

    The first SIGINT or SIGTERM lets each worker come to the end of its epoch, for `Settings.drain_ms` at
    most; the second ends all at once. Whatever ends this process ends its workers, too.

    Parameters
    ----------
    sources, folder, settings
        The chains, their dataset, which this process holds locked, and the limits.
    workers
        Processes at a time.
    on_progress
        Told how each chain goes.
    on_notice
        Told in a sentence that the run is being stopped.
    command
        Program that writes a chain.
    """

    def __init__(
        self,
        sources: list[Source],
        folder: Path,
        settings: Settings,
        workers: int,
        on_progress: Callable[[Progress], None],
        on_notice: Callable[[str], None] = lambda _: None,
        command: Sequence[str] = WORKER,
    ) -> None:
        self._settings, self._folder, self._slots = settings, folder, workers
        self._workers = [SymbolWorker(source, folder, settings, command, on_progress) for source in sources]
        self._waiting = _groups(self._workers, workers)
        self._on_notice = on_notice
        self._routers: list[SymbolRouter] = []
        self._signals = 0
        self._kill_at = float("inf")
        for source in sources:
            names = source.instrument.exchange, source.instrument.symbol
            on_progress(Progress(*names, 0, source.bytes_total, 0, state="waiting"))

    def run(self) -> list[Done]:
        """What each chain came to, in the order of the sources.

        Raises
        ------
        StoppedError
            When the run was stopped, or a chain given up; it can be resumed.
        DatapipeError
            When a chain can't be finished; the others are.
        """
        try:
            with self._heeding_signals():
                while any(worker.outcome is None or worker.child for worker in self._workers):
                    self._turn(time.monotonic())
        finally:
            for worker in self._workers:
                worker.kill()
            for router in self._routers:
                router.stop()
        return self._results()

    def _turn(self, now: float) -> None:
        """One turn of the loop: start what fits, wait for news, tend to all."""
        if self._signals:
            self._wind_down(now)
        else:
            self._start_what_fits(now)
        pipes = [worker.child.told for worker in self._workers if worker.child]
        wait(pipes, _TICK_S) if pipes else time.sleep(_TICK_S)
        for worker in self._workers:
            worker.tend(time.monotonic())

    def _start_what_fits(self, now: float) -> None:
        begun = [worker for worker in self._workers if not any(worker in group for group in self._waiting)]
        free = self._slots - sum(worker.outcome is None or worker.child is not None for worker in begun)
        for group in list(self._waiting):
            if len(group) <= free:
                self._waiting.remove(group)
                self._start(group, now)
                free -= len(group)

    def _start(self, group: list[SymbolWorker], now: float) -> None:
        if len(group) == 1:
            group[0].start(now)
            return
        pipes = {worker.symbol: os.pipe() for worker in group}
        ends = {symbol: writing for symbol, (_, writing) in pipes.items()}
        router = SymbolRouter([worker.source for worker in group], self._settings, ends)
        self._routers.append(router)
        for worker in group:
            worker.start(now, router, pipes[worker.symbol][0])

    def _wind_down(self, now: float) -> None:
        """After a signal: ask once, kill at the second one or when the time is over."""
        if self._kill_at == float("inf"):
            self._kill_at = now + self._settings.drain_ms / 1000
            self._waiting.clear()
            self._on_notice(STOPPING)
            for worker in self._workers:
                worker.ask_to_stop()
        if self._signals > 1 or now >= self._kill_at:
            for worker in self._workers:
                worker.kill()

    @contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            # Only the main thread may; elsewhere signals keep the meaning they have.
            yield
            return
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _results(self) -> list[Done]:
        done = [worker.outcome for worker in self._workers if isinstance(worker.outcome, Done)]
        wrong = [worker.outcome for worker in self._workers if isinstance(worker.outcome, DatapipeError)]
        if self._signals and wrong:
            raise StoppedError(
                "was stopped; what is committed stands",
                file=self._folder,
                remedy="Go on by the same command with --resume",
            )
        if len(wrong) > 1:
            kind = type(next((error for error in wrong if not isinstance(error, StoppedError)), wrong[0]))
            # One cause that struck all, such as a full disk, is told once.
            is_one = len({error.what for error in wrong}) == 1
            said = str(wrong[0]) if is_one else "; ".join(str(error) for error in wrong)
            raise kind(f"{len(wrong)} of {len(self._workers)} symbols were not finished: {said}")
        if wrong:
            raise wrong[0]
        return done


def _groups(workers: list[SymbolWorker], size_max: int) -> list[list[SymbolWorker]]:
    """Workers that start together: those that share mixed recordings, the others alone; heaviest first."""
    alone: list[list[SymbolWorker]] = []
    sharing: dict[tuple[Path, ...], list[SymbolWorker]] = {}
    for worker in workers:
        held = worker.source.held
        # The router reads to the end of what there is; a capture that is followed has none yet.
        if held and all(held) and not worker.source.is_followed:
            sharing.setdefault(worker.source.files, []).append(worker)
        else:
            alone.append([worker])
    together = []
    for group in sharing.values():
        by_symbol = {worker.symbol: worker for worker in group}
        rates = {worker.symbol: worker.source.rate for worker in group}
        together += [[by_symbol[name] for name in names] for names in share_evenly(rates, size_max)]
    return sorted(
        alone + together, key=lambda group: -sum(w.source.bytes_total * w.source.rate for w in group)
    )
