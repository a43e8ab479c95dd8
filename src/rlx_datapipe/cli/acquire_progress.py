"""The progress bar of a download: bytes, rate, time left; lines where no terminal is."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rlx_datapipe.cli.terminal import say

if TYPE_CHECKING:
    from rlx_datapipe.acquisition.download import Progress

_EVERY_S = 10.0
"""Seconds between the lines that stand for a bar where there is no terminal."""
_DRAWN_S = 0.2
_RECENT_S = 5.0
_WIDE = 96


class _Rate:
    """Bytes a second over the latest seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def after(self, progress: Progress) -> float:
        """The rate as of now."""
        self._seen.append((progress.seconds, progress.fetched_bytes))
        while len(self._seen) > 2 and progress.seconds - self._seen[0][0] > _RECENT_S:
            self._seen.popleft()
        begun_s, begun = self._seen[0]
        return (progress.fetched_bytes - begun) / max(progress.seconds - begun_s, 1e-3)


class _PlainLines:
    """A line on stderr every ten seconds, for logs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._told_at, self._rate = clock, clock(), _Rate()

    def show(self, progress: Progress) -> None:
        """Say how it goes if it is time."""
        rate = self._rate.after(progress)
        if self._clock() - self._told_at >= _EVERY_S:
            self._told_at = self._clock()
            say(sentence(progress, rate))


def sentence(progress: Progress, rate: float) -> str:
    """How a download goes, in one line."""
    from rlx_datapipe.acquisition.amounts import size_text, time_text

    left = progress.bytes - progress.bytes_done
    share = progress.bytes_done / max(progress.bytes, 1)
    parts = [
        f"{share:.0%} of {size_text(progress.bytes)}",
        f"{progress.files_done:,} of {progress.files:,} files",
        f"{size_text(rate)}/s",
    ]
    if progress.waiting:
        parts.append(f"waiting: {progress.waiting}")
    elif rate:
        parts.append(f"{time_text(left / rate)} left")
    if progress.retries:
        parts.append(f"{progress.retries:,} asked again")
    if progress.files_failed:
        parts.append(f"{progress.files_failed:,} failed")
    return ", ".join(parts)


@contextmanager
def transfer_bar(*, is_shown: bool = True) -> Iterator[Callable[[Progress], None]]:
    """Give a function to call with each `Progress`; the bar is drawn on stderr."""
    if not is_shown or not sys.stderr.isatty():
        yield _PlainLines().show
        return
    from rich import progress as rich_progress
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn

    from rlx_datapipe.acquisition.amounts import size_text, time_text

    console = Console(stderr=True)
    columns: list[rich_progress.ProgressColumn] = [
        TextColumn("[bold]{task.fields[files]}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("[cyan]{task.fields[rate]:>10}"),
    ]
    if console.width >= _WIDE:
        columns.append(TextColumn("{task.fields[size]}"))
    columns.append(TextColumn("{task.fields[left]}"))
    bar = rich_progress.Progress(*columns, console=console, transient=True, expand=True)
    rates, drawn_s = _Rate(), -1.0
    task = bar.add_task("", total=None, files="", rate="", size="", left="")

    def show(progress: Progress) -> None:
        nonlocal drawn_s
        rate = rates.after(progress)
        if progress.seconds - drawn_s < _DRAWN_S:
            return
        drawn_s = progress.seconds
        if progress.waiting:
            left = f"[yellow]waiting: {progress.waiting}"
        else:
            left = f"{time_text((progress.bytes - progress.bytes_done) / rate)} left" if rate else "-"
        again = f" ↻{progress.retries}" if progress.retries else ""
        bar.update(
            task,
            total=max(progress.bytes, 1),
            completed=progress.bytes_done,
            files=f"{progress.files_done}/{progress.files} files{again}",
            rate=f"{size_text(rate)}/s",
            size=f"{size_text(progress.bytes_done)} of {size_text(progress.bytes)}",
            left=left,
        )

    with bar:
        yield show
