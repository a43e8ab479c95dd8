"""Read a dataset: lazy Polars frames, exact columns, digests."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from rlx_datapipe.core.errors import DatasetError, UnfinishedError
from rlx_datapipe.core.schema import SCHEMAS, TABLES
from rlx_datapipe.store.chain_rows import chain_batches
from rlx_datapipe.store.digest import TableDigest, combine
from rlx_datapipe.store.layout import place_problem, slug
from rlx_datapipe.store.manifest import Manifest, read_manifest
from rlx_datapipe.store.tables import data_files, digest_name
from rlx_datapipe.store.verify import chain_name, chain_problems, unfinished_chains, verify_dataset

Order = Literal["event", "received"]

DAMAGED = "Restore it whole from a backup, or reconstruct it in a new folder"
GO_ON = "Go on by the same rlx reconstruct command with --resume"


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk; its tables are Polars lazy frames with times as UTC datetimes.

    ``order="event"`` keeps the total order of events; ``order="received"`` sorts by the time at which the
    recorder had them (what an agent could have known), ties in event order.
    """

    path: Path
    manifest: Manifest

    def table(self, name: str, *, symbol: str | None = None, order: Order = "event") -> pl.LazyFrame:
        """One table as a lazy frame, all chains or one symbol's.

        Raises
        ------
        DatasetError
            For an unknown table or symbol.
        """
        if name not in SCHEMAS:
            raise DatasetError(f"no table {name!r}", expected=", ".join(TABLES))
        if order not in get_args(Order):
            raise DatasetError(f"no order {order!r}", expected=", ".join(get_args(Order)))
        chains = self.manifest.chains if symbol is None else (self.manifest.chain(symbol),)
        # Chains that were not finished have files too, but are no part of the dataset.
        names = [(chain.instrument.exchange, chain.instrument.symbol) for chain in chains]
        paths = [file.path for file in data_files(self.path, name) if (file.exchange, file.symbol) in names]
        if not paths:
            return pl.LazyFrame(schema=_polars_schema(name)).with_columns(_times(name))
        # Polars takes every `name=value` of a path for a partition, also those above the dataset.
        above = {part.partition("=")[0]: pl.String for part in paths[0].parts if "=" in part}
        hive = {**above, "exchange": pl.String, "symbol": pl.String, "date": pl.Date}
        frame = pl.scan_parquet(paths, glob=False, hive_partitioning=True, hive_schema=hive)
        folded = {slug(real): real for pair in names for real in pair if slug(real) != real}
        if folded:
            frame = frame.with_columns(pl.col("exchange", "symbol").replace(folded))
        frame = frame.select("exchange", "symbol", "date", *SCHEMAS[name].names).with_columns(_times(name))
        if order == "received" and "received_time" in SCHEMAS[name].names:
            frame = frame.sort("received_time", maintain_order=True)
        return frame

    def tick_size(self, symbol: str | None = None) -> Decimal:
        """Price step of a symbol: the coarsest grid that holds every price at the head of its source."""
        instrument = self.manifest.chain(symbol).instrument
        return Decimal(instrument.price_step).scaleb(-instrument.price_decimals)

    def __repr__(self) -> str:
        chains = ", ".join(chain_name(chain.instrument) for chain in self.manifest.chains)
        missing = ", ".join(self.manifest.unfinished)
        return f"<Dataset {self.path}: {chains}{'; unfinished, not in it: ' + missing if missing else ''}>"

    @property
    def events(self) -> pl.LazyFrame:
        """Every market event in the total order."""
        return self.table("events")

    @property
    def books(self) -> pl.LazyFrame:
        """The top levels at the dataset's cadence."""
        return self.table("books")

    @property
    def keyframes(self) -> pl.LazyFrame:
        """The full books from which any state is rebuilt."""
        return self.table("keyframes")

    @property
    def quality(self) -> pl.LazyFrame:
        """Everything that is not perfect."""
        return self.table("quality")

    @property
    def quotes(self) -> pl.LazyFrame:
        """The venue's own statements of its best prices."""
        return self.table("quotes")


def open_dataset(path: str | Path, *, verify: bool = False) -> Dataset:
    """Open the folder that `reconstruct` made.

    Reading checks little: Polars does not look at the checksums of a data file's pages, so a bit that flipped
    on the disk, or while the folder was copied, can come out as a wrong value. With ``verify`` every commit
    and the bytes of every committed file are first compared with what was committed, as by
    ``rlx inspect --deep``; that reads each file once.

    Raises
    ------
    DatasetError
        When it is not a dataset, or one whose logs are not those of a finished run: changed, or put back from
        an older backup. With ``verify`` also when a file is not what was committed.
    UnfinishedError
        When none of its chains is finished.
    """
    dataset = find_dataset(path)
    problems = verify_dataset(dataset.path, dataset.manifest).problems if verify else []
    if problems:
        raise DatasetError(
            "is not what was committed",
            file=dataset.path,
            found=problems[0] + (f", and {len(problems) - 1} more" if len(problems) > 1 else ""),
            remedy=DAMAGED,
        )
    for chain in dataset.manifest.chains:
        for problem in chain_problems(dataset.path, chain):
            raise DatasetError(problem, file=dataset.path, remedy=DAMAGED)
    return dataset


def find_dataset(path: str | Path) -> Dataset:
    """As `open_dataset`, but nothing is asked of the logs: for those who look for what is wrong.

    Raises
    ------
    DatasetError
        When it is not a dataset.
    UnfinishedError
        When none of its chains is finished.
    """
    folder = Path(path)
    if problem := place_problem(folder):
        raise DatasetError(problem, file=folder, remedy="Move it elsewhere")
    manifest = read_manifest(folder)
    if not manifest.chains:
        standings = unfinished_chains(folder, manifest)
        raise UnfinishedError(
            "holds no finished symbol yet: its reconstruction was interrupted",
            file=folder,
            committed=", ".join(f"{one.chain} {one.events:,} events" for one in standings) or "nothing",
            remedy=GO_ON,
        )
    return Dataset(folder, manifest)


def dataset_digest(dataset: Dataset) -> str:
    """BLAKE3 over the logical rows of all tables, read back from the files, in hex."""
    digests = {}
    for chain in dataset.manifest.chains:
        for table in TABLES:
            running = TableDigest(SCHEMAS[table])
            for rows in chain_batches(dataset.path, table, chain):
                running.update(rows)
            digests[digest_name(table, chain.instrument.exchange, chain.instrument.symbol)] = (
                running.hexdigest()
            )
    return combine(digests)


def _polars_schema(name: str) -> dict[str, pl.DataType]:
    empty = pl.from_arrow(SCHEMAS[name].empty_table())
    assert isinstance(empty, pl.DataFrame)  # noqa: S101 (for the type checker: a table never becomes a series)
    return {"exchange": pl.String(), "symbol": pl.String(), "date": pl.Date(), **empty.schema}


def _times(name: str) -> list[pl.Expr]:
    times = [field.name for field in SCHEMAS[name] if (field.metadata or {}).get(b"unit") == b"ns"]
    return [pl.from_epoch(pl.col(time), "ns").dt.replace_time_zone("UTC") for time in times]
