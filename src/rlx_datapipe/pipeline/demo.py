"""The whole line on a small simulated market: capture, dataset, validation; offline."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError, OutputError
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.store.files import unwritable
from rlx_datapipe.validation.report import to_markdown


def demo(
    out: str | Path,
    *,
    seed: int = 7,
    duration_s: int = 60,
    settings: Settings | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Simulate a market, capture it, reconstruct the capture, validate the dataset.

    Returns
    -------
    ``capture``, ``dataset`` and ``report`` (paths), ``messages``, and the results ``reconstruction`` (a
    dictionary, too) and ``validation`` (a `ValidationReport`).

    Raises
    ------
    OutputError
        When ``out`` is not empty or can't be written.
    OptionError
        When there is no market of this seed or duration.
    """
    folder = Path(out)
    try:
        config = MarketConfig(seed=seed, duration_s=duration_s, snapshot_every_s=max(10, duration_s // 3))
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
    }


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
