"""Golden as a dataset: opened where it is one, reconstructed into a temporary one where it is a capture."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.dataset import Dataset, open_dataset
from rlx_datapipe.store.manifest import is_dataset

DISK_MB = 50_000
"""Disk, in 10^6 bytes, that a golden capture may take as a temporary dataset."""
_LOOK_BYTES = 100_000_000
"""How much of a capture is read between two looks at the disk."""


@contextmanager
def golden_dataset(
    golden: Path,
    settings: Settings,
    *,
    symbols: tuple[str, ...] = (),
    key_file: Path | None = None,
    disk_mb: int = DISK_MB,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> Iterator[Dataset]:
    """A dataset of the golden side; a temporary one is removed afterwards, whatever happens.

    Parameters
    ----------
    golden
        A dataset, the folder of a capture, or a recording that ingestion recognises.
    settings
        Those of the dataset that is judged: golden is sampled alike, but always by the best strategy.
    symbols
        Only these of a capture, in any spelling; all if empty.
    disk_mb
        What the temporary dataset may take.

    Raises
    ------
    OptionError
        When it would take more.
    SourceError, DatasetError
        When golden can't be read.
    """
    if is_dataset(golden):
        yield open_dataset(golden)
        return
    settings = msgspec.structs.replace(settings, strategy="auto")
    with tempfile.TemporaryDirectory(prefix="rlx-golden-") as folder:
        out = Path(folder) / "dataset"
        looked: dict[str, int] = {}

        def look(progress: Progress) -> None:
            if progress.bytes_done - looked.get(progress.symbol, 0) >= _LOOK_BYTES:
                looked[progress.symbol] = progress.bytes_done
                _require_room(golden, out, disk_mb)
            on_progress(progress)

        reconstruct(
            golden,
            out,
            settings,
            symbols=symbols,
            key_file=key_file,
            on_progress=look,
            on_notice=on_notice,
        )
        _require_room(golden, out, disk_mb)
        yield open_dataset(out)


def _require_room(golden: Path, out: Path, disk_mb: int) -> None:
    held = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if held > disk_mb * 1_000_000:
        raise OptionError(
            "golden takes more room as a dataset than it may",
            file=golden,
            found=f"{held / 1e6:,.0f} MB",
            expected=f"{disk_mb:,} MB at most",
            remedy="Reconstruct it yourself (rlx reconstruct) and give that dataset with --golden",
        )
