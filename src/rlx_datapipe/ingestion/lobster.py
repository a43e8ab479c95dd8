"""LOBSTER pairs: a message file and an orderbook file, or the zip of both, found and read line by line."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlx_datapipe.book.order_store import OrderStore
from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.core.event import FIELDS, NONE, Int64Array
from rlx_datapipe.core.feed import Parsed, Reject
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Quality
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.lobster_kernel import (
    LIMIT,
    NO_LIMIT,
    WORDS,
    Word,
    events_of_message,
    new_view,
    tell_messages,
)
from rlx_datapipe.ingestion.number_lines import Columns, NumberLines
from rlx_datapipe.ingestion.reader import Reader, Step, Task, number_messages
from rlx_datapipe.ingestion.recordings import span_ns
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.text_lines import ZIP_MAGIC, Lines, TextLines
from rlx_datapipe.ingestion.wanted import Wanted
from rlx_datapipe.venues import lobster

MESSAGES, ROWS, ZIP = "message", "orderbook", "zip"
_ZIPPED = re.compile(rb"_\d+_(?:message|orderbook)_\d{1,4}\.csv", re.ASCII)
_MANY = 1 << 40
_NO_MESSAGE, _NO_ROW = "has rows without a message", "ends before its message file"


def has_lobster_head(head: bytes) -> bool:
    """Whether a file begins as one of a pair, or as a zip of one."""
    if head.startswith(ZIP_MAGIC):
        return _ZIPPED.search(head) is not None
    line = head.partition(b"\n")[0]
    return lobster.looks_like_messages(line) or lobster.levels_of_line(line.removesuffix(b"\r")) > 0


@dataclass(frozen=True)
class Pair:
    """A message file and its orderbook file; of a zip both are the zip, and ``members`` its files."""

    name: lobster.Name
    files: tuple[Path, ...]
    members: tuple[str, str] = ("", "")


def find_lobster(paths: Sequence[Path], wanted: Wanted) -> list[Source]:
    """Chains of pairs, by ticker, day after day.

    Raises
    ------
    SourceError
        When a file has no other half, or a name that tells no day, or a day is there twice.
    OptionError
        When other decimals are asked for than the format has.
    """
    for given, has in zip(wanted.decimals, (lobster.PRICE_DECIMALS, lobster.QUANTITY_DECIMALS), strict=True):
        if given not in (None, has):
            raise OptionError("LOBSTER files have fixed decimals", found=given, expected=has)
    pairs = _pairs(paths)
    chains: dict[str, list[Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: (pair.name.ticker, pair.name.date, pair.name.window)):
        days = chains.setdefault(pair.name.ticker, [])
        if days and days[-1].name.date == pair.name.date:
            raise SourceError(
                "is of a ticker and day that another file that was given is of, too",
                file=pair.files[0],
                other=days[-1].files[0],
                remedy="Give one of them",
            )
        days.append(pair)
    return [
        Source(
            instrument=Instrument(
                wanted.exchange or lobster.EXCHANGE,
                ticker,
                lobster.PRICE_DECIMALS,
                lobster.QUANTITY_DECIMALS,
                lobster.PRICE_STEP,
            ),
            format=lobster.FORMAT,
            rule=lobster.SEQUENCE,
            files=tuple(path for day in days for path in day.files),
            tables=tuple(table for day in days for table in _tables(day)),
        )
        for ticker, days in chains.items()
    ]


def _tables(pair: Pair) -> tuple[str, ...]:
    return (ZIP,) if pair.members[0] else (MESSAGES, ROWS)


def _pairs(paths: Sequence[Path]) -> list[Pair]:
    pairs, halves = [], {}
    for path in paths:
        with path.open("rb") as file:
            is_zip = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        if is_zip:
            pairs.append(zipped_pair(path))
        else:
            halves[path.parent / _named(path).other] = path
    for other, path in halves.items():
        if other not in halves.values():
            raise SourceError(
                "is one half of a pair whose other half was not given",
                file=path,
                expected=other.name,
                remedy="Give both files",
            )
        if _named(path).kind == MESSAGES:
            pairs.append(Pair(_named(path), (path, other)))
    return pairs


def _named(path: Path) -> lobster.Name:
    name = lobster.parse_name(path.name)
    if name is None:
        raise SourceError(
            "has rows of LOBSTER but a name that tells no ticker and day",
            file=path,
            expected="TICKER_YYYY-MM-DD_START_END_message_LEVELS.csv, or ..._orderbook_...",
            remedy="Give it the name that it had",
        )
    return name


def zipped_pair(path: Path) -> Pair:
    """The pair that a zip holds.

    Raises
    ------
    SourceError
        When it can't be opened, or does not hold one pair.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"can't be unzipped ({error})", file=path) from error
    named = {member: name for member in members if (name := lobster.parse_name(Path(member).name))}
    messages = [member for member, name in named.items() if name.kind == MESSAGES]
    rows = [member for member, name in named.items() if name.kind == ROWS]
    if len(messages) != 1 or len(rows) != 1 or named[messages[0]].other != Path(rows[0]).name:
        raise SourceError(
            "is a zip of other things than one message file and its orderbook file",
            file=path,
            found=", ".join(members[:6]),
            remedy="Unzip it, and give the files",
        )
    return Pair(named[messages[0]], (path,), (messages[0], rows[0]))


_MESSAGE = Columns(
    lobster.MESSAGE_FIELDS, lobster.MESSAGE_DECIMALS, lobster.message_faults, lobster.message_fault
)


class LobsterReader(Reader):
    """The pairs of a ticker, day after day: rows of both files side by side.

    Known orders, the visible book and the counts are carried from row to row. With a new day the view begins
    anew: its first row tells all levels.
    """

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        self._orders = OrderStore()
        self._view = new_view(1)
        self._words = np.zeros(WORDS, dtype=np.int64)
        self._words[Word.LAST_TIME] = NONE

    def steps(self, stream: int, file: int, row: int) -> Iterator[Step]:
        """The rows behind one of a file, and those of the days after it; counted in the message file."""
        for number, table in enumerate(self.source.tables):
            if number < file or table == ROWS:
                continue
            yield from _Day(self, number).steps(row if number == file else 0)

    @property
    def told(self) -> dict[str, int]:
        """How rows and messages have agreed so far, by the names of `lobster_kernel.Word`."""
        return {word.name.lower(): int(self._words[word]) for word in Word}

    def state(self) -> State:
        """Orders, view and counts."""
        held, levels = self._orders.to_arrays()
        arrays = {"orders": held, "levels": levels, "view": self._view.copy(), "words": self._words.copy()}
        return State({}, arrays)

    def restore(self, state: State) -> None:
        """Go on with the orders, view and counts of another."""
        self._orders = OrderStore.from_arrays(state.array("orders", 3, None), state.array("levels", 2, None))
        self._view, self._words = state.array("view", 2, None), state.array("words", WORDS)

    def begin_day(self, levels: int) -> None:
        """Forget the view of the day before: what is held of it is not known any more."""
        view = new_view(max(levels, int(self._view[:, 0].max(initial=0))))
        held = min(view.shape[1], self._view.shape[1])
        view[:, :held] = self._view[:, :held]
        view[:, LIMIT] = -NO_LIMIT
        self._view = view

    def tell(
        self, messages: Int64Array, rows: Int64Array, readable: Int64Array, first_row: int, midnight_ns: int
    ) -> Int64Array:
        """Events of some messages and rows, see `tell_messages`."""
        count, levels = len(messages), rows.shape[1] // 4
        self._orders.reserve(count, count * (2 * levels + 1))
        out = np.empty((FIELDS, count * events_of_message(levels) + self._view.shape[1] * 2), dtype=np.int64)
        written = tell_messages(
            messages, rows, readable, first_row, midnight_ns,
            self._orders.state, self._view, self._words, out,
        )  # fmt: skip
        return np.ascontiguousarray(out[:, :written])


class _Day:
    """One pair being read."""

    def __init__(self, reader: LobsterReader, number: int) -> None:
        source = reader.source
        path = source.files[number]
        pair = (
            zipped_pair(path)
            if source.tables[number] == ZIP
            else Pair(_named(path), (path, source.files[number + 1]))
        )
        self.reader, self.number, self.path, self.levels = reader, number, path, pair.name.levels
        self.midnight_ns = lobster.midnight_ns(pair.name.date)
        settings = reader.task.settings
        paths = (pair.files[0], pair.files[-1])
        self.names = pair.members if pair.members[0] else (paths[0].name, paths[1].name)
        self.lines = [
            TextLines(path, settings.line_bytes_max, member)
            for path, member in zip(paths, pair.members, strict=True)
        ]
        names = tuple(
            f"{name}_{level}" for level in range(1, self.levels + 1) for name in lobster.LEVEL_FIELDS
        )
        self.row_columns = Columns(
            names, np.zeros(len(names), dtype=np.int64), lobster.row_faults, lobster.row_fault
        )
        self.at_once = max(1, settings.batch_rows // (4 * self.levels))
        self.span_ns = span_ns(settings)

    def steps(self, row: int) -> Iterator[Step]:
        """The rows behind one; they end at multiples of a number of rows, and where a span of time ends.

        What is wrong at the end of a file has a step of its own, which counts as a row.
        """
        messages, rows = self.lines
        passed = messages.skip(row)
        rows.skip(row)
        if passed < row - 1:
            raise SourceError(
                "fewer lines than were read before",
                file=self.path,
                found=passed,
                expected=f"at least {row}",
                remedy="Put the file back that was read, or start anew.",
            )
        if passed < row:
            return
        if row == 0:
            self.reader.begin_day(self.levels)
        while len((some := messages.take(self.at_once - messages.row % self.at_once)).starts):
            yield from self._parts(some, rows.take(len(some.starts)))
        if messages.row == 0:
            raise SourceError("the file holds no lines", file=self.path)
        rejects = self._ends()
        if rejects:
            yield self._step(Parsed(rejects=rejects), messages.row + 1)

    def _step(self, parsed: Parsed, row: int) -> Step:
        number_messages(parsed, self.number)
        return Step(parsed, self.number, row, self.consumed())

    def consumed(self) -> int:
        """Bytes read; of a pair in one zip, of both its halves."""
        return sum(lines.consumed for lines in self.lines)

    def _ends(self) -> list[Reject]:
        """What is wrong with where the files end."""
        messages, rows = self.lines
        rejects = [
            Reject(name, lines.row + 1, lines.damage)
            for name, lines in zip(self.names, self.lines, strict=True)
            if lines.damage
        ]
        if rejects:
            return rejects
        more = rows.skip(_MANY)
        if more:
            rejects.append(Reject(self.names[1], messages.row + 1, _NO_MESSAGE, found=f"{more} rows more"))
        elif rows.row < messages.row:
            found = f"{messages.row - rows.row} rows less"
            rejects.append(Reject(self.names[1], rows.row + 1, _NO_ROW, found=found))
        return rejects

    def _parts(self, some: Lines, stated: Lines) -> Iterator[Step]:
        """Steps of some lines of both files."""
        count, first = len(some.starts), self.lines[0].row - len(some.starts) + 1
        messages = NumberLines(self.names[0], some, first, count, _MESSAGE)
        rows = NumberLines(self.names[1], stated, first, count, self.row_columns)
        readable = np.stack([messages.is_sound, rows.is_sound], axis=1)
        times = np.maximum.accumulate(messages.numbers[:, lobster.TIME] * messages.is_sound)
        cuts = np.flatnonzero(np.diff(times // self.span_ns) > 0) + 1
        for start, stop in itertools.pairwise([0, *cuts.tolist(), count]):
            self.reader.task.begin(self.number, first + start, first + stop - 1)
            rejects = [*messages.rejects(start, stop), *rows.rejects(start, stop)]
            for skip in self.reader.task.skips_of(self.number):
                a, b = max(start, skip.from_row - first), min(stop, skip.to_row + 1 - first)
                if a < b:
                    readable[a:b] = 0
                    found = f"rows up to {first + b - 1}"
                    rejects.append(Reject(self.names[0], first + a, skip.reason, found=found))
            rejects.sort(key=lambda reject: reject.row)
            part = slice(start, stop)
            events = self.reader.tell(
                messages.numbers[part], rows.numbers[part], readable[part], first + start, self.midnight_ns
            )
            told = messages.numbers[part][readable[part, 0] == 1]
            kinds = told[:, lobster.TYPE].tolist()
            counts = Counter(lobster.TYPE_NAMES[lobster.Type(kind)] for kind in kinds)
            parsed = Parsed(events=events, rejects=rejects, counts=counts, records=self._halts(told))
            yield self._step(parsed, first + stop - 1)

    def _halts(self, messages: Int64Array) -> list[Quality]:
        """What messages of type 7 tell."""
        halts = messages[messages[:, lobster.TYPE] == lobster.Type.HALT]
        return [
            Quality(
                kind="halt",
                severity=Severity.NOTE,
                detail=lobster.HALTS[price],
                from_time=self.midnight_ns + time,
                to_time=self.midnight_ns + time,
            )
            for time, price in halts[:, [lobster.TIME, lobster.PRICE]].tolist()
        ]
