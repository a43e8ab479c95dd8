"""`rlx bench write`: rows a second of the events table, as Parquet alone and through the whole sink."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.pipeline.bench.child import only_source
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, middle, seconds
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.sink.datasink import DataSink, Pins
from rlx_datapipe.sink.event_rows import event_rows
from rlx_datapipe.store.files import sync
from rlx_datapipe.store.manifest import start_dataset
from rlx_datapipe.store.parts import ROW_GROUP_ROWS, PartFile

ROWS = 1_000_000


def measure(bench: Workbench) -> Measured:
    """Measure writing: rows a second of the events table on one core, and bytes a row.

    Parquet: rows in Arrow form to one synced file with the settings of the dataset. Sink:
    replayed arrays to committed tables, with decimals made, digests, all five tables and their logs. The
    ratio is to a plain copy of the same bytes to a new file and onto the disk.

    Input: the archive of ``reconstruct``, one million rows of it (--rows), or your own files (--source). Give
    a folder of a memory file system (--folder /dev/shm) to leave the disk out.
    """
    settings = Settings()
    source = only_source(bench.options.source or bench.archive(bench.rows(ROWS)), settings)
    bench.on_step("replaying what is to be written")
    replayed = _replayed(source, settings, bench.rows(ROWS))
    rows = pa.concat_tables([event_rows(one, source.instrument) for one in replayed])
    parquet = _parquet(bench, rows)
    sink = _sink(bench, source, replayed, rows.num_rows)
    told = {
        "rows_per_second": parquet.figure,
        "bytes_per_row": parquet.detail["bytes_per_row"],
        "sink_rows_per_second": sink.figure,
    }
    return Measured([parquet, sink], told)


def _replayed(source: Source, settings: Settings, rows: int) -> list[Replayed]:
    """The first events of a source with their book state; about as many as asked for."""
    replayer = EventReplayer(source.instrument, source.rule, settings)
    replayed: list[Replayed] = []
    count = 0
    for batch in DataIngestion(source, settings):
        for one in replayer.replay(batch.events):
            replayed.append(one)
            count += one.events.shape[1]
        if count >= rows:
            break
    return replayed


def _parquet(bench: Workbench, rows: pa.Table) -> Figure:
    folder = bench.new_folder("events")
    folder.mkdir()
    path = folder / "events.parquet"
    step = Settings().batch_rows

    def write() -> None:
        path.unlink(missing_ok=True)
        part = PartFile(path, rows.schema, ROW_GROUP_ROWS["events"])
        for start in range(0, rows.num_rows, step):
            rest = part.append(rows.slice(start, step))
            while rest.num_rows:
                # In a dataset the rest of a full file goes to the next one; here to the same.
                part.is_full = False
                rest = part.append(rest)
        part.close()

    bench.on_step(f"writing {rows.num_rows:,} rows of events")
    write()
    took_s = seconds(write, bench.options.repeats)
    copy_s = _copy_s(path, bench.options.repeats)
    size_bytes = path.stat().st_size
    shutil.rmtree(folder)
    return Figure(
        claim="write, Parquet",
        figure=rows.num_rows / took_s,
        unit="rows/s",
        ratio=copy_s / took_s,
        ratio_to="plain copy",
        detail={
            "rows": rows.num_rows,
            "bytes_per_row": size_bytes / rows.num_rows,
            "file_bytes": size_bytes,
            "copy_megabytes_per_second": size_bytes / copy_s / 1e6,
        },
    )


def _copy_s(path: Path, repeats: int) -> float:
    """Time to write the bytes of a file to another one and onto the disk."""
    content = path.read_bytes()
    copied = path.with_suffix(".copy")

    def copy() -> None:
        copied.write_bytes(content)
        sync(copied)

    took_s = []
    for _ in range(repeats):
        took_s.append(seconds(copy, 1))
        copied.unlink()
    return middle(took_s)


def _sink(bench: Workbench, source: Source, replayed: list[Replayed], rows: int) -> Figure:
    instrument = source.instrument
    sizes: list[int] = []
    copies: list[float] = []

    def write(folder: Path) -> None:
        chains = [f"{instrument.exchange}/{instrument.symbol}"]
        start_dataset(folder, WRITER, Settings(), chains, resume=False)
        with DataSink(folder, instrument) as sink:
            sink.begin()
            for one in replayed:
                sink.add(one)
            sink.commit(Pins((), "", WRITER), {}, {"summary": {}, "digests": sink.digests})

    bench.on_step(f"writing {rows:,} events through the sink")
    took_s = []
    for _ in range(bench.options.repeats + 1):
        folder = bench.new_folder("sink")
        took_s.append(seconds(lambda folder=folder: write(folder), 1))  # type: ignore[misc]
        files = sorted(folder.rglob("*.parquet"))
        sizes.append(sum(file.stat().st_size for file in files))
        copies.append(sum(_copy_s(file, 1) for file in files))
        shutil.rmtree(folder)
    # The first one loads the kernels.
    rate = rows / middle(took_s[1:])
    return Figure(
        claim="write, sink",
        figure=rate,
        unit="rows/s",
        ratio=middle(copies) / middle(took_s[1:]),
        ratio_to="plain copy",
        detail={"rows": rows, "bytes_per_row": sizes[0] / rows},
    )
