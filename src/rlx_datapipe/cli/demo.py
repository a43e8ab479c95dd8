"""`rlx demo`: the whole line on a simulated market."""

from __future__ import annotations

import json
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
        give({**result, "validation": json.loads(result["validation"].to_json())})
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    from rlx_datapipe.cli.summary import console, show_next, show_run, show_validation

    screen = console()
    # The time holds the compilation, if this is the first run: a rate of it would say nothing.
    show_run(result["reconstruction"], with_rate=False)
    screen.print()
    show_validation(result["validation"])
    screen.print(f"\nreport   {result['report']}", markup=False, soft_wrap=True)
    show_next(result["reconstruction"], [result["capture"]])
