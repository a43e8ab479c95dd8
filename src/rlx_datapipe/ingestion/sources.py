"""What the paths that a user gives hold: recognised by content, split into chains, scaled."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.instrument import same_symbol
from rlx_datapipe.ingestion.archives import LAKE
from rlx_datapipe.ingestion.captures import find_capture_folders
from rlx_datapipe.ingestion.formats import ARCHIVES, BYTES_OF_NOTHING, NAMES, by_format
from rlx_datapipe.ingestion.found import refuse_copies, split_paths
from rlx_datapipe.ingestion.source import Decimals, Source, file_bytes
from rlx_datapipe.ingestion.wanted import Ignored, Wanted


def find_sources(
    paths: Iterable[str | Path],
    settings: Settings,
    *,
    format: str = "auto",
    exchange: str = "",
    symbols: Iterable[str] = (),
    decimals: Decimals = (None, None),
    apart: Path | None = None,
    key_file: Path | None = None,
    on_ignored: Ignored = lambda _: None,
) -> list[Source]:
    """Chains that the paths hold, by exchange and symbol.

    Parameters
    ----------
    paths
        Files or folders.
    format
        One of `formats.NAMES`, or ``auto``.
    exchange
        Exchange of Crypto Lake files whose path does not tell it.
    symbols
        Only these, in any spelling; all if empty.
    decimals
        Decimals of prices and of quantities; found from the data where None.
    apart
        Folder that is passed over wherever it lies: that of the dataset that is made of the sources.
    key_file
        Where the keys are of captures that are encrypted.
    on_ignored
        Told of each file of a folder that is plainly no recording, and passed over.

    Raises
    ------
    SourceError
        When a path is absent, empty, unreadable, of no known format, or has the bytes of another.
    OptionError
        When no such symbol is there.
    """
    if format not in ("auto", *NAMES):
        raise OptionError("unknown format", found=format, expected=", ".join(("auto", *NAMES)))
    wanted = Wanted(settings, format, exchange, tuple(symbols), decimals, key_file, on_ignored)
    files, archives, folders = split_paths(
        list(dict.fromkeys(Path(path) for path in paths)),
        as_lake=format == LAKE,
        is_auto=format == "auto",
        apart=apart,
        on_ignored=on_ignored,
    )
    refuse_copies((path, file_bytes(path)) for path in files if file_bytes(path) > BYTES_OF_NOTHING)
    sources = ARCHIVES.find(archives, wanted) if archives else []
    for found, of_it in by_format(files, wanted).items():
        sources += found.find(of_it, wanted)
    sources += find_capture_folders(folders, wanted)
    sources.sort(key=lambda source: (source.instrument.exchange, source.instrument.symbol))
    return _chosen(sources, wanted.symbols)


def _chosen(sources: list[Source], wanted: tuple[str, ...]) -> list[Source]:
    held = [source.instrument.symbol for source in sources]
    for symbol in wanted:
        if not any(same_symbol(symbol, name) for name in held):
            raise OptionError("no such symbol in the source", found=symbol, expected=", ".join(held))
    return [
        s for s in sources if not wanted or any(same_symbol(s.instrument.symbol, name) for name in wanted)
    ]
