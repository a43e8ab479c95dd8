"""Rows of a Parquet file that lies in an archive, by its footer alone: two small ranged reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.acquisition.archive import Archive
from rlx_datapipe.acquisition.holdings import Inventory, LakeFile
from rlx_datapipe.acquisition.patience import PatientArchive
from rlx_datapipe.acquisition.settings import AcquisitionSettings

_MAGIC = b"PAR1"
_TAIL = 8


def count_rows(archive: Archive, file: LakeFile, bytes_max: int) -> tuple[int | None, int]:
    """Rows that a file says it has, None if it is no sound Parquet; and how many bytes were read for it.

    Parameters
    ----------
    bytes_max
        Longest footer that is read.

    Raises
    ------
    ArchiveError
        When the store can't be reached, or refuses.
    """
    size = file.size_bytes
    if size < _TAIL + len(_MAGIC):
        return None, 0
    tail = b"".join(archive.read(file.path, size - _TAIL, size, file.etag))
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or not 0 < length <= min(bytes_max, size - _TAIL - len(_MAGIC)):
        return None, _TAIL
    footer = b"".join(archive.read(file.path, size - _TAIL - length, size - _TAIL, file.etag))
    try:
        # A file of nothing but its footer: the reader starts at the end.
        rows = pq.read_metadata(pa.BufferReader(_MAGIC + footer + tail)).num_rows
    except (pa.ArrowException, OSError):
        return None, _TAIL + length
    return rows, _TAIL + length


def with_counts(archive: Archive, inventory: Inventory, settings: AcquisitionSettings) -> Inventory:
    """The same inventory, with the rows of each file that has a sound footer; errors as `count_rows`."""
    patient = PatientArchive(archive, settings)

    def counted(file: LakeFile) -> LakeFile:
        if file.size_bytes < 0:
            about = patient.head(file.path)
            file = msgspec.structs.replace(file, size_bytes=about.size_bytes, etag=about.etag)
        rows, _ = count_rows(patient, file, settings.footer_mb_max * 10**6)
        return msgspec.structs.replace(file, rows=rows)

    with ThreadPoolExecutor(settings.parts) as threads:
        files = iter(list(threads.map(counted, inventory.files)))
    series = tuple(
        msgspec.structs.replace(one, files=tuple(next(files) for _ in one.files)) for one in inventory.series
    )
    return msgspec.structs.replace(inventory, series=series)
