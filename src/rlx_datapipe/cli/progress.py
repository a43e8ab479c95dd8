"""The progress bar of a run: share done, events per second, time left; lines where no terminal is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rlx_datapipe.cli.terminal import say

if TYPE_CHECKING:
    from rlx_datapipe.pipeline.watching import Progress

_EVERY_S = 10.0
"""Seconds between the lines that stand for a bar where there is no terminal."""
_WIDE = 100
"""Columns from which the events and the time so far have room, too."""


class _PlainLines:
    """A line on stderr every ten seconds, for logs: how far all chains have come together."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._told_at = clock, clock()
        self._chains: dict[tuple[str, str], Progress] = {}

    def show(self, progress: Progress) -> None:
        """Take in how a chain goes; say so if it is time."""
        self._chains[progress.exchange, progress.symbol] = progress
        if self._clock() - self._told_at < _EVERY_S:
            return
        self._told_at = self._clock()
        # Of a capture that is followed more is read than there was at first.
        total = sum(max(chain.bytes_total, chain.bytes_done) for chain in self._chains.values())
        done = sum(chain.bytes_done for chain in self._chains.values())
        events = sum(chain.events for chain in self._chains.values())
        ended = sum(chain.bytes_done >= chain.bytes_total for chain in self._chains.values())
        of = f", {ended} of {len(self._chains)} symbols read" if len(self._chains) > 1 else ""
        say(f"{done / max(total, 1):.0%} read, {events:,} events{of}")


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Give a function to call with each `Progress`; the bar is drawn on stderr.

    Where that is no terminal, a line every ten seconds takes its place.
    """
    if not sys.stderr.isatty():
        yield _PlainLines(time.monotonic).show
        return
    from rich import progress as rich_progress
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.text import Text

    class _Left(TimeRemainingColumn):
        """The time left; where a chain does not come on, why."""

        def render(self, task: rich_progress.Task) -> Text:
            if state := task.fields["state"]:
                return Text(state, style="yellow", no_wrap=True, overflow="ellipsis")
            return super().render(task).append(" left", style="default")

    console = Console(stderr=True)
    columns: list[rich_progress.ProgressColumn] = [
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("[cyan]{task.fields[rate]:>9,.0f} events/s"),
    ]
    if console.width >= _WIDE:
        columns += [TextColumn("{task.fields[events]:>11,} events"), TimeElapsedColumn()]
    columns.append(_Left())
    bar = rich_progress.Progress(*columns, console=console, transient=True, expand=True)
    tasks: dict[tuple[str, str], rich_progress.TaskID] = {}

    def show(progress: Progress) -> None:
        key = (progress.exchange, progress.symbol)
        if key not in tasks:
            tasks[key] = bar.add_task(
                progress.symbol, total=progress.bytes_total, rate=0.0, events=0, state=progress.state
            )
        task = tasks[key]
        lives = f" ↻{progress.restarts}" if progress.restarts else ""
        elapsed = bar.tasks[task].elapsed or 1e-9
        twice = sum(symbol == progress.symbol for _, symbol in tasks) > 1
        name = f"{progress.exchange} {progress.symbol}" if twice else progress.symbol
        bar.update(
            task,
            description=name + lives,
            # What is followed grows.
            total=progress.bytes_total,
            completed=progress.bytes_done,
            events=progress.events,
            rate=progress.events / elapsed,
            state=progress.state,
        )

    with bar:
        yield show
