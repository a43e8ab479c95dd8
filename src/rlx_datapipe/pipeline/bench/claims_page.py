"""The page of claims: each with its bound, its ratio, and what came of it, in Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from rlx_datapipe.core.version import WRITER
from rlx_datapipe.pipeline.bench.ablation import Verdict
from rlx_datapipe.pipeline.bench.figure import cores

_HEAD = """# Claims

What research takes for granted about a pipeline like this one, measured by leaving it out: the same work with
the idea and without it, in turn, on seeded data. The bound of each claim was fixed before it was measured. A
ratio is how many times as much the plain way takes, the geometric mean over pairs of measures; the interval
is 95 % (Student's t over the logarithms). **Confirmed**: all of the interval lies at the bound or above.
**Refuted**: all of it lies below. **Not measurable here**: neither.

This page is written by a command: `{command}`
"""


def page(verdicts: Iterable[Verdict], seed: int, repeats: int) -> str:
    """The page, with the machine and the moment it was measured on."""
    command = f"rlx bench claims --seed {seed} --repeats {repeats} --report docs/claims.md"
    lines = [
        _HEAD.format(command=command),
        f"Measured {datetime.now(UTC):%Y-%m-%d} by {WRITER} on {cores()} cores ({_processor()}), "
        f"{platform.system()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the end, "
        f"{repeats} pairs each.",
        "",
        "| claim | ratio | 95 % interval | bound | verdict |",
        "|---|---|---|---|---|",
    ]
    told = list(verdicts)
    lines += [
        f"| {one.claim} | {one.ratio:.2f} | {one.low:.2f} to {one.high:.2f} | {one.bound:.3g} | "
        f"**{one.verdict}** |"
        for one in told
    ]
    lines += ["", "## What was compared", "", "| claim | one way | the other | measured | beside it |"]
    lines += ["|---|---|---|---|---|"]
    lines += [f"| {one.name} | {one.ways[0]} | {one.ways[1]} | {one.unit} | {_detail(one)} |" for one in told]
    return "\n".join([*lines, ""])


def _detail(one: Verdict) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.3g}"
        if isinstance(value, float)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in one.detail.items()
    )


def _processor() -> str:
    """Name of the processor, where the system tells it."""
    told = Path("/proc/cpuinfo")
    names = (
        [line for line in told.read_text().splitlines() if line.startswith("model name")]
        if told.exists()
        else []
    )
    return names[0].partition(":")[2].strip() if names else platform.machine()
