"""The whole line on a small simulated market: capture, dataset, validation; offline."""

from __future__ import annotations

from collections.abc import Callable
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
    capture = folder / "capture" / f"{config.symbol.lower()}.gz"
    _make_empty(folder, capture)
    on_step(f"simulating {duration_s} s of a market, captured to {capture}")
    messages = write_capture(simulate(config), capture)
    on_step(f"reconstructing {messages:,} messages")
    reconstruction = reconstruct(capture, folder / "dataset", settings, on_progress=on_progress)
    on_step("validating the dataset against the capture")
    report = validate(folder / "dataset", golden=[capture])
    page = folder / "validation.md"
    page.write_text(to_markdown(report), "utf-8")
    return {
        "capture": str(capture),
        "dataset": str(folder / "dataset"),
        "report": str(page),
        "messages": messages,
        "reconstruction": reconstruction,
        "validation": report,
    }


def _make_empty(folder: Path, capture: Path) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError("is not empty", file=folder, remedy="Choose another --out, or delete it first")
        capture.parent.mkdir(parents=True)
    except OSError as error:
        raise unwritable(folder, error) from error
