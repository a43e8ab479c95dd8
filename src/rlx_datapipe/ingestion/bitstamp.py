"""Logs of Bitstamp's level-3 feed, found and read line by line."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rlx_datapipe.book.order_store import OrderStore
from rlx_datapipe.book.orders import MAX_PRICE, MAX_TOTAL
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import FIELDS, NONE, Int64Array
from rlx_datapipe.core.feed import Parsed, Probe, Reject
from rlx_datapipe.core.state import State
from rlx_datapipe.core.units import REASONS, Exactness, parse_many, scale_many
from rlx_datapipe.ingestion.bitstamp_kernel import COLUMNS, WAITING_MAX, WORDS, Column, Word, tell_orders
from rlx_datapipe.ingestion.reader import Reader, Step, Task, number_messages
from rlx_datapipe.ingestion.recordings import span_ns
from rlx_datapipe.ingestion.source import Source, instrument_of
from rlx_datapipe.ingestion.text_lines import Lines, TextLines
from rlx_datapipe.ingestion.wanted import Wanted
from rlx_datapipe.venues import bitstamp
from rlx_datapipe.venues.bitstamp import Book, Fault, Line, Number, Order, Other, Trade

Told = Line | Other | Fault | None
"""What a line was read as; None for one that is passed over."""

NS_PER_MS = 1_000_000
HEAD_LINES = 20_000
_HEADING = b"id,timestamp,exchange.timestamp,price,volume,action,direction"


def has_bitstamp_head(head: bytes) -> bool:
    """Whether a file begins as such a log, or as a list of its orders."""
    line = head.partition(b"\n")[0]
    return bitstamp.looks_like_log(line) or line.removesuffix(b"\r") == _HEADING


def find_bitstamp(paths: Sequence[Path], wanted: Wanted) -> list[Source]:
    """The one chain of such logs: their messages name no pair, so it is that of the symbol asked for.

    Raises
    ------
    SourceError
        When a file is a list of orders alone, or holds no order that can be read.
    """
    symbol = wanted.symbols[0] if len(wanted.symbols) == 1 else bitstamp.SYMBOL
    probed = sorted((_probe(path, symbol, wanted.settings.line_bytes_max), path) for path in paths)
    probes = [probe for (_, probe), _ in probed]
    exchange = wanted.exchange or bitstamp.EXCHANGE
    return [
        Source(
            instrument=instrument_of(exchange, symbol, probes, wanted.decimals),
            format=bitstamp.FORMAT,
            rule=bitstamp.SEQUENCE,
            files=tuple(path for _, path in probed),
        )
    ]


def _probe(path: Path, symbol: str, line_bytes_max: int) -> tuple[int, Probe]:
    """First time in ms, and what the head of a log says of its numbers."""
    lines = TextLines(path, line_bytes_max).take(HEAD_LINES).texts()
    if lines and lines[0].removesuffix(b"\r") == _HEADING:
        raise SourceError(
            "is a list of orders without trades and snapshots: no book can be begun from it",
            file=path,
            remedy="Give the log of the same feed, with lines '<ms> <event> <JSON>'",
        )
    told = [line for line in map(bitstamp.parse_line, lines) if isinstance(line, Line)]
    orders = [line.message for line in told if isinstance(line.message, Order)]
    if not orders:
        raise SourceError("holds no order that can be read", file=path, expected="lines of live orders")
    prices = [str(order.price) for order in orders]
    amounts = [str(order.amount) for order in orders]
    probe = Probe(
        exchange=bitstamp.EXCHANGE,
        symbols=Counter({symbol: len(told)}),
        kinds=Counter(line.op.name.lower() for line in told),
        price_decimals=max(map(_decimals, prices)),
        quantity_decimals=max(map(_decimals, amounts)),
        price_largest=max(map(_whole, prices)),
        quantity_largest=max(map(_whole, amounts)),
        price_texts=prices,
    )
    return told[0].time_ms, probe


def _decimals(text: str) -> int:
    return len(text.partition(".")[2].rstrip("0"))


def _whole(text: str) -> int:
    whole = text.partition(".")[0]
    return int(whole) if whole.isdecimal() and len(whole) < 19 else 0


class BitstampReader(Reader):
    """Logs of one recorder, one after the other. Known orders and counts are carried from line to line.

    ``anchors`` tells whether each snapshot sets the book, as it must: without, orders whose end was missed
    stay in it for ever. Only a test that shows this switches it off.
    """

    anchors = True

    def __init__(self, source: Source, task: Task) -> None:
        super().__init__(source, task)
        self._orders = OrderStore()
        self._words = np.zeros(WORDS, dtype=np.int64)

    @property
    def told(self) -> dict[str, int]:
        """How snapshots and orders have agreed so far, by the names of `bitstamp_kernel.Word`."""
        return {word.name.lower(): int(self._words[word]) for word in Word}

    def state(self) -> State:
        """Orders and counts."""
        held, levels = self._orders.to_arrays()
        return State({}, {"orders": held, "levels": levels, "words": self._words.copy()})

    def restore(self, state: State) -> None:
        """Go on with the orders and counts of another."""
        self._orders = OrderStore.from_arrays(state.array("orders", 3, None), state.array("levels", 2, None))
        self._words = state.array("words", WORDS)

    def steps(self, stream: int, file: int, row: int) -> Iterator[Step]:
        """The lines behind a row of a file, and those of the files after it.

        They end at multiples of a number of rows, and where a span of time ends. Where a file breaks off has
        a step of its own, which counts as a row.
        """
        settings = self.task.settings
        for number in range(file, len(self.source.files)):
            path, behind = self.source.files[number], row if number == file else 0
            lines = TextLines(path, settings.line_bytes_max)
            passed = lines.skip(behind)
            if passed < behind - 1:
                raise SourceError(
                    "fewer lines than were read before",
                    file=path,
                    found=passed,
                    expected=f"at least {behind}",
                    remedy="Put the file back that was read, or start anew.",
                )
            if passed < behind:
                continue
            while len((some := lines.take(settings.batch_rows - lines.row % settings.batch_rows)).starts):
                for parsed, last in self._parts(number, some, lines.row - len(some.starts) + 1):
                    number_messages(parsed, number)
                    yield Step(parsed, number, last, lines.consumed)
            if lines.row == 0:
                raise SourceError("the file holds no lines", file=path)
            if lines.damage:
                rejects = [Reject(path.name, lines.row + 1, lines.damage)]
                yield Step(Parsed(rejects=rejects), number, lines.row + 1, lines.consumed)

    def _parts(self, number: int, lines: Lines, first: int) -> Iterator[tuple[Parsed, int]]:
        """What some lines become, cut where a span of time ends, each with its last row."""
        name, span = self.source.files[number].name, span_ns(self.task.settings)
        texts = lines.texts()
        told = list(map(bitstamp.parse_line, texts))
        times = np.array([line.time_ms if isinstance(line, Line) else 0 for line in told], dtype=np.int64)
        spans = np.maximum.accumulate(times) * NS_PER_MS // span
        cuts = np.flatnonzero(np.diff(spans) > 0) + 1
        for start, stop in itertools.pairwise([0, *cuts.tolist(), len(texts)]):
            self.task.begin(number, first + start, first + stop - 1)
            part: list[Told] = list(told[start:stop])
            rejects: list[Reject] = []
            for skip in self.task.skips_of(number):
                a, b = max(first + start, skip.from_row), min(first + stop, skip.to_row + 1)
                if a < b:
                    part[a - first - start : b - first - start] = [None] * (b - a)
                    rejects.append(Reject(name, a, skip.reason, found=f"rows up to {b - 1}"))
            yield self._tell(name, texts[start:stop], part, rejects, first + start), first + stop - 1

    def _tell(
        self, file: str, texts: list[bytes], told: list[Told], rejects: list[Reject], first: int
    ) -> Parsed:
        """What lines become that were read as ``told``."""
        instrument = self.source.instrument
        numbers = [_numbers_of(line) for line in told]
        pairs = [pair for some in numbers for pair in some]
        prices, price_status = _scaled([price for price, _ in pairs], instrument.price_decimals)
        sizes, size_status = _scaled([size for _, size in pairs], instrument.quantity_decimals)
        ends = np.cumsum([0, *map(len, numbers)]).tolist()
        levels = np.ascontiguousarray(np.stack([prices, sizes], axis=1))
        parsed = Parsed(rejects=rejects)
        messages: list[list[int]] = []
        for index, read in enumerate(told):
            row, part = first + index, slice(ends[index], ends[index + 1])
            line = read
            if isinstance(read, Line):
                line = _believed(read, numbers[index], levels[part], price_status[part], size_status[part])
            if isinstance(line, Line):
                parsed.counts[line.op.name.lower()] += 1
                messages.append(_message(line, row, levels[part], part.start, part.stop))
            elif isinstance(line, Other):
                parsed.counts[line.event] += 1
                parsed.kept.append(
                    Reject(file, row, "an event that tells nothing of trades or books", raw=texts[index])
                )
            elif line is not None:
                parsed.rejects.append(Reject(file, row, line.reason, line.field, line.found, texts[index]))
        parsed.rejects.sort(key=lambda reject: reject.row)
        table = np.array(messages, dtype=np.int64).reshape(-1, COLUMNS)
        parsed.events = self._play(table, levels)
        return parsed

    def _play(self, messages: Int64Array, levels: Int64Array) -> Int64Array:
        """Events of messages."""
        self._orders.reserve(len(messages) + WAITING_MAX, 3 * len(messages) + WAITING_MAX + len(levels))
        out = np.empty((FIELDS, 3 * len(messages) + WAITING_MAX + len(levels)), dtype=np.int64)
        written = tell_orders(messages, levels, self.anchors, self._orders.state, self._words, out)
        return np.ascontiguousarray(out[:, :written])


def _numbers_of(told: Told) -> list[tuple[Number, Number]]:
    """Prices and quantities of a line; of a snapshot all bids, then all asks."""
    if not isinstance(told, Line):
        return []
    if isinstance(told.message, Book):
        return [*told.message.bids, *told.message.asks]
    return [(told.message.price, told.message.amount)]


def _scaled(numbers: list[Number], decimals: int) -> tuple[Int64Array, Int64Array]:
    """Numbers as scaled integers and their `Exactness`: texts as they stand, others by their floats."""
    values, status = np.zeros(len(numbers), dtype=np.int64), np.zeros(len(numbers), dtype=np.int64)
    texts = np.array([isinstance(number, str) for number in numbers], dtype=np.bool_)
    spelt = [number for number in numbers if isinstance(number, str)]
    values[texts], status[texts] = parse_many(spelt, decimals)
    floats = np.array([number for number in numbers if not isinstance(number, str)], dtype=np.float64)
    values[~texts], status[~texts] = scale_many(floats, decimals)
    return values, status


def _believed(
    line: Line,
    numbers: list[tuple[Number, Number]],
    levels: Int64Array,
    price_status: Int64Array,
    size_status: Int64Array,
) -> Line | Fault:
    """The line, or what is wrong with its numbers: int64 (n, 2) as far as their statuses are OK."""
    for column, (name, status) in enumerate((("price", price_status), ("amount", size_status))):
        wrong = np.flatnonzero(status)
        if len(wrong):
            found = str(numbers[int(wrong[0])][column])
            return Fault(REASONS[Exactness(int(status[wrong[0]]))], name, found)
    least = 0 if isinstance(line.message, Order) else 1
    for column, (name, low, high) in enumerate((("price", 1, MAX_PRICE), ("amount", least, MAX_TOTAL))):
        wrong = np.flatnonzero((levels[:, column] < low) | (levels[:, column] > high))
        if len(wrong):
            return Fault("out of range", name, str(numbers[int(wrong[0])][column]))
    if isinstance(line.message, Book):
        for name, sign, prices in (
            ("bids", -1, levels[: len(line.message.bids), 0]),
            ("asks", 1, levels[len(line.message.bids) :, 0]),
        ):
            if (np.diff(prices) * sign <= 0).any():
                return Fault("levels are not in their order, best first", name)
    return line


def _message(line: Line, row: int, levels: Int64Array, start: int, stop: int) -> list[int]:
    """A line as the kernel takes it, see `Column`."""
    out = [NONE] * COLUMNS
    out[Column.OP], out[Column.TIME], out[Column.ROW] = line.op, line.time_ms * NS_PER_MS, row
    if isinstance(line.message, Book):
        out[Column.BIDS], out[Column.ASKS], out[Column.STOP] = start, start + len(line.message.bids), stop
        return out
    out[Column.ID] = line.message.id
    out[Column.PRICE], out[Column.QUANTITY] = levels[0].tolist()
    side = line.message.type if isinstance(line.message, Trade) else line.message.order_type
    out[Column.SIDE] = NONE if side is None else side
    return out
