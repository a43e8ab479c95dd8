"""`rlx acquire validate`: is every file whole? Each goes to ready, or to quarantine with its reason."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from rlx_datapipe.cli.progress import progress_bar
from rlx_datapipe.cli.terminal import give, guarded, json_option, say
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_VERDICT_FAILED, OptionError

_NAMED = 200
"""Files with something to say that are shown; --json has all."""


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH...]")
@click.option("--staging", type=click.Path(path_type=Path), help="Staging folder of rlx acquire download.")
@click.option("--again", is_flag=True, help="Also examine anew what is in ready and quarantine.")
@click.option(
    "--memory-mb",
    type=click.IntRange(64),
    default=2_048,
    show_default=True,
    help="Most that a file may take.",
)
@json_option
@guarded
def validate(
    paths: tuple[Path, ...], staging: Path | None, again: bool, memory_mb: int, as_json: bool
) -> None:
    """Examine archive files; exit status 1 if any is not fit for use.

    With --staging each file that arrived goes to ready, or to quarantine with its reason. Files and folders
    given by PATH are only examined.
    """
    from rlx_datapipe.pipeline.acceptance import accept_staged, examine_paths
    from rlx_datapipe.pipeline.examiner import Bounds

    if (staging is None) == (not paths) or (again and staging is None):
        remedy = "Give either --staging DIR, where --again has a meaning, or files and folders"
        raise OptionError("nothing to validate, or two kinds of it", remedy=remedy)
    bounds = Bounds(memory_mb=memory_mb)
    with progress_bar() as on_progress:
        if staging is not None:
            result = accept_staged(staging, again=again, bounds=bounds, on_progress=on_progress)
        else:
            result = examine_paths(paths, bounds=bounds, on_progress=on_progress)
    for notice in result.get("notices", ()):
        say(notice)
    if as_json:
        give(result)
    else:
        from rlx_datapipe.cli.summary import show_commands

        _show(result)
        if staging and result["counts"]["ready"]:
            show_commands(f"acquire certify --staging {shlex.quote(str(staging))}")
    sys.exit(EXIT_DONE if result["verdict"] == "pass" else EXIT_VERDICT_FAILED)


def _show(result: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from rlx_datapipe.cli.summary import console

    screen = console()
    table = Table(show_header=False, box=None)
    for can_wrap in (False, True):
        table.add_column(vertical="top", no_wrap=not can_wrap, overflow="fold")
    marks = {"gate": ("✗", "red"), "warn": ("!", "yellow"), "note": ("·", "default")}
    for file in result["files"][:_NAMED]:
        mark = Text("✗", style="red") if file["verdict"] == "fail" else Text("✓", style="green")
        table.add_row(mark, Text(f"{file['path']}  {file['rows']:,} rows", style="bold"))
        for finding in file["findings"]:
            sign, style = marks[finding["severity"]]
            table.add_row("", Text(f"{sign} {finding['rule']}: {finding['message']}", style=style))
    screen.print(table)
    if len(result["files"]) > _NAMED:
        screen.print(f"  and {len(result['files']) - _NAMED:,} more files: see --json")
    for path in result.get("strangers", ()):
        screen.print(Text(f"! {path}: not in the manifest, and not touched", style="yellow"))
    if "counts" in result:
        screen.print("  ".join(f"{zone} {count:,}" for zone, count in result["counts"].items()))
    failed = sum(file["verdict"] == "fail" for file in result["files"])
    colour = "green" if not failed else "red"
    count = len(result["files"])
    told = f"{count:,} file{'' if count == 1 else 's'} examined, {failed:,} not fit for use"
    screen.print(f"verdict  [bold {colour}]{result['verdict']}[/]  {told}")
