"""Tardis CSV files found: their data type, symbol and scales as their heads tell, and their order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path

from rlx_datapipe.core.cells import Column
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.feed import Probe, Reject
from rlx_datapipe.core.instrument import MAX_DECIMALS, Instrument
from rlx_datapipe.ingestion.csv_lines import read_lines
from rlx_datapipe.ingestion.source import Source, instrument_of
from rlx_datapipe.ingestion.tardis_rows import Table, faults_of, rejects_of
from rlx_datapipe.ingestion.wanted import Wanted
from rlx_datapipe.venues.tardis import (
    FORMAT,
    LIQUIDATIONS,
    SEQUENCE,
    TRADES,
    HeaderProblem,
    Layout,
    exchange_name,
    read_header,
)

_HEAD_CELLS = 160_000
"""Cells of a file that are looked at to find its scales: 20,000 rows of trades."""
_LINE_BYTES_MAX = 1 << 20
_PRICES_MAX = 4_096
_NUMBER = re.compile(r"\d{1,19}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_PRICES = (Column.PRICE, Column.LEVEL_PRICE)
_QUANTITIES = (Column.QUANTITY, Column.AMOUNT, Column.LEVEL_AMOUNT)


@dataclass(frozen=True)
class _Headed:
    """What the head of one file says."""

    path: Path
    layout: Layout
    exchange: str
    symbol: str
    probe: Probe
    first_us: int


def find_tardis(paths: Sequence[Path], wanted: Wanted) -> list[Source]:
    """Chains of Tardis files, by exchange and symbol; those of a day without data are passed over and told.

    Raises
    ------
    SourceError
        When the columns of a file are of no known data type, it mixes symbols, none of its first rows can be
        read, no file has any, or there are book snapshots of more than one depth.
    """
    heads: list[_Headed] = []
    for path in paths:
        head = _head(path)
        if head is None:
            wanted.on_ignored(path)
        else:
            heads.append(head)
    if not heads:
        raise SourceError(
            "holds no rows for a book", file=", ".join(map(str, paths)), remedy="Give files with data"
        )
    chains: dict[tuple[str, str], list[_Headed]] = {}
    for head in heads:
        chains.setdefault((head.exchange, head.symbol), []).append(head)
    sources = [_source(parts, wanted) for parts in chains.values()]
    for source in sources:
        _require_sound(source)
    return sources


def _source(parts: list[_Headed], wanted: Wanted) -> Source:
    _require_one_depth(parts)
    parts.sort(key=lambda part: (part.layout.table, part.first_us, part.path.name, str(part.path)))
    probes = [part.probe for part in parts]
    return Source(
        instrument=instrument_of(exchange_name(parts[0].exchange), parts[0].symbol, probes, wanted.decimals),
        format=FORMAT,
        rule=SEQUENCE,
        files=tuple(part.path for part in parts),
        tables=tuple(part.layout.table for part in parts),
    )


def _require_one_depth(parts: list[_Headed]) -> None:
    """Refuse book snapshots of several depths: where the shallow one ends, the book would seem to end."""
    depths = {part.layout.levels: part for part in parts if part.layout.levels}
    if len(depths) > 1:
        deepest = depths[max(depths)].layout.table
        raise SourceError(
            "book snapshots of more than one depth",
            file=depths[min(depths)].path,
            symbol=parts[0].symbol,
            found=", ".join(depths[levels].layout.table for levels in sorted(depths)),
            remedy=f"Give those of one depth: {deepest} has all that the others have",
        )


def _head(path: Path) -> _Headed | None:
    """What the head of a file says; None if it has no row, or none for a book."""
    layout = _layout(path)
    if layout is None:
        return None
    rows = [line.split(b",") for line in _first_lines(path, _HEAD_CELLS // len(layout.names))]
    whole = [row for row in rows if len(row) == len(layout.names)]
    if not whole:
        if not rows:
            return None
        raise SourceError(
            "has other cells than its header names",
            file=path,
            row=2,
            found=len(rows[0]),
            expected=len(layout.names),
        )
    exchanges, symbols = (sorted({row[layout.places[k]] for row in whole}) for k in range(2))
    for name, found in (("exchange", exchanges), ("symbol", symbols)):
        if len(found) > 1:
            raise SourceError(
                f"holds more than one {name}",
                file=path,
                found=", ".join(_text(one) for one in found[:5]),
                expected="one, as in files that are downloaded by symbol",
                remedy=f"Split it by its column {name}: docs/mapping.md has the line for it",
            )
    exchange, symbol = _text(exchanges[0]), _text(symbols[0])
    time = whole[0][layout.places[layout.names.index("local_timestamp")]]
    first_us = int(time) if time.isdigit() and len(time) <= 16 else 0
    return _Headed(path, layout, exchange, symbol, _probe(layout, whole), first_us)


def _layout(path: Path) -> Layout | None:
    """The data type that a file's header names; None for one that holds nothing for a book."""
    layout = read_header(next(iter(_lines(path)), b""))
    if isinstance(layout, HeaderProblem):
        if layout.is_other:
            return None
        raise SourceError(
            "columns are those of no known Tardis data type",
            file=path,
            row=1,
            found=layout.sentence,
            expected="incremental_book_L2, trades, quotes, or book_snapshot of any depth",
        )
    is_named_so = any(LIQUIDATIONS in part.split("_") for part in (path.name, *path.parent.parts))
    return None if layout.table == TRADES and is_named_so else layout


def _first_lines(path: Path, count: int) -> list[bytes]:
    return list(islice(_lines(path), 1, 1 + max(1, count)))


def _lines(path: Path) -> Iterator[bytes]:
    for lines in read_lines(path, 0, _LINE_BYTES_MAX, path.name):
        yield from (lines.text(index) for index in range(len(lines.rows)))


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")


def _probe(layout: Layout, rows: list[list[bytes]]) -> Probe:
    """Decimals and largest values of the first rows; what is no number is left out."""
    probe = Probe()
    prices: dict[bytes, None] = {}
    quantities: dict[bytes, None] = {}
    for place, (kind, _) in zip(layout.places, layout.kinds("", ""), strict=True):
        found = prices if kind in _PRICES else quantities if kind in _QUANTITIES else None
        if found is not None:
            found.update(dict.fromkeys(row[place] for row in rows))
    probe.price_decimals, probe.price_largest, texts = _needs(prices)
    probe.quantity_decimals, probe.quantity_largest, _ = _needs(quantities)
    probe.price_texts = texts[:_PRICES_MAX]
    return probe


def _needs(texts: dict[bytes, None]) -> tuple[int, int, list[str]]:
    """Decimals that numbers need, the largest whole part, and the numbers without exponents."""
    decimals = largest = 0
    plain = []
    for text in map(_text, texts):
        if not _NUMBER.fullmatch(text):
            continue
        number = Decimal(text).normalize()
        _, _, exponent = number.as_tuple()
        assert isinstance(exponent, int)  # noqa: S101 (all of them are finite)
        if -exponent > MAX_DECIMALS or number.adjusted() >= MAX_DECIMALS:
            continue
        decimals, largest = max(decimals, -exponent), max(largest, int(number))
        plain.append(f"{number:f}")
    return decimals, largest, plain


def open_table(path: Path, instrument: Instrument) -> Table:
    """How the lines of a file of a known chain are read.

    Raises
    ------
    SourceError
        When its header is not what it was.
    """
    lines = _lines(path)
    layout = read_header(next(lines, b""))
    if isinstance(layout, HeaderProblem):
        raise SourceError("is not the file that it was", file=path, row=1, found=layout.sentence)
    return Table(layout, _spelt(next(lines, b""), layout, instrument), instrument)


def _spelt(line: bytes, layout: Layout, instrument: Instrument) -> str:
    """The exchange as the file spells it."""
    cells = line.split(b",")
    given = _text(cells[layout.places[0]]) if len(cells) == len(layout.names) else ""
    return (
        given
        if exchange_name(given) == instrument.exchange
        else instrument.exchange.lower().replace("_", "-")
    )


def _require_sound(source: Source) -> None:
    """Refuse a source of which no row that was looked at can be read: one sentence for what ails them all."""
    firsts: list[tuple[Path, Reject]] = []
    for path in source.files:
        table = open_table(path, source.instrument)
        lines = next(read_lines(path, 1, _LINE_BYTES_MAX, path.name))
        rows = table.read(lines.head(_HEAD_CELLS // len(table.layout.names)))
        if not rows.faults[0].all():
            return
        one = rows.take(slice(1))
        firsts += [(path, reject) for reject in rejects_of(one, faults_of(one, table), table, path.name)]
    for path, reject in firsts:
        raise SourceError(
            f"none of its rows can be read: {reject.reason}",
            file=path,
            row=reject.row,
            field=reject.field,
            found=reject.found,
        )
