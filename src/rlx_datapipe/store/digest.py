"""BLAKE3 over the logical rows of a table, whatever its batches and files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from rlx_datapipe.store.columns import spell

Bytes = npt.NDArray[np.uint8]


LEAF_ROWS = 65_536


class TableDigest:
    """Digest of one chain's rows in order, whatever batches and files they come in.

    Rows are taken in leaves of `LEAF_ROWS`, counted from the first row of the chain. In a leaf each column is
    hashed as runs of bytes: its validity, its lengths (texts and lists), its values (little-endian integers,
    16-byte decimals, UTF-8; nulls as zeros); no run mixes two kinds of bytes, so batches can't matter. Leaves
    are chained, each with the digest of all before it, so that a digest can be continued from 32 bytes.
    BLAKE3, since every byte that is written passes through here: SHA-256 took as long as the book.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._chain = b""
        self._runs = self._new_runs()
        self.rows = 0

    def update(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add the next rows; columns are taken by name in the order of the schema."""
        done = 0
        while done < batch.num_rows:
            room = LEAF_ROWS - self.rows % LEAF_ROWS
            part = batch.slice(done, room)
            self._hash(part)
            done += part.num_rows
            self.rows += part.num_rows
            if self.rows % LEAF_ROWS == 0:
                self._chain = self._leaf()
                self._runs = self._new_runs()

    def leaf_state(self) -> tuple[str, int]:
        """What `resume` needs: the chain up to the last whole leaf (hex), and the rows in whole leaves."""
        return self._chain.hex(), self.rows - self.rows % LEAF_ROWS

    def resume(self, chain: str, rows: int) -> None:
        """Go on from whole leaves; the rows behind them must be given again by `update`."""
        self._chain, self.rows = bytes.fromhex(chain), rows
        self._runs = self._new_runs()

    def hexdigest(self) -> str:
        """Digest of all rows so far, with names and types of the columns, in hex."""
        head = "".join(f"|{field.name}:{field.type}" for field in self._schema)
        whole = blake3(f"{self.rows}{head}|".encode())
        whole.update(self._leaf() if self.rows % LEAF_ROWS else self._chain)
        return whole.hexdigest()

    def _hash(self, batch: pa.RecordBatch | pa.Table) -> None:
        for field, runs in zip(self._schema, self._runs, strict=True):
            column = batch.column(field.name)
            for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
                for run, part in zip(runs, _parts(chunk), strict=True):
                    run.update(part)

    def _leaf(self) -> bytes:
        """The chain with the present leaf at its end."""
        leaf = blake3(self._chain)
        for run in (run for runs in self._runs for run in runs):
            leaf.update(run.digest())
        return leaf.digest()

    def _new_runs(self) -> list[list[_Run]]:
        return [[_Run() for _ in range(_run_count(field.type))] for field in self._schema]


class _Run:
    """Hashes the bytes of one kind in a leaf. Ones that come first are counted: most rows have all values.

    So the same leaf of ones need not be hashed for each column again.
    """

    def __init__(self) -> None:
        self._ones = 0
        self._hasher: Any = None

    def update(self, part: Bytes | int) -> None:
        """Add bytes, or so many ones."""
        if self._hasher is None:
            if isinstance(part, int):
                self._ones += part
                return
            self._hasher = _behind_ones(self._ones).copy()
        self._hasher.update(b"\1" * part if isinstance(part, int) else part.data)

    def digest(self) -> bytes:
        """BLAKE3 of all bytes so far."""
        told: bytes = (self._hasher or _behind_ones(self._ones)).digest()
        return told


@lru_cache(maxsize=16)
def _behind_ones(count: int) -> blake3:
    """A hasher of so many ones, to be copied."""
    return blake3(b"\1" * count)


def combine(digests: Mapping[str, str]) -> str:
    """One digest of several named ones, in the order of their names, in hex."""
    whole = blake3()
    for name in sorted(digests):
        whole.update(f"{name}={digests[name]}\n".encode())
    return whole.hexdigest()


def _run_count(kind: pa.DataType) -> int:
    if pa.types.is_dictionary(kind):
        return _run_count(kind.value_type)
    if pa.types.is_string(kind):
        return 3
    if pa.types.is_list(kind):
        return 2 + _run_count(kind.value_type)
    if pa.types.is_struct(kind):
        return sum(_run_count(kind.field(i).type) for i in range(kind.num_fields))
    return 2


def _parts(array: pa.Array) -> Iterator[Bytes | int]:
    kind = array.type
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _parts(pc.struct_field(array, [i]))
        return
    yield _validity(array)
    if pa.types.is_dictionary(kind):
        yield from _coded_parts(array)
    elif pa.types.is_string(kind):
        yield from _text_parts(pc.fill_null(array, "") if array.null_count else array)
    elif pa.types.is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        yield lengths.to_numpy(zero_copy_only=False).astype(np.int32).view(np.uint8)
        yield from _parts(array.flatten())
    else:
        yield _fixed(array)


def _validity(array: pa.Array) -> Bytes | int:
    """A byte for each row, or how many of them there are if all are ones."""
    if not array.null_count:
        return len(array)
    told: Bytes = array.is_valid().to_numpy(zero_copy_only=False).view(np.uint8)
    return told


def _coded_parts(array: pa.DictionaryArray) -> Iterator[Bytes]:
    """Lengths and letters of texts that come by number: the same as of the texts themselves."""
    names, indices = array.dictionary, array.indices
    codes = (pc.fill_null(indices, -1) if indices.null_count else indices).to_numpy()
    letters = [name.encode() for name in names.to_pylist()]
    sizes = np.array([len(name) for name in letters], dtype=np.int32)
    width = int(sizes.max(initial=0)) // 8 + 1
    words = np.frombuffer(b"".join(name.ljust(8 * width, b"\0") for name in letters), dtype=np.uint64)
    lengths = np.empty(len(codes), dtype=np.int32)
    out = np.empty(len(codes) * width + 1, dtype=np.uint64)
    done = int(spell(codes, words.reshape(-1, width), sizes, lengths, out))
    yield lengths.view(np.uint8)
    yield out.view(np.uint8)[:done]


def _text_parts(array: pa.Array) -> Iterator[Bytes]:
    _, offset_buffer, data = array.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    yield np.diff(offsets).view(np.uint8)
    if data is None or len(offsets) == 0:
        yield np.zeros(0, dtype=np.uint8)
    else:
        yield np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]]


def _fixed(array: pa.Array) -> Bytes:
    if not len(array):
        return np.zeros(0, dtype=np.uint8)
    if array.null_count:
        array = pc.fill_null(array, pa.scalar(0, pa.int64()).cast(array.type))
    width = array.type.bit_width // 8
    start, stop = array.offset * width, (array.offset + len(array)) * width
    return np.frombuffer(array.buffers()[1], dtype=np.uint8)[start:stop]
