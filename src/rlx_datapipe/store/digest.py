"""SHA-256 over the logical rows of a table, whatever its batches and files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]


class TableDigest:
    """Digest of one chain's rows in order: each column is hashed as endless runs of bytes.

    A column has one run for its validity, one for its lengths (texts and lists) and one for its values
    (little-endian integers, 16-byte decimals, UTF-8), nulls as zeros. How rows are cut into batches can't
    matter, because no run mixes two kinds of bytes.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._runs = [[hashlib.sha256() for _ in range(_run_count(field.type))] for field in schema]
        self.rows = 0

    def update(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add the next rows; columns are taken by name in the order of the schema."""
        self.rows += batch.num_rows
        for field, runs in zip(self._schema, self._runs, strict=True):
            column = batch.column(field.name)
            for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
                for run, part in zip(runs, _parts(chunk), strict=True):
                    run.update(part.data)

    def hexdigest(self) -> str:
        """Digest of all rows so far, with names and types of the columns, in hex."""
        whole = hashlib.sha256(str(self.rows).encode())
        for field, runs in zip(self._schema, self._runs, strict=True):
            whole.update(f"|{field.name}:{field.type}:".encode())
            for run in runs:
                whole.update(run.digest())
        return whole.hexdigest()


def combine(digests: Mapping[str, str]) -> str:
    """One digest of several named ones, in the order of their names, in hex."""
    whole = hashlib.sha256()
    for name in sorted(digests):
        whole.update(f"{name}={digests[name]}\n".encode())
    return whole.hexdigest()


def _run_count(kind: pa.DataType) -> int:
    if pa.types.is_string(kind):
        return 3
    if pa.types.is_list(kind):
        return 2 + _run_count(kind.value_type)
    if pa.types.is_struct(kind):
        return sum(_run_count(kind.field(i).type) for i in range(kind.num_fields))
    return 2


def _parts(array: pa.Array) -> Iterator[Bytes]:
    kind = array.type
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _parts(pc.struct_field(array, [i]))
        return
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    yield valid.view(np.uint8)
    if pa.types.is_string(kind):
        yield from _text_parts(pc.fill_null(array, ""))
    elif pa.types.is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        yield lengths.to_numpy(zero_copy_only=False).astype(np.int32).view(np.uint8)
        yield from _parts(array.flatten())
    else:
        yield _fixed(array, valid)


def _text_parts(array: pa.Array) -> Iterator[Bytes]:
    _, offset_buffer, data = array.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    yield np.diff(offsets).view(np.uint8)
    if data is None or len(offsets) == 0:
        yield np.zeros(0, dtype=np.uint8)
    else:
        yield np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]]


def _fixed(array: pa.Array, valid: npt.NDArray[np.bool_]) -> Bytes:
    width = array.type.bit_width // 8
    start, stop = array.offset * width, (array.offset + len(array)) * width
    if len(array) == 0:
        return np.zeros(0, dtype=np.uint8)
    raw = np.frombuffer(array.buffers()[1], dtype=np.uint8)[start:stop]
    if valid.all():
        return raw
    cleared = raw.reshape(-1, width).copy()
    cleared[~valid] = 0
    return cleared.reshape(-1)
