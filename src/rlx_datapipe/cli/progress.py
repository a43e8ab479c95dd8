"""The progress bar of a run: share done, events per second, time left; silent when not at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlx_datapipe.pipeline.watching import Progress

_WIDE = 100
"""Columns from which the events and the time so far have room, too."""


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Give a function to call with each `Progress`; the bar is drawn on stderr."""
    if not sys.stderr.isatty():
        yield lambda _: None
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
        bar.update(
            task,
            description=progress.symbol + lives,
            completed=progress.bytes_done,
            events=progress.events,
            rate=progress.events / elapsed,
            state=progress.state,
        )

    with bar:
        yield show
