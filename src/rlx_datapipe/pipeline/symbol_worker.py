"""SymbolWorker: one chain's process as the manager sees it: its health, its deaths, its next life."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatapipeError, StoppedError
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.ingestion.following import with_new_segments
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.pipeline.child import Child
from rlx_datapipe.pipeline.job import (
    Begins,
    Done,
    Failed,
    Halted,
    Job,
    Stands,
    Told,
    Went,
    decode_told,
    encode,
)
from rlx_datapipe.pipeline.restarts import GiveUp, Poison, Restarts, Retry
from rlx_datapipe.pipeline.router import SymbolRouter
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.skips import add_skip


class SymbolWorker:
    """Writes one chain by a process of its own, and starts it again from its checkpoint when it dies.

    A life after a death works on one step at a time: it holds less, and a death tells which rows it worked
    on. What follows a death is for `Restarts` to say.

    Parameters
    ----------
    source, folder, settings
        The chain, its dataset, and the limits.
    command
        Program that writes a chain.
    on_progress
        Told how the chain goes.
    """

    def __init__(
        self,
        source: Source,
        folder: Path,
        settings: Settings,
        command: Sequence[str],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.source = source
        self.symbol = source.instrument.symbol
        self.outcome: Done | DatapipeError | None = None
        self.child: Child | None = None
        self.restarts = 0
        self.reasons: list[str] = []
        """Why it was started again, each time."""
        self._folder, self._settings, self._command = folder, settings, command
        self._on_progress = on_progress
        self._router: SymbolRouter | None = None
        self._went = Went(0, 0, 0)
        self._begins: Begins | None = None
        self._moved: tuple[Went, int] = (self._went, 0)
        self._moved_at = 0.0
        self._retry_at: float | None = None
        self._is_stopping = False
        self._restarts = Restarts(settings, self.symbol, time.monotonic)

    def start(self, now: float, router: SymbolRouter | None = None, feed: int | None = None) -> None:
        """Begin a life; the first one may be fed by a router."""
        settings = self._settings
        self._restarts.starts()
        if self.restarts:
            settings = msgspec.structs.replace(settings, threads=1, queue_batches=1)
        self._router, self._begins, self._retry_at = router, None, None
        self._moved, self._moved_at = (self._went, 0), now
        self.child = Child(self._command, encode(Job(self.source, self._folder, settings)), feed)
        self._show()

    def tend(self, now: float) -> None:
        """Hear what the process told, see whether it is well, and start it again when it is time."""
        if self.child is None:
            if self._retry_at is not None and now >= self._retry_at:
                self.restarts += 1
                self.start(now)
            return
        has_ended = self.child.has_ended()
        for line in self.child.lines():
            self._hear(decode_told(line))
        if has_ended:
            self._bury(now, self.child.how_it_ended(), by_content="SIGKILL" not in self.child.how_it_ended())
        elif self.outcome is None:
            self._look_after(self.child, now)

    def ask_to_stop(self) -> None:
        """Let it come to the end of its epoch; one that waits for its next life is stopped already."""
        self._is_stopping = True
        if self.child is not None:
            self.child.ask_to_stop()
        elif self.outcome is None:
            self.outcome = _stopped(self._folder)

    def kill(self) -> None:
        """End it now."""
        if self.child is not None:
            self.child.kill()
            self.child.close()
            self.child = None
        if self.outcome is None:
            self.outcome = _stopped(self._folder)

    def _hear(self, told: Told) -> None:
        match told:
            case Stands(file, row) if self._router is not None:
                self._router.stands(self.symbol, file, row)
            case Begins():
                self._begins = told
            case Went():
                self._went = told
                self._show()
            case Done(summary, digests):
                # Told, but never written: a run without a death ends with the same dataset.
                self.outcome = Done({**summary, "restarts": self.reasons}, digests)
            case Failed():
                self.outcome = told.error()
            case Halted():
                self.outcome = _stopped(self._folder)

    def _look_after(self, child: Child, now: float) -> None:
        """End a process that holds too much memory, or that neither comes on nor reads."""
        held_mb, limit_mb = child.memory_bytes() // 1_000_000, self._settings.memory_max_mb
        if limit_mb and held_mb > limit_mb:
            child.kill()
            self._bury(now, f"held {held_mb} MB of memory, the limit is {limit_mb}", by_content=False)
            return
        moved = (self._went, child.bytes_read())
        if moved != self._moved:
            self._moved, self._moved_at = moved, now
        elif (stalled_s := now - self._moved_at) * 1000 > self._settings.stall_ms:
            child.kill()
            self._bury(now, f"made no progress for {stalled_s:.0f} s", by_content=True)

    def _bury(self, now: float, reason: str, *, by_content: bool) -> None:
        """The process is gone: for good, or until its next life."""
        assert self.child is not None  # noqa: S101
        self.child.close()
        self.child = None
        if self._router is not None:
            self._router.leave(self.symbol)
        if self.outcome is not None:
            self._show()
            return
        if self._is_stopping:
            self.outcome = _stopped(self._folder)
            return
        # Only a life that works on one step at a time can say what it died of.
        suspect = self._begins if by_content and self.restarts else None
        match self._restarts.died(self._went.epochs, suspect):
            case GiveUp(deaths):
                self._give_up(deaths, reason)
                return
            case Poison(rows, wait_s):
                self._skip(rows, reason)
            case Retry(wait_s):
                pass
        self.reasons.append(reason)
        self._retry_at = now + wait_s
        self._show(f"starts again: {reason}")

    def _skip(self, rows: Begins, reason: str) -> None:
        source = with_new_segments(self.source) if self.source.is_followed else self.source
        name = source.files[rows.file].name
        why = f"skipped: the worker {reason}, {self._settings.tries_max} times while it worked on this"
        names = self.source.instrument.exchange, self.symbol
        add_skip(self._folder, *names, Skip(rows.file, name, rows.from_row, rows.to_row, why))

    def _give_up(self, deaths: int, reason: str) -> None:
        self.outcome = StoppedError(
            f"{self.symbol} is given up after {deaths} deaths without a commit: its worker {reason}",
            file=self._folder,
            remedy="What is committed stands; mend the cause and go on with --resume",
        )
        self._show(f"given up: {reason}")

    def _show(self, state: str = "") -> None:
        if not state and isinstance(self.outcome, DatapipeError):
            was_asked = self._is_stopping and isinstance(self.outcome, StoppedError)
            state = "stopped" if was_asked else "failed"
        names = self.source.instrument.exchange, self.symbol
        went = self._went
        total = max(self.source.bytes_total, went.bytes_done)
        told = Progress(*names, went.bytes_done, total, went.events, went.epochs, self.restarts, state)
        self._on_progress(told)


def _stopped(folder: Path) -> StoppedError:
    return StoppedError(
        "was stopped; what is committed stands", file=folder, remedy="Go on by the same command with --resume"
    )
