"""`rlx capture inspect`: what a capture holds, how fast it came, what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from rlx_datapipe.cli.capture_view import lag_text
from rlx_datapipe.cli.summary import console
from rlx_datapipe.cli.terminal import give, guarded, json_option
from rlx_datapipe.core.period import time_text
from rlx_datapipe.store.capture_state import sealing_hint

_BARS = " ▁▂▃▄▅▆▇█"
_LETTERS = {"high": "h", "normal": "n", "low": "l", "special": "s", "unknown": "·"}
_GAPS_SHOWN = 8


@click.command()
@click.argument("capture", type=click.Path(path_type=Path))
@json_option
@guarded
def inspect(capture: Path, as_json: bool) -> None:
    """Show what CAPTURE holds: counts, rates, gaps, latency, clock and regimes.

    All of it is told by the manifest, so no key is needed, and a capture of weeks takes seconds.
    """
    from rlx_datapipe.pipeline.capture_report import report_capture

    report = report_capture(capture)
    if as_json:
        give(report)
    else:
        _show(report)


def _show(report: dict[str, Any]) -> None:
    screen = console()
    how = "encrypted, " if report["is_encrypted"] else ""
    screen.print(Text(f"{report['venue']}  {', '.join(report['symbols'])}", style="bold"))
    segments = f"{report['segments']:,} segment{'' if report['segments'] == 1 else 's'}"
    screen.print(f"{how}{report['state']}, {segments}", soft_wrap=True)
    if report["state"] == "left open":
        screen.print(Text(sealing_hint(Path(report["capture"])), style="yellow"), soft_wrap=True)
    if report["from_ns"] is None:
        told = f"; {report['unsealed_bytes']:,} bytes are open" if report["unsealed_bytes"] else ""
        screen.print(f"nothing is sealed yet{told}")
        return
    span = f"{time_text(report['from_ns'])} to {time_text(report['to_ns'])}"
    # Less than the span where the capture did not run for a while.
    screen.print(f"{span}, recorded {_lasted(report['seconds'])} of it")
    screen.print()
    screen.print(_streams(report["streams"]))
    screen.print()
    _show_timeline(screen.width, report)
    for line in _facts(report):
        screen.print(line, soft_wrap=True)
    for gap in report["gaps"][:_GAPS_SHOWN]:
        ids = "unknown ids" if gap["from_id"] is None else f"ids {gap['from_id']} to {gap['to_id']}"
        screen.print(
            Text(f"  {gap['stream'] or 'a stream'}: {ids}, {gap['reason']}", style="yellow"), soft_wrap=True
        )
    if (more := report["gaps_declared"] - _GAPS_SHOWN) > 0:
        screen.print(f"  and {more:,} more; --json has the first hundred")


def _lasted(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _streams(streams: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("stream", no_wrap=True)
    for name in ("messages", "a second", "gaps", "missing", "P50 ms", "P95 ms", "P99 ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in streams:
        rate = "" if one["messages_per_s"] is None else f"{one['messages_per_s']:,.1f}"
        lags = one["latency_ms"] or {}
        shown = [lag_text(lags.get(name)) for name in ("p50", "p95", "p99")]
        odd = "yellow" if one["gaps"] else ""
        counts = [Text(f"{one[name]:,}", style=odd) for name in ("gaps", "missing")]
        table.add_row(Text(one["stream"]), f"{one['messages']:,}", rate, *counts, *shown)
    return table


def _facts(report: dict[str, Any]) -> list[str]:
    ratio = report["lines_bytes"] / max(report["disk_bytes"], 1)
    lines = [f"disk     {report['disk_bytes'] / 1e6:,.1f} MB, lines packed {ratio:.1f} times"]
    if report["unsealed_bytes"]:
        lines.append(f"open     {report['unsealed_bytes'] / 1e6:,.1f} MB are not sealed yet")
    if (offset := report["clock_offset_ms"]) is not None:
        lines.append(
            f"clock    off by {offset['first']:+,.1f} ms at first, {offset['last']:+,.1f} ms at last"
        )
    if report["lost_bytes"]:
        lines.append(
            f"torn     {report['lost_bytes']:,} bytes behind the last whole record of a dead process"
        )
    for symbol, counts in report["regimes"].items():
        told = ", ".join(f"{count:,} {regime}" for regime, count in sorted(counts.items()))
        lines.append(f"regimes  {symbol}: {told}")
    gaps = report["gaps_declared"]
    lines.append(f"gaps     {gaps:,}" + (" [green]✓[/]" if not gaps else " [yellow]![/]"))
    return lines


def _show_timeline(width: int, report: dict[str, Any]) -> None:
    """Messages a second over time, a column for each stretch; below it the regimes, where they are known."""
    screen, moments = console(), report["timeline"]
    columns = max(10, min(width - 10, 100, max(len(moments), 10)))
    rates = _over_time(moments, columns)
    top = max(rates)
    bars = "".join(_BARS[round(rate / top * (len(_BARS) - 1))] if top else " " for rate in rates)
    screen.print(f"[dim]messages a second, at most {top:,.0f} (a full block)[/]")
    screen.print(f"         {bars}", soft_wrap=True)
    if len(moments) < 2:
        return
    for symbol in report["symbols"]:
        screen.print(f"{symbol[:8]:<8} {_regimes_over_time(moments, symbol, columns)}", soft_wrap=True)
    screen.print("[dim]         h high, n normal, l low, s special, · too few segments before it[/]")


def _over_time(moments: Sequence[dict[str, Any]], columns: int) -> list[float]:
    """Mean rate in each of some equal stretches between the first and the last moment."""
    begin, end = moments[0]["from_ns"], max(moment["to_ns"] for moment in moments)
    step = max(end - begin, 1) / columns
    totals = [0.0] * columns
    for moment in moments:
        span = max(moment["to_ns"] - moment["from_ns"], 1)
        for at in range(columns):
            low, high = begin + at * step, begin + (at + 1) * step
            shared = min(high, moment["to_ns"]) - max(low, moment["from_ns"])
            if shared > 0:
                totals[at] += moment["messages"] * shared / span
    return [total / step * 1e9 for total in totals]


def _regimes_over_time(moments: Sequence[dict[str, Any]], symbol: str, columns: int) -> str:
    """A letter for the regime in the middle of each stretch; a space where nothing was captured."""
    begin, end = moments[0]["from_ns"], max(moment["to_ns"] for moment in moments)
    letters = ""
    for at in range(columns):
        middle = begin + (end - begin) * (2 * at + 1) // (2 * columns)
        held = (m for m in moments if m["from_ns"] <= middle <= m["to_ns"])
        moment = next(held, None)
        letters += _LETTERS[moment["regimes"].get(symbol, "unknown")] if moment else " "
    return letters
