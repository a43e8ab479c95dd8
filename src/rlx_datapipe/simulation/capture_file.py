"""Capture files: lines to disk and back, plain or gzip by suffix, the same bytes for the same lines."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_LEVEL: Final = 6


def write_capture(lines: Iterable[bytes], path: Path) -> int:
    """Write lines to a file and count them; ``.gz`` compresses, with no time and no name in the header.

    Parameters
    ----------
    lines
        Lines without line ends, such as ``simulate`` yields.
    path
        The file; its folder must exist, a file already there is replaced.

    Returns
    -------
    The number of lines written.
    """
    count = 0
    with path.open("wb") as raw:
        if path.suffix != ".gz":
            for line in lines:
                raw.write(line + b"\n")
                count += 1
            return count
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as packed:
            for line in lines:
                packed.write(line + b"\n")
                count += 1
    return count


def read_capture(path: Path) -> Iterator[bytes]:
    """Lines of a capture file without their line ends; ``.gz`` by suffix."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            yield line.rstrip(b"\n")
