"""`rlx bench`: the measured claims, target and figure side by side."""

from __future__ import annotations

from typing import Any

import click

from rlx_datapipe.cli.terminal import give, guarded, json_option, say, tell_of_compilation


@click.command()
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="Seed of the data.")
@click.option(
    "--duration-s",
    default=600,
    show_default=True,
    type=click.IntRange(1, 3_600),
    help="Seconds of market; 4,000 rows each.",
)
@click.option(
    "--repeats",
    default=3,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Runs, of which the median is told.",
)
@json_option
@guarded
def bench(seed: int, duration_s: int, repeats: int, as_json: bool) -> None:
    """Measure what is claimed of speed, checkpoints, recovery and memory, on seeded data, offline."""
    from rlx_datapipe.pipeline.bench import bench as run

    tell_of_compilation()
    result = run(seed=seed, duration_s=duration_s, repeats=repeats, on_step=say)
    if as_json:
        give(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from rlx_datapipe.cli.summary import console

    table = Table(box=None, header_style="dim")
    table.add_column("claim", overflow="fold")
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("target", overflow="fold")
    for one in result["figures"]:
        figure = f"{one['figure']:,.0f}" if one["figure"] >= 1_000 else f"{one['figure']:,.2f}"
        mark = {None: "", True: "✓", False: "✗"}[one["is_met"]]
        table.add_row(one["claim"], f"{figure} {one['unit']}", Text(f"{mark} {one['target']}".strip()))
    screen = console()
    screen.print(table)
    screen.print(f"{result['cpus']} CPUs, load {result['load']:.1f}; see --json for what lies behind each")
