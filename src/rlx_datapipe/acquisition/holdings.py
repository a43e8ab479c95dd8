"""What is wanted of an archive, and what it holds: files by table, symbol and day, and the days missing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import msgspec

from rlx_datapipe.acquisition.staged import ArchiveKey
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.venues import crypto_lake as lake

_DAY = dt.timedelta(days=1)


class Wanted(msgspec.Struct, frozen=True):
    """Which part of an archive is meant; what is empty or None bounds nothing. Both days are included."""

    exchanges: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    first: dt.date | None = None
    last: dt.date | None = None

    def takes(self, key: ArchiveKey) -> bool:
        """Whether a file is part of it."""
        return (
            self.takes_exchange(key.exchange)
            and self.takes_symbol(key.symbol, key.exchange)
            and (self.first is None or self.first <= key.date)
            and (self.last is None or key.date <= self.last)
        )

    def takes_exchange(self, exchange: str) -> bool:
        """Whether anything of an exchange is part of it."""
        return not self.exchanges or exchange in self.exchanges

    def takes_symbol(self, symbol: str, exchange: str) -> bool:
        """Whether a symbol is meant: as it is written, or as the archive would write it."""
        return not self.symbols or any(symbol in _spellings(one, exchange) for one in self.symbols)


class LakeFile(msgspec.Struct, frozen=True):
    """One file of the archive: what its path says, where it is below the root, and what is known of it.

    ``size_bytes`` is -1, and ``etag`` empty, where only an index told of it.
    """

    key: ArchiveKey
    path: str
    size_bytes: int
    etag: str
    rows: int | None = None


class Series(msgspec.Struct, frozen=True):
    """One table of one symbol: its files by day."""

    table: str
    exchange: str
    symbol: str
    files: tuple[LakeFile, ...]

    @property
    def days(self) -> list[dt.date]:
        """Days with a file, in order."""
        return sorted({file.key.date for file in self.files})

    @property
    def size_bytes(self) -> int | None:
        """Of all files together; None where it is not known of each."""
        sizes = [file.size_bytes for file in self.files]
        return None if any(size < 0 for size in sizes) else sum(sizes)

    @property
    def rows(self) -> int | None:
        """Of all files together; None where it is not known of each."""
        counts = [file.rows for file in self.files]
        return None if any(count is None for count in counts) else sum(count or 0 for count in counts)

    def missing(self, first: dt.date | None = None, last: dt.date | None = None) -> list[dt.date]:
        """Days without a file from the first to the last; by default those of the series itself."""
        days = self.days
        there = set(days)
        return [day for day in days_between(first or days[0], last or days[-1]) if day not in there]


class Inventory(msgspec.Struct, frozen=True):
    """What was found of what was wanted, and how.

    ``told`` are sentences on what is odd: an index that is stale or useless, files that are no day's.
    """

    archive: str
    series: tuple[Series, ...]
    found_by: dict[str, str]
    """Table -> ``list``, ``index``, or ``index and list``: names by the index, sizes by lists."""
    told: tuple[str, ...] = ()

    @property
    def files(self) -> list[LakeFile]:
        """All files, in the order of series, then day, then name."""
        return [file for one in self.series for file in one.files]


def days_between(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """All days from one to another, both included."""
    while first <= last:
        yield first
        first += _DAY


def as_facts(inventory: Inventory, wanted: Wanted) -> dict[str, Any]:
    """An inventory for JSON; missing are days between the first and the last, or those asked for."""
    return {
        "archive": inventory.archive,
        "found_by": inventory.found_by,
        "told": list(inventory.told),
        "series": [
            {
                "table": one.table,
                "exchange": one.exchange,
                "symbol": one.symbol,
                "files": len(one.files),
                "days": len(one.days),
                "first": one.days[0].isoformat(),
                "last": one.days[-1].isoformat(),
                "missing": [day.isoformat() for day in one.missing(wanted.first, wanted.last)],
                "bytes": one.size_bytes,
                "rows": one.rows,
            }
            for one in inventory.series
        ],
    }


def _spellings(symbol: str, exchange: str) -> set[str]:
    """A symbol as it was written, and as the archive would write it."""
    try:
        return {symbol, lake.lake_symbol(symbol, exchange)}
    except OptionError:
        return {symbol}
