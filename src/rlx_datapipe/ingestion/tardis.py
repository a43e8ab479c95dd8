"""Tardis CSV files: read step by step, a stream for each data type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import NONE
from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.csv_lines import read_lines
from rlx_datapipe.ingestion.faults import Faults
from rlx_datapipe.ingestion.reader import AHEAD, NS_PER_MS, Step, TableReader, Task, number_messages
from rlx_datapipe.ingestion.recordings import span_ns
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.tardis_files import open_table
from rlx_datapipe.ingestion.tardis_messages import Carried, deltas, quotes, snapshots, trades
from rlx_datapipe.ingestion.tardis_rows import (
    ORIGIN,
    RECEIVED,
    Rows,
    Table,
    faults_of,
    next_cut,
    rejects_of,
)
from rlx_datapipe.venues.tardis import L2, QUOTES, TRADES

_ROWS_A_MESSAGE = 4
"""Rows that are read at a time for each message of a recording: most are one level of one."""
_HEADER_ROWS = 1


class TardisReader(TableReader):
    """Files of Tardis, each data type from day to day."""

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        self._carried = Carried()

    def steps(self, stream: int, file: int, row: int) -> Iterator[Step]:
        """The rows of a data type behind those of a file that were read, and those of the files after it."""
        for number in self.numbers(stream, file):
            yield from self._file_steps(number, row if number == file else 0)

    def state(self) -> State:
        """How far the order book has come."""
        return State({**asdict(self._carried)})

    def restore(self, state: State) -> None:
        """Go on with the order book."""
        self._carried = Carried(*(state.integer(name) for name in asdict(self._carried)))

    def _file_steps(self, number: int, row: int) -> Iterator[Step]:
        path, settings = self.source.files[number], self.task.settings
        table = open_table(path, self.source.instrument)
        skips = self.task.skips_of(number)
        rows_max = max(1, settings.batch_rows * _ROWS_A_MESSAGE // max(1, 2 * table.layout.levels))
        done = max(row, _HEADER_ROWS)
        pending: Rows | None = None
        for lines in read_lines(path, done, settings.line_bytes_max, path.name):
            if len(lines.rows):
                self.task.begin(number, int(lines.rows[0]), int(lines.rows[-1]))
            read = table.read(lines, skips)
            pending = pending.joined(read) if pending is not None else read
            try:
                while len(pending) and (
                    cut := next_cut(
                        pending, table.layout.table, rows_max, span_ns(settings), is_last=lines.is_last
                    )
                ):
                    step, pending = pending.take(slice(cut)), pending.take(slice(cut, None))
                    done = step.number(-1)
                    breaks_off = lines.end is not None and not len(pending)
                    parsed = self._parse(step, table, number, skips, breaks_off=breaks_off)
                    yield Step(parsed, number, done, lines.consumed)
            except SourceError as error:
                raise SourceError(error.what, file=path, remedy=error.remedy, **error.facts) from error
            if lines.end is not None:
                yield Step(Parsed(rejects=[lines.end]), number, lines.end.row, lines.consumed)

    def _parse(self, rows: Rows, table: Table, number: int, skips: list[Skip], *, breaks_off: bool) -> Parsed:
        """What whole messages became."""
        faults = faults_of(rows, table, skips)
        lead_ns = rows.values[ORIGIN] - rows.values[RECEIVED]
        is_ahead = (lead_ns > self.task.settings.skew_max_ms * NS_PER_MS) & (rows.values[RECEIVED] != NONE)
        faults.add(is_ahead, "timestamp", AHEAD)
        kind = table.layout.table
        if kind == L2:
            parsed = deltas(rows, faults, number, self._carried, breaks_off=breaks_off)
        else:
            parsed = _MADE_OF.get(kind, snapshots)(rows, faults)
            parsed.counts = Counter({kind: int(faults.good.sum())})
        parsed.rejects = rejects_of(rows, faults, table, self.source.files[number].name)
        number_messages(parsed, number)
        return parsed


_MADE_OF: dict[str, Callable[[Rows, Faults], Parsed]] = {TRADES: trades, QUOTES: quotes}
