"""`rlx validate`: is the dataset correct? Rules give findings and a verdict."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from rlx_datapipe.cli.golden import GoldenCommand
from rlx_datapipe.cli.progress import progress_bar
from rlx_datapipe.cli.terminal import give, guarded, json_option, key_option, say
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_VERDICT_FAILED


@click.command(cls=GoldenCommand)
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--golden", multiple=True, metavar="CAPTURE...", help="Captures to compare with; put DATASET before it."
)
@click.option("--symbol", help="Only this one, in any spelling.")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Also write a Markdown report."
)
@click.option("--resume", is_flag=True, help="Go on where the same validation was killed.")
@key_option
@json_option
@guarded
def validate(
    dataset: Path,
    golden: tuple[str, ...],
    symbol: str | None,
    report: Path | None,
    resume: bool,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Check DATASET by all rules; exit status 1 if the verdict is a failure.

    Without --golden the dataset's own quotes (bookTicker) judge its book. A long validation saves where it is
    in a folder beside DATASET, which is removed when it is done.
    """
    from rlx_datapipe.pipeline.validate import validate as run
    from rlx_datapipe.store.files import unwritable
    from rlx_datapipe.validation.report import to_markdown

    with progress_bar() as on_progress:
        result = run(
            dataset, symbol, golden=golden, key_file=key_file, resume=resume, on_progress=on_progress
        )
    if report is not None:
        try:
            report.write_text(to_markdown(result), "utf-8")
        except OSError as error:
            raise unwritable(report, error) from error
        say(f"report written to {report}")
    if as_json:
        give(json.loads(result.to_json()))
    else:
        from rlx_datapipe.cli.summary import show_validation

        show_validation(result)
    sys.exit(EXIT_DONE if result.verdict == "pass" else EXIT_VERDICT_FAILED)
