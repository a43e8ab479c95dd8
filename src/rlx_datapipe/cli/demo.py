"""`rlx demo`: the whole line on a simulated market."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

from rlx_datapipe.cli.progress import progress_bar
from rlx_datapipe.cli.terminal import (
    config_option,
    give,
    guarded,
    json_option,
    say,
    settings_from,
    tell_of_compilation,
)


@click.command()
@click.option(
    "--out",
    default="rlx-demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for all files.",
)
@click.option("--seed", default=7, show_default=True, help="Another seed, another market.")
@click.option("--duration-s", default=60, show_default=True, help="Seconds of market to simulate.")
@config_option
@json_option
@guarded
def demo(out: Path, seed: int, duration_s: int, config: Path | None, as_json: bool) -> None:
    """Run the whole line, offline: simulate a market, capture it, reconstruct, validate."""
    from rlx_datapipe.pipeline.demo import demo as run

    settings = settings_from(config)
    tell_of_compilation()
    with progress_bar() as on_progress:
        result = run(
            out, seed=seed, duration_s=duration_s, settings=settings, on_step=say, on_progress=on_progress
        )
    if as_json:
        give(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    from rich.markup import escape

    from rlx_datapipe.cli.summary import console, show_reconstruction, show_validation

    screen = console()
    show_reconstruction(result["reconstruction"])
    screen.print()
    show_validation(result["validation"])
    screen.print()
    events = result["reconstruction"]["events"]
    dataset = shlex.quote(result["dataset"])
    screen.print(f"report   {escape(result['report'])}", soft_wrap=True)
    screen.print("\n[bold]Try next[/]")
    # `uv run` leaves no command on the path: show what can be pasted.
    rlx = "uv run rlx" if "UV_RUN_RECURSION_DEPTH" in os.environ else "rlx"
    for command in (
        f"{rlx} book {dataset} --event {events // 2}",
        f"{rlx} inspect {dataset}",
        f"{rlx} validate {dataset} --golden {shlex.quote(result['capture'])}",
    ):
        screen.print(f"  [cyan]{escape(command)}[/]", soft_wrap=True)
