"""`rlx fidelity`: is the dataset like the market? Metrics against golden, with verdicts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from rlx_datapipe.cli.golden import GoldenCommand
from rlx_datapipe.cli.progress import progress_bar
from rlx_datapipe.cli.span import Span
from rlx_datapipe.cli.terminal import give, guarded, json_option, key_option, say, tell_of_compilation
from rlx_datapipe.core.errors import EXIT_DONE, EXIT_INCONCLUSIVE, EXIT_VERDICT_FAILED, OptionError

if TYPE_CHECKING:
    from rlx_datapipe.fidelity.result import FidelityReport

FORMATS = ("html", "md", "json", "pdf")
_STATUS = {"PASS": EXIT_DONE, "FAIL": EXIT_VERDICT_FAILED}


def _formats(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    asked = tuple(dict.fromkeys(one.strip().lower() for one in text.split(",")))
    if unknown := [one for one in asked if one not in FORMATS]:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(FORMATS)}")
    return asked


@click.command(cls=GoldenCommand)
@click.argument("dataset", required=False, type=click.Path(path_type=Path))
@click.option(
    "--golden",
    multiple=True,
    metavar="GOLDEN...",
    help="The trusted side: a dataset, a capture's folder, or recordings; put DATASET before it.",
)
@click.option("--metrics", default="", help="Only these, with commas between them; see --list.")
@click.option("--symbols", default="", help="Only these; A=B holds the dataset's A against golden's B.")
@click.option("--window", type=Span(), help="Length of a window, such as 5m; by default as there is data.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="The only source of chance."
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the report, in each format.",
)
@click.option(
    "--format",
    "formats",
    default="html,md,json",
    show_default=True,
    callback=_formats,
    help="Of html, md, json, pdf.",
)
@click.option(
    "--prometheus",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the verdicts to this file, for the textfile collector.",
)
@click.option(
    "--history",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Write a page of all JSON results below this folder into --report, and stop.",
)
@key_option
@click.option("--list", "is_list", is_flag=True, help="List the metrics and stop.")
@click.option("--explain", metavar="METRIC", help="Tell what a metric is and stop.")
@json_option
@guarded
def fidelity(
    dataset: Path | None,
    golden: tuple[str, ...],
    metrics: str,
    symbols: str,
    window: float | None,
    seed: int,
    report: Path | None,
    formats: tuple[str, ...],
    prometheus: Path | None,
    history: Path | None,
    key_file: Path | None,
    is_list: bool,
    explain: str | None,
    as_json: bool,
) -> None:
    """Compare a dataset with golden data of its market: say whether it is like the market, and where not.

    Exit status 0: PASS, equivalent in all that must be; 1: FAIL, different beyond the margin;
    4: INCONCLUSIVE, neither can be said of these data; 2: bad input.
    """
    if is_list or explain:
        _tell(explain, as_json=as_json)
        return
    if history is not None:
        _give_history(history, report or history, formats, as_json=as_json)
        return
    if dataset is None or not golden:
        missing, such = ("DATASET", "rlx fidelity DATASET --golden CAPTURE")
        if dataset is not None:
            missing = "--golden"
        raise OptionError(
            f"{missing} is missing", remedy=f"Give both: {such}; or --list, or --explain METRIC"
        )
    from rlx_datapipe.pipeline.fidelity import fidelity as run

    tell_of_compilation()
    with progress_bar() as on_progress:
        reports = run(
            dataset,
            golden,
            metrics=_parts(metrics),
            symbols=_parts(symbols),
            window_ns=None if window is None else round(window * 1_000_000_000),
            seed=seed,
            key_file=key_file,
            on_progress=on_progress,
            on_notice=say,
        )
    _give(reports, report, formats, prometheus, as_json=as_json)


def _parts(text: str) -> list[str]:
    return [one for part in text.split(",") if (one := part.strip())]


def _tell(explain: str | None, *, as_json: bool) -> None:
    """The catalogue, or one metric of it."""
    from rlx_datapipe.cli.fidelity_view import show_catalogue, show_metric
    from rlx_datapipe.fidelity.catalogue import standard_registry
    from rlx_datapipe.fidelity.explain import explained

    registry = standard_registry()
    names = list(registry) if explain is None else [explain]
    told = [explained(registry.get(name)) for name in names]
    if as_json:
        rows = [msgspec.to_builtins(one) for one in told]
        give({"metrics": rows} if explain is None else rows[0])
    elif explain is None:
        show_catalogue(told, [finding.message for finding in registry.problems])
    else:
        show_metric(told[0])


def _give_history(results: Path, folder: Path, formats: tuple[str, ...], *, as_json: bool) -> None:
    """The page of earlier results."""
    from rlx_datapipe.pipeline.fidelity_report import write_history

    page = write_history(results, folder, [one for one in formats if one != "json"])
    say(f"history written to {page}")
    if as_json:
        give({"page": str(page)})


def _give(
    reports: list[FidelityReport],
    folder: Path | None,
    formats: tuple[str, ...],
    prometheus: Path | None,
    *,
    as_json: bool,
) -> None:
    from rlx_datapipe.fidelity.reporter import worst

    if folder is not None:
        from rlx_datapipe.pipeline.fidelity_report import write_reports

        say(f"report written to {write_reports(reports, folder, formats)}")
    if prometheus is not None:
        from rlx_datapipe.pipeline.fidelity_exposition import write_exposition

        write_exposition(reports, prometheus)
    verdict = worst(reports).value
    if as_json:
        give(_told(reports, verdict))
    else:
        from rlx_datapipe.cli.fidelity_view import show_fidelity

        for one in reports:
            show_fidelity(one)
    sys.exit(_STATUS.get(verdict, EXIT_INCONCLUSIVE))


def _told(reports: list[FidelityReport], verdict: str) -> dict[str, Any]:
    """One object: the schema, the verdict over all, and the whole result of each symbol."""
    from rlx_datapipe.fidelity.result import SCHEMA

    return {"schema": SCHEMA, "verdict": verdict, "reports": [msgspec.to_builtins(one) for one in reports]}
