"""Tardis CSV: its data types, their columns, what a header says, exchange names and the sequence rule."""

from __future__ import annotations

import difflib
import re

import msgspec

from rlx_datapipe.core.cells import Column, Words
from rlx_datapipe.core.sequence import Link, SequenceRule

FORMAT = "tardis"
L2, TRADES, QUOTES = "incremental_book_L2", "trades", "quotes"
BOOK = "book_snapshot"
"""With the number of levels behind it: ``book_snapshot_25``."""

OTHER_COLUMNS = {"funding_rate": "derivative_ticker", "strike_price": "options_chain"}
"""Columns that only data types have which hold nothing for a book."""
LIQUIDATIONS = "liquidations"
"""Their columns are those of trades to the letter: nothing but a file's name or folder tells them apart."""

SEQUENCE = SequenceRule(
    link=Link.UNPROVABLE,
    keeps_equal=True,
    source="docs.tardis.dev/downloadable-csv-files: rows name no update id; a message is known by its "
    "local_timestamp, a new connection by a new snapshot",
)

_HEAD = ("exchange", "symbol", "timestamp", "local_timestamp")
_LEVEL = re.compile(r"(asks|bids)\[(\d{1,4})\]\.(price|amount)")
_LEVELS_MAX = 1_000


_KINDS: dict[str, tuple[Column, Words]] = {
    "timestamp": (Column.TIME_US, ("", "")),
    "local_timestamp": (Column.TIME_US, ("", "")),
    "is_snapshot": (Column.NAME, ("false", "true")),
    "price": (Column.PRICE, ("", "")),
    "id": (Column.ID, ("", "")),
}
_SIDES = {L2: ("bid", "ask"), TRADES: ("buy", "sell")}
_TABLES: dict[str, tuple[str, ...]] = {
    L2: (*_HEAD, "is_snapshot", "side", "price", "amount"),
    TRADES: (*_HEAD, "id", "side", "price", "amount"),
    QUOTES: (*_HEAD, "ask_amount", "ask_price", "bid_price", "bid_amount"),
}


class Layout(msgspec.Struct, frozen=True):
    """A recognised data type: its columns in our order, and where in a line each stands."""

    table: str
    names: tuple[str, ...]
    places: tuple[int, ...]

    @property
    def levels(self) -> int:
        """Levels of each side in a row of a book snapshot."""
        return (len(self.names) - len(_HEAD)) // 4 if self.table.startswith(BOOK) else 0

    def kinds(self, exchange: str, symbol: str) -> list[tuple[Column, Words]]:
        """What each column of a file of one symbol holds."""
        given = {"exchange": exchange, "symbol": symbol}
        return [self._kind(name, given) for name in self.names]

    def _kind(self, name: str, given: dict[str, str]) -> tuple[Column, Words]:
        if name in given:
            return Column.NAME, (given[name], "")
        if name == "side":
            return Column.NAME, _SIDES[self.table]
        if name == "amount":
            return (Column.QUANTITY if self.table == L2 else Column.AMOUNT), ("", "")
        if name in _KINDS:
            return _KINDS[name]
        return (Column.LEVEL_PRICE if name.endswith("price") else Column.LEVEL_AMOUNT), ("", "")


class HeaderProblem(msgspec.Struct, frozen=True):
    """Why a header is that of no data type that is read: the difference to the nearest one."""

    sentence: str
    is_other: bool = False
    """Whether it is one of the data types that hold nothing for a book."""


def has_head(head: bytes) -> bool:
    """Whether a file that begins with these bytes is CSV of Tardis: its first line names their columns."""
    names = _cells(head.partition(b"\n")[0])
    return len(set(_HEAD) & set(names)) >= 3 and "local_timestamp" in names


def read_header(line: bytes) -> Layout | HeaderProblem:
    """The data type that the first line of a file names, whatever the order of its columns."""
    names = _cells(line)
    for column, table in OTHER_COLUMNS.items():
        if column in names:
            return HeaderProblem(f"{table} holds nothing for a book", is_other=True)
    if len(set(names)) != len(names):
        doubled = sorted({name for name in names if names.count(name) > 1})
        return HeaderProblem(f"a column twice: {', '.join(doubled[:5])}")
    tables = dict(_TABLES)
    if any(_LEVEL.fullmatch(name) for name in names):
        levels = min(_LEVELS_MAX, 1 + max(int(m[2]) for name in names if (m := _LEVEL.fullmatch(name))))
        tables = {f"{BOOK}_{levels}": (*_HEAD, *_level_names(levels))}
    for table, columns in tables.items():
        if set(columns) == set(names):
            return Layout(table, columns, tuple(names.index(name) for name in columns))
    return HeaderProblem(_difference(names, tables))


def _cells(line: bytes) -> list[str]:
    return line.removesuffix(b"\r").decode("utf-8", "replace").removeprefix("\ufeff").split(",")


def _level_names(levels: int) -> list[str]:
    """Level columns in our order: price and amount interleaved, all bids before all asks."""
    return [
        f"{side}[{level}].{what}"
        for side in ("bids", "asks")
        for level in range(levels)
        for what in ("price", "amount")
    ]


def _difference(names: list[str], tables: dict[str, tuple[str, ...]]) -> str:
    nearest = min(tables, key=lambda table: len(set(tables[table]) ^ set(names)))
    missing = [name for name in tables[nearest] if name not in names]
    told = []
    if missing:
        told.append(f"missing {_few(missing)}")
    if unexpected := [name for name in names if name not in tables[nearest]]:
        told.append(f"unexpected {_few([_hinted(name, missing) for name in unexpected])}")
    return f"nearest data type {nearest}: {'; '.join(told)}"


def _hinted(name: str, missing: list[str]) -> str:
    close = difflib.get_close_matches(name, missing, 1)
    return f"{name!r} (for {close[0]}?)" if close else repr(name)


def _few(told: list[str], most: int = 5) -> str:
    return ", ".join(told[:most]) + (f" and {len(told) - most} more" if len(told) > most else "")


def exchange_name(given: str) -> str:
    """The exchange as stored in a dataset: ``binance-futures`` is ``BINANCE_FUTURES``, as elsewhere."""
    return given.upper().replace("-", "_")
