"""The whole line on a small simulated market: capture, dataset, validation, fidelity; offline."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError, OutputError
from rlx_datapipe.fidelity.catalogue import require_statistics
from rlx_datapipe.fidelity.result import FidelityReport
from rlx_datapipe.pipeline.fidelity import fidelity
from rlx_datapipe.pipeline.fidelity_report import write_reports
from rlx_datapipe.pipeline.fidelity_told import FORMATS
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.store.files import unwritable
from rlx_datapipe.validation.report import to_markdown

DURATION_S = 840
"""So long is the market: a second of it is a return, and the tail of returns needs 600."""
ORDERS_PER_S = 250
"""So lively is it: some 18 trades a second, as a calm hour of BTCUSDT has them; and quickly made."""


@dataclass(frozen=True)
class Fidelity:
    """How the demo's dataset compares with its own capture, read a second time.

    ``report`` is None where the statistics are not installed; ``page`` is the file to open, or the result
    itself where pages can't be made; ``missing`` names the extras that would have given more.
    """

    report: FidelityReport | None = None
    page: str = ""
    missing: tuple[str, ...] = ()


def demo(
    out: str | Path,
    *,
    seed: int = 7,
    duration_s: int = DURATION_S,
    settings: Settings | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Simulate a market, capture it, reconstruct the capture, validate the dataset, report on its fidelity.

    Returns
    -------
    ``capture``, ``dataset`` and ``report`` (paths), ``messages``, and the results ``reconstruction`` (a
    dictionary, too), ``validation`` (a `ValidationReport`) and ``fidelity`` (a `Fidelity`).

    Raises
    ------
    OutputError
        When ``out`` is not empty or can't be written.
    OptionError
        When there is no market of this seed or duration.
    """
    folder = Path(out)
    try:
        config = MarketConfig(
            seed=seed,
            duration_s=duration_s,
            orders_per_s=ORDERS_PER_S,
            snapshot_every_s=max(10, duration_s // 3),
        )
    except ValueError as error:
        raise OptionError(str(error)) from error
    _require_empty(folder)
    with _workshop(folder) as work:
        told = _run(work, folder, config, settings, on_step, on_progress)
        _put_in_place(work, folder)
    return told


def _put_in_place(work: Path, folder: Path) -> None:
    """Move what was made to where it was asked for: a demo that was stopped before leaves nothing there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for made in sorted(work.iterdir()):
            made.rename(folder / made.name)
    except OSError as error:
        raise unwritable(folder, error) from error


def _run(
    work: Path,
    folder: Path,
    config: MarketConfig,
    settings: Settings | None,
    on_step: Callable[[str], None],
    on_progress: Callable[[Progress], None],
) -> dict[str, Any]:
    """Run the line in ``work``; what is told of it is where it will lie, in ``folder``."""
    name = Path("capture") / f"{config.symbol.lower()}.gz"
    (work / name).parent.mkdir()
    on_step(f"simulating {config.duration_s} s of a market, captured to {folder / name}")
    messages = write_capture(simulate(config), work / name)
    on_step(f"reconstructing {messages:,} messages")
    reconstruction = reconstruct(work / name, work / "dataset", settings, on_progress=on_progress)
    on_step("validating the dataset against the capture")
    report = validate(work / "dataset", golden=[work / name])
    (work / "validation.md").write_text(to_markdown(report), "utf-8")
    return {
        "capture": str(folder / name),
        "dataset": str(folder / "dataset"),
        "report": str(folder / "validation.md"),
        "messages": messages,
        "reconstruction": {**reconstruction, "dataset": str(folder / "dataset")},
        "validation": report,
        "fidelity": _like_its_capture(work, folder, on_step),
    }


def _like_its_capture(work: Path, folder: Path, on_step: Callable[[str], None]) -> Fidelity:
    """The report on the dataset against its own capture, as far as what it needs is installed."""
    has_pages = find_spec("jinja2") is not None
    missing = () if has_pages else ("report",)
    try:
        require_statistics()
    except OptionError:
        return Fidelity(missing=("fidelity", *missing))
    on_step("comparing the dataset with its capture, read a second time")
    (told,) = fidelity(work / "dataset", work / "capture")
    sides = {
        name: msgspec.structs.replace(getattr(told.header, name), source=str(folder / place))
        for name, place in (("dataset", "dataset"), ("golden", "capture"))
    }
    told = msgspec.structs.replace(told, header=msgspec.structs.replace(told.header, **sides))
    page = write_reports([told], work / "fidelity", FORMATS if has_pages else ("json",))
    return Fidelity(told, str(folder / page.relative_to(work)), missing)


def _require_empty(folder: Path) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError("is not empty", file=folder, remedy="Choose another --out")
    except OSError as error:
        raise unwritable(folder, error) from error


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A folder beside the one that is asked for; what is left in it goes, of a demo that was killed too."""
    try:
        place = folder.resolve()
        work = place.with_name(f".{place.name}.unfinished-rlx-demo")
        # Its name is ours alone, and no demo ends with it.
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
