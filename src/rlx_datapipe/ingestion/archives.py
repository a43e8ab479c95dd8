"""Archives of Crypto Lake: their tables found and read, a stream for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rlx_datapipe.ingestion.found import refuse_lake_copies
from rlx_datapipe.ingestion.lake import (
    LakeFile,
    describe_lake_file,
    find_lake_files,
    probe_lake,
    read_lake_rows,
)
from rlx_datapipe.ingestion.reader import Step, TableReader, number_messages, refuse_future
from rlx_datapipe.ingestion.recordings import span_ns
from rlx_datapipe.ingestion.source import Source, instrument_of
from rlx_datapipe.ingestion.wanted import Wanted
from rlx_datapipe.venues import crypto_lake

LAKE = "crypto-lake"
_ROWS_A_MESSAGE = 4
"""Rows of an archive that are read at a time for each message of a recording: a row is one level of one."""


class ArchiveReader(TableReader):
    """Tables of the archive, each read from file to file."""

    def steps(self, stream: int, file: int, row: int) -> Iterator[Step]:
        """The rows of a table behind those of a file that were read, and those of the files after it."""
        source, settings = self.source, self.task.settings
        names = source.instrument.exchange, source.instrument.symbol
        for number in self.numbers(stream, file):
            lake = describe_lake_file(source.files[number], self.tables[stream], *names)
            lake_rows = read_lake_rows(
                lake,
                source.instrument,
                settings.batch_rows * _ROWS_A_MESSAGE,
                row if number == file else 0,
                span_ns(settings),
                skips=self.task.skips_of(number),
                begin=partial(self.task.begin, number),
            )
            for parsed, done in lake_rows:
                refuse_future(parsed, str(lake.path), settings)
                number_messages(parsed, number)
                yield Step(parsed, number, done, lake.bytes * done // max(lake.rows, done))


def find_archives(paths: Sequence[Path], wanted: Wanted) -> list[Source]:
    """Chains of Crypto Lake files, given one by one or in folders.

    Raises
    ------
    SourceError
        When nothing is found, or a file is damaged, no table of the archive, twice there, of unknown symbol.
    """
    symbol = wanted.symbols[0] if len(wanted.symbols) == 1 else ""
    files = find_lake_files(paths, wanted.exchange, symbol)
    refuse_lake_copies(files)
    chains: dict[tuple[str, str], list[LakeFile]] = {}
    for file in files:
        chains.setdefault((file.exchange, file.symbol), []).append(file)
    return [
        Source(
            instrument=instrument_of(exchange, symbol, [probe_lake(parts)], wanted.decimals),
            format=LAKE,
            rule=crypto_lake.SEQUENCE,
            files=tuple(part.path for part in parts),
            tables=tuple(part.table for part in parts),
        )
        for (exchange, symbol), parts in chains.items()
    ]
