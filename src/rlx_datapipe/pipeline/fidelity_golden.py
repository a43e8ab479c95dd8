"""Golden as a dataset: opened where it is one, reconstructed into a temporary one where it is a capture."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.instrument import Instrument, same_symbol
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.fidelity_sides import is_same_market
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.dataset import Dataset, open_dataset
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import is_dataset

DISK_MB = 50_000
"""Disk, in 10^6 bytes, that a golden capture may take as a temporary dataset."""
_LOOK_BYTES = 100_000_000
"""How much of a capture is read between two looks at the disk."""


@contextmanager
def golden_dataset(
    golden: Sequence[Path],
    settings: Settings,
    needed: Sequence[Instrument],
    *,
    others: Sequence[str] = (),
    key_file: Path | None = None,
    disk_mb: int = DISK_MB,
    keep: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> Iterator[Dataset]:
    """A dataset of the golden side; a temporary one is removed afterwards, whatever happens.

    Parameters
    ----------
    golden
        One dataset, or captures and recordings that ingestion recognises.
    settings
        Those of the dataset that is judged: golden is sampled alike, but always by the best strategy.
    needed, others
        Which markets of a capture are reconstructed: these, and those of these names.
    disk_mb
        What the temporary dataset may take.
    keep
        A folder in which it stays, to be taken again as long as the files of golden are the same; whoever
        gives it removes it. One that was interrupted is gone on with.

    Raises
    ------
    OptionError
        When it would take more.
    SourceError, DatasetError
        When golden can't be read.
    """
    if len(golden) == 1 and is_dataset(golden[0]):
        yield open_dataset(golden[0])
        return
    found = [source.instrument for source in find_sources(golden, settings, key_file=key_file)]
    symbols = [one.symbol for one in found if _is_needed(one, needed, others)]
    if not symbols:
        raise stranger(found, golden, needed[0])
    settings = msgspec.structs.replace(settings, strategy="auto")
    with _place(golden, keep) as out:
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
            resume=True,
        )
        _require_room(golden, out, disk_mb)
        yield open_dataset(out)


@contextmanager
def _place(golden: Sequence[Path], keep: Path | None) -> Iterator[Path]:
    """Where the dataset of golden lies: below ``keep`` by the state of golden's files, or for this once."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="rlx-golden-") as folder:
            yield Path(folder) / "dataset"
        return
    files = (file for path in golden for file in (sorted(path.rglob("*")) if path.is_dir() else [path]))
    told = [(str(file), one.st_size, one.st_mtime_ns) for file in files if (one := file.stat()).st_size]
    place = keep / hashlib.sha256(repr(told).encode()).hexdigest()
    for other in keep.iterdir():
        if other != place:
            shutil.rmtree(other)
    yield place / "dataset"


def _is_needed(one: Instrument, needed: Sequence[Instrument], others: Sequence[str]) -> bool:
    named = any(same_symbol(one.symbol, other.rpartition("/")[2]) for other in others)
    return named or any(is_same_market(one, other) for other in needed)


def stranger(theirs: Sequence[Instrument], golden: Sequence[Path], ours: Instrument) -> OptionError:
    """The error for golden that has no such market."""
    return OptionError(
        "golden is of another market",
        file=told(golden),
        found=", ".join(f"{one.exchange} {one.symbol}" for one in theirs),
        expected=f"{ours.exchange} {ours.symbol}",
        remedy=f"To compare them all the same: --symbols {ours.symbol}={theirs[0].symbol}",
    )


def told(golden: Sequence[Path]) -> str:
    """Golden as it was named."""
    return ", ".join(readable(str(path)) for path in golden)


def _require_room(golden: Sequence[Path], out: Path, disk_mb: int) -> None:
    held = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if held > disk_mb * 1_000_000:
        raise OptionError(
            "golden takes more room as a dataset than it may",
            file=told(golden),
            found=f"{held / 1e6:,.0f} MB",
            expected=f"{disk_mb:,} MB at most",
            remedy="Reconstruct it yourself (rlx reconstruct) and give that dataset with --golden",
        )
