"""Capture files: lines to disk and back, plain, gzip or zstd by suffix, the same bytes for the same lines."""

import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, Final

import zstandard

_GZIP_LEVEL: Final = 6
_ZSTD_LEVEL: Final = 3


def write_capture(lines: Iterable[bytes], path: Path) -> int:
    """Write lines to a file and count them; ``.gz`` and ``.zst`` compress, with no time and no name inside.

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
    with path.open("wb") as raw, _packed(raw, path.suffix) as file:
        for line in lines:
            file.write(line + b"\n")
            count += 1
    return count


def read_capture(path: Path) -> Iterator[bytes]:
    """Lines of a capture file without their line ends; ``.gz`` and ``.zst`` by suffix."""
    with path.open("rb") as raw, _unpacked(raw, path.suffix) as lines:
        for line in lines:
            yield line.rstrip(b"\n")


def _packed(raw: IO[bytes], suffix: str) -> AbstractContextManager[Any]:
    if suffix == ".gz":
        return gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=raw, mtime=0)
    if suffix == ".zst":
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).stream_writer(raw, closefd=False)
    return nullcontext(raw)


def _unpacked(raw: IO[bytes], suffix: str) -> AbstractContextManager[Any]:
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw, mode="rb")
    if suffix == ".zst":
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True, closefd=False)
        return io.BufferedReader(reader)
    return nullcontext(raw)
