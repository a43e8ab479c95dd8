"""One Parquet file in the making: rows go out in row groups of one size, whatever batches they came in."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlx_datapipe.core.in_turn import InTurn
from rlx_datapipe.store.files import publishing

# Rows of tables with lists hold whole books: fewer of them make a row group of some 20 MB in memory.
ROW_GROUP_ROWS = {"events": 131_072, "quotes": 131_072, "quality": 131_072, "books": 8_192, "keyframes": 64}
# With two more row groups a file stays below 100 MB.
FULL_BYTES = 60_000_000
# Statistics serve to skip files: ids and times do, decimals never did (they cost a quarter of the speed).
_STATISTICS = ("event_id", "from_event_id", "update_id", "origin_time", "received_time", "from_time")
# Rows of a message share times and update id: as they are, zstd makes them as small as their differences
# would be, in two thirds of the time.
_DELTA_ENCODED = ("event_id", "trade_id")
# A few thousand prices make a row group. Best prices repeat so long that zstd alone is quicker.
_DICTIONARY = ("event_type", "side", "price", "flags", "kind", "severity", "detail")
_ZSTD_LEVEL = 1
# In random digits level 1 finds hardly more than level -3: a tenth of the column, for half as much work more.
_ZSTD_LEVELS = {"quantity": -3}
# Each page is compressed by itself, with a context that costs as much as a thousand rows: few large ones, by
# bytes alone, where Parquet's writer would begin another every 20,000 rows. Seven percent of the whole.
_PAGE_BYTES, _PAGE_ROWS, _BATCH_ROWS = 1 << 19, 1 << 20, 16_384
# Less than this is not worth a file.
SPILL_BYTES_MIN = 1_000_000


class _AbandonedError(Exception):
    """Takes the way of any other error, so that what was begun is cleared away."""


class PartFile:
    """Takes rows in order; memory is bounded by two row groups, and the bytes do not depend on batches.

    Parameters
    ----------
    path
        Name that the file gets when it is closed; until then it lies beside it under another.
    schema
        Schema of all its rows.
    group_rows
        Rows of a row group.
    adopt
        Whether the file may be there already, from an epoch that was cut off and is redone.
    pool
        What writes a row group while the next is gathered.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        group_rows: int,
        *,
        adopt: bool = False,
        pool: Executor | None = None,
    ) -> None:
        self.path, self._group_rows = path, group_rows
        self.is_full = False
        """Whether it takes no more rows."""
        self._pool = pool or InTurn()
        self._in_writing: Future[None] | None = None
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._spilled, self._weighed, self._weight = 0, 0, 0
        """Pieces that are on the disk, those whose bytes are known, and the bytes of the latter in memory."""
        self._bounds: dict[str, list[int]] = {}
        self._nulls = {name: 0 for name in schema.names if name in _STATISTICS}
        self._rows = 0
        with ExitStack() as begun:
            # The writer writes as soon as it is made; its error, too, leaves by way of `publishing`.
            self._temporary = begun.enter_context(publishing(path, adopt=adopt))
            self._writer = begun.enter_context(writer(self._temporary, schema))
            self._open = begun.pop_all()

    def append(self, rows: pa.Table) -> pa.Table:
        """Add rows; whole row groups go to the file. What comes behind a full file is given back."""
        while rows.num_rows and not self.is_full:
            part = rows.slice(0, self._group_rows - self._waiting_rows)
            rows = rows.slice(part.num_rows)
            self._waiting.append(part)
            self._waiting_rows += part.num_rows
            if self._waiting_rows == self._group_rows:
                self._flush()
        return rows

    def spill(self) -> int:
        """Move the rows that wait for their row group to the disk; their bytes, 0 if it was not worth it.

        They come back as they are written out, mapped, in the same pieces: the file keeps its bytes.
        """
        # Each piece is weighed once: small ones may be many.
        self._weight += sum(rows.nbytes for rows in self._waiting[self._weighed :])
        self._weighed = len(self._waiting)
        if self._weight < max(1, SPILL_BYTES_MIN):
            return 0
        held = self._waiting[self._spilled :]
        with self._or_unpublished():
            self._waiting[self._spilled :] = [_moved_to_disk(held, spill_path(self.path))]
        size_bytes, self._weight = self._weight, 0
        self._spilled = self._weighed = len(self._waiting)
        return size_bytes

    def abandon(self) -> None:
        """Let go of the file without publishing it: now, not whenever it is collected as garbage.

        By then a run that goes on may write a file of the same name.
        """
        with suppress(Exception):
            self._settle()
        with suppress(_AbandonedError), self._open:
            raise _AbandonedError

    def close(self) -> None:
        """Write the rest and publish the file."""
        self.seal()
        self._open.close()

    def seal(self) -> None:
        """Write the rest: the file is whole, and open no more, but has no name yet."""
        self._flush()
        with self._or_unpublished():
            self._settle()
            self._writer.close()

    def statistics(self) -> dict[str, Any]:
        """Rows, bounds and nulls in the form of the Delta log."""
        return {
            "numRecords": self._rows,
            "minValues": {name: bounds[0] for name, bounds in self._bounds.items()},
            "maxValues": {name: bounds[1] for name, bounds in self._bounds.items()},
            "nullCount": self._nulls,
        }

    def _flush(self) -> None:
        """Write what waits as one row group, once the one before it is written."""
        if not self._waiting:
            return
        rows = pa.concat_tables(self._waiting)
        self._waiting, self._waiting_rows = [], 0
        self._spilled, self._weighed, self._weight = 0, 0, 0
        with self._or_unpublished():
            self._settle()
            # As large as it was before this row group: whether it is written by now must not matter.
            self.is_full = self._temporary.stat().st_size >= FULL_BYTES
            self._in_writing = self._pool.submit(self._write, rows)

    def _write(self, rows: pa.Table) -> None:
        self._measure(rows)
        self._writer.write_table(rows, row_group_size=self._group_rows)

    def _settle(self) -> None:
        """Wait for the row group that is being written; its error is raised here."""
        if self._in_writing is not None:
            in_writing, self._in_writing = self._in_writing, None
            in_writing.result()

    @contextmanager
    def _or_unpublished(self) -> Iterator[None]:
        with ExitStack() as unless_done:
            # An error leaves by way of `publishing`, which removes the file and tells what happened.
            unless_done.push(self._open)
            yield
            unless_done.pop_all()

    def _measure(self, rows: pa.Table) -> None:
        self._rows += rows.num_rows
        for name in self._nulls:
            column = rows.column(name)
            self._nulls[name] += column.null_count
            if column.null_count < len(column):
                low, high = (bound.as_py() for bound in pc.min_max(column).values())
                known = self._bounds.setdefault(name, [low, high])
                known[:] = min(low, known[0]), max(high, known[1])


def spill_path(path: Path) -> Path:
    """Where the waiting rows of a part go for a moment; recovery knows the name as that of a leftover."""
    return path.with_name(f".{path.stem}.spill{path.suffix}.partial")


def _moved_to_disk(waiting: list[pa.Table], path: Path) -> pa.Table:
    """The same rows in the same pieces, mapped from a file that has no name any more.

    Without a name nothing has to be cleaned up: its space is free when the rows are. Never synced: after a
    crash its epoch is redone.
    """
    try:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, waiting[0].schema) as writer:
            for rows in waiting:
                writer.write_table(rows)
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    finally:
        path.unlink(missing_ok=True)


def writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A Parquet file with the encodings that were chosen by measurement, see ``rlx bench write``.

    What comes as numbers and a dictionary is written as it is, without a look at each text; but the file says
    that these are texts, as they are to its readers.
    """
    names = schema.names
    made = pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level={name: _ZSTD_LEVELS.get(name, _ZSTD_LEVEL) for name in names},
        use_dictionary=[name for name in names if name in _DICTIONARY],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in names if name in _DELTA_ENCODED},
        write_statistics=[name for name in names if name in _STATISTICS],
        data_page_size=_PAGE_BYTES,
        max_rows_per_page=_PAGE_ROWS,
        write_batch_size=_BATCH_ROWS,
        write_page_checksum=True,
        store_schema=False,
    )
    made.add_key_value_metadata({"ARROW:schema": base64.b64encode(_told(schema).serialize())})
    return made


def _told(schema: pa.Schema) -> pa.Schema:
    """The schema that readers are told: dictionaries are those of their values."""
    return pa.schema(
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in schema
    )
