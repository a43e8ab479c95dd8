"""How a live capture looks: a table that is drawn anew on a terminal, a line now and then where none is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rlx_datapipe.cli.capture_trouble import (
    ALWAYS_TOLD,
    TOLD_KINDS,
    refused_text,
    trouble_text,
    unheard_text,
)
from rlx_datapipe.cli.terminal import say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rlx_datapipe.capture.progress import Progress, StreamProgress

_LAGS = ("p50_ms", "p95_ms", "p99_ms")
_LONG_AGO_MS = 10_000_000
_EVERY_S = 10.0
"""Seconds between the lines that stand for the table where there is no terminal."""
_ROWS = 24
_TOLD_AT_ONCE = 20
"""Gaps and troubles told one by one; from then on they are only counted."""


class View(Protocol):
    """Shows how a capture goes."""

    def show(self, progress: Progress, disk_bytes: int) -> None:
        """Show how it goes."""

    def tell(self, kind: str, facts: dict[str, object]) -> None:
        """Tell of a gap or a note."""


class _PlainLines:
    """A line on stderr every ten seconds, and one for each of the first troubles."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._told_at, self._told = clock, clock(), 0

    def show(self, progress: Progress, disk_bytes: int) -> None:
        """Say how it goes if it is time."""
        if self._clock() - self._told_at < _EVERY_S:
            return
        self._told_at = self._clock()
        say(_sentence(progress, disk_bytes))

    def tell(self, kind: str, facts: dict[str, object]) -> None:
        """Tell of a trouble."""
        if kind in ALWAYS_TOLD:
            say(trouble_text(kind, facts))
            return
        if kind not in TOLD_KINDS or self._told > _TOLD_AT_ONCE:
            return
        self._told += 1
        is_last = self._told > _TOLD_AT_ONCE
        say("more are only counted" if is_last else trouble_text(kind, facts))


@contextmanager
def live_view(title: str) -> Iterator[View]:
    """Give what shows a capture while it runs, on stderr."""
    if not sys.stderr.isatty():
        yield _PlainLines(time.monotonic)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)

    class _Drawn:
        """The table, drawn twice a second."""

        def __init__(self, live: Live) -> None:
            self._live, self._before = live, (0.0, dict[str, int]())
            self._trouble = ""

        def show(self, progress: Progress, disk_bytes: int) -> None:
            """Draw it anew."""
            seconds, counts = self._before
            rates = {
                one.stream: (one.messages - counts.get(one.stream, 0)) / max(progress.seconds - seconds, 1e-3)
                for one in progress.streams
            }
            self._before = progress.seconds, {one.stream: one.messages for one in progress.streams}
            drawn = drawn_table(title, progress, rates, disk_bytes, self._trouble)
            self._live.update(drawn, refresh=True)

        def tell(self, kind: str, facts: dict[str, object]) -> None:
            """Show the latest trouble below the table."""
            if kind in ALWAYS_TOLD:
                # Above the table, where it stays on the screen.
                console.print(trouble_text(kind, facts), style="yellow", markup=False, highlight=False)
            elif kind in TOLD_KINDS:
                self._trouble = trouble_text(kind, facts)

    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield _Drawn(live)


def drawn_table(
    title: str, progress: Progress, rates: Mapping[str, float], disk_bytes: int, trouble: str
) -> RenderableType:
    """Streams with their rates, lags and gaps, and what holds for all of them."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("stream", no_wrap=True, overflow="ellipsis")
    for name in ("messages/s", "messages", "P50 ms", "P95 ms", "P99 ms", "gaps", "missing"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in progress.streams[:_ROWS]:
        table.add_row(*_row(one, rates.get(one.stream, 0.0)))
    lines: list[RenderableType] = [table]
    if len(progress.streams) > _ROWS:
        lines.append(Text(f"and {len(progress.streams) - _ROWS} more streams", style="dim"))
    lines += [Text(", ".join(parts)) for parts in _parts(progress, disk_bytes)]
    for symbol, said in progress.refused_symbols.items():
        lines.append(Text(refused_text(symbol, said), style="red"))
    if trouble:
        lines.append(Text(trouble, style="yellow", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def lag_text(lag_ms: float | None) -> str:
    """A lag in ms, of what was recorded long ago in days; empty where there is none."""
    if lag_ms is None:
        return ""
    return f"{lag_ms:,.1f}" if abs(lag_ms) < _LONG_AGO_MS else f"{lag_ms / 86_400_000:,.0f} d"


def _row(one: StreamProgress, rate: float) -> Sequence[str]:
    told = [lag_text(one.recent[name]) for name in _LAGS]
    return (one.stream, f"{rate:,.0f}", f"{one.messages:,}", *told, f"{one.gaps:,}", f"{one.missing:,}")


def _sentence(progress: Progress, disk_bytes: int) -> str:
    return ", ".join(part for parts in _parts(progress, disk_bytes) for part in parts)


def _parts(progress: Progress, disk_bytes: int) -> tuple[list[str], list[str]]:
    """What holds for all streams, in two lines that 80 columns have room for: data, and connections."""
    rate = progress.messages / max(progress.seconds, 1e-9)
    links, snapshots = progress.connections, progress.snapshots
    data = [
        f"{progress.seconds:,.0f} s",
        f"{progress.messages:,} messages ({rate:,.0f}/s)",
        f"{progress.gaps:,} gaps",
        f"{progress.held:,} held",
        f"{disk_bytes / 1e6:,.1f} MB",
    ]
    parts = [
        f"{links['open']} connected, {links['handovers']} handed over, {links['losses']} lost",
        f"{snapshots['kept']} snapshots" + (f", {snapshots['waiting']} due" if snapshots["waiting"] else ""),
    ]
    if progress.clock_offset_ms is not None:
        parts.append(f"clock off by {progress.clock_offset_ms:+,.1f} ms")
    return data, parts


def show_capture(result: Mapping[str, Any]) -> None:
    """What a capture came to, on stdout."""
    from rich.table import Table
    from rich.text import Text

    from rlx_datapipe.cli.summary import console

    screen = console()
    table = Table(
        title=Text(result["venue"], style="bold"),
        title_justify="left",
        box=None,
        header_style="dim",
        padding=(0, 1, 0, 0),
    )
    table.add_column("stream", no_wrap=True)
    for name in ("messages", "P50 ms", "P95 ms", "P99 ms", "duplicates", "gaps", "missing"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in result["streams"]:
        lags = [lag_text(one["whole"][name]) for name in _LAGS]
        counts = (f"{one[name]:,}" for name in ("duplicates", "gaps", "missing"))
        table.add_row(Text(one["stream"]), f"{one['messages']:,}", *lags, *counts)
    screen.print(table)
    connections = ", ".join(f"{count} {name}" for name, count in result["connections"].items())
    screen.print(f"connections  {connections}", soft_wrap=True)
    snapshots = ", ".join(f"{count} {name}" for name, count in result["snapshots"].items())
    screen.print(f"snapshots    {snapshots}", soft_wrap=True)
    took = f"{result['messages']:,} messages in {result['seconds']:,.1f} s, {result['records']:,} records"
    screen.print(f"{took}, {result['disk_bytes'] / 1e6:,.1f} MB on the disk", soft_wrap=True)
    for symbol, said in result["refused_symbols"].items():
        screen.print(Text(refused_text(symbol, said), style="yellow"), soft_wrap=True)
    for symbol in result["unheard_symbols"]:
        screen.print(Text(unheard_text(symbol), style="yellow"), soft_wrap=True)
    screen.print(f"capture      {result['capture']}", markup=False, soft_wrap=True)
