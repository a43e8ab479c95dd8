"""`rlx demo`: the whole line on a simulated market."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from rlx_datapipe.pipeline.demo import Fidelity


@click.command()
@click.option(
    "--out",
    default="rlx-demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for all files.",
)
@click.option("--seed", default=7, show_default=True, help="Another seed, another market.")
@click.option("--duration-s", type=int, show_default="14 minutes", help="Seconds of market to simulate.")
@config_option
@json_option
@guarded
def demo(out: Path, seed: int, duration_s: int | None, config: Path | None, as_json: bool) -> None:
    """Run the whole line, offline: simulate a market, capture it, reconstruct, validate, judge."""
    from rlx_datapipe.pipeline.demo import DURATION_S
    from rlx_datapipe.pipeline.demo import demo as run

    settings = settings_from(config)
    tell_of_compilation()
    with progress_bar() as on_progress:
        result = run(
            out,
            seed=seed,
            duration_s=DURATION_S if duration_s is None else duration_s,
            settings=settings,
            on_step=say,
            on_progress=on_progress,
        )
    if as_json:
        told = {
            "validation": json.loads(result["validation"].to_json()),
            "fidelity": _told(result["fidelity"]),
        }
        give({**result, **told})
    else:
        _show(result)


def _told(one: Fidelity) -> dict[str, Any]:
    """The verdict, and where all of it is; the result itself is a file."""
    told: dict[str, Any] = {"report": one.page, "missing_extras": list(one.missing)}
    if one.report is not None:
        verdict = {"verdict": one.report.verdict.value, "reason": one.report.reason}
        told |= {**verdict, "score": one.report.score.overall}
    return told


def _show(result: dict[str, Any]) -> None:
    from rlx_datapipe.cli.fidelity_view import show_verdict
    from rlx_datapipe.cli.summary import console, show_next, show_run, show_validation

    screen = console()
    # The time holds the compilation, if this is the first run: a rate of it would say nothing.
    show_run(result["reconstruction"], with_rate=False)
    screen.print()
    show_validation(result["validation"])
    screen.print()
    judged: Fidelity = result["fidelity"]
    if judged.report is not None:
        show_verdict(judged.report)
        screen.print()
    screen.print(f"correct?           {result['report']}", markup=False, soft_wrap=True)
    if judged.page:
        screen.print(f"like its capture?  {judged.page}", markup=False, soft_wrap=True)
    if judged.missing:
        screen.print(f"{_how_to_get(judged, result)}", style="yellow", markup=False, soft_wrap=True)
    show_next(result["reconstruction"], [result["capture"]], [_poorer(result)] if judged.page else [])


def _poorer(result: dict[str, Any]) -> str:
    """The command that shows how a FAIL looks: a book from snapshots alone against that from all deltas."""
    poor = str(Path(result["dataset"]).with_name("snapshots"))
    sides = shlex.join(["--out", poor, "--strategy", "snapshot", "--golden", result["dataset"]])
    return f"reconstruct {shlex.quote(result['capture'])} {sides}"


def _how_to_get(judged: Fidelity, result: dict[str, Any]) -> str:
    """One line to paste for what is missing."""
    from rlx_datapipe.cli.summary import rlx

    pages = shlex.quote(str(Path(result["dataset"]).with_name("fidelity")))
    sides = f"{shlex.quote(result['dataset'])} --golden {shlex.quote(str(Path(result['capture']).parent))}"
    command = f"{rlx(judged.missing)} fidelity {sides} --report {pages}"
    return f"For {'pages of it' if judged.page else 'a fidelity report'}: {command}"
