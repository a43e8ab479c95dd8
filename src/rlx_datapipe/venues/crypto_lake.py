"""Crypto Lake: its tables, column names and types, paths, symbols and sequence rule."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable
from pathlib import PurePath, PurePosixPath
from urllib.parse import unquote

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.core.event import Flag
from rlx_datapipe.core.sequence import Link, SequenceRule

TRADES, BOOK, DELTAS = "trades", "book", "book_delta_v2"
LEVELS = 20
FUTURES = "BINANCE_FUTURES"
PERPETUAL = "-PERP"

EARLIEST_NS = int(dt.datetime(2017, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9
LATEST_NS = int(dt.datetime(2100, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9
"""Times of the archive lie from the one up to the other."""

OTHER_TABLES = (
    "book_1m",
    "book_delta",
    "candles",
    "funding",
    "level_1",
    "liquidations",
    "open_interest",
    "trades_mpid",
)
"""Tables of the archive that hold nothing for a book: passed over in a folder tree."""

QUOTE_ASSETS = (
    "FDUSD",
    "USDT",
    "USDC",
    "BUSD",
    "TUSD",
    "USDP",
    "BTC",
    "ETH",
    "BNB",
    "EUR",
    "TRY",
    "JPY",
    "BRL",
)
"""Longest first. Plain USD is left out: ``DOTUSD`` could be DOT-USD or DO-TUSD."""

SEQUENCE = SequenceRule(
    link=Link.UNPROVABLE,
    keeps_equal=False,
    source="crypto-lake.com/data: sequence_number is a message's last update id; U and pu are not stored",
)


def _level_names() -> list[str]:
    return [
        f"{side}_{i}_{what}" for side in ("bid", "ask") for i in range(LEVELS) for what in ("price", "size")
    ]


LEVEL_NAMES = _level_names()
"""The 80 level columns of ``book`` in order: price and size interleaved, all bids before all asks."""

_TIMES = [("timestamp", pa.int64()), ("receipt_timestamp", pa.int64())]
_HEAD = [*_TIMES, ("sequence_number", pa.int64())]
SCHEMAS = {
    TRADES: pa.schema(
        [
            ("side", pa.string()),
            ("amount", pa.float64()),
            ("price", pa.float64()),
            ("id", pa.int64()),
            *_TIMES,
        ]
    ),
    BOOK: pa.schema([*_HEAD, *((name, pa.float64()) for name in LEVEL_NAMES)]),
    DELTAS: pa.schema([*_HEAD, ("side_is_bid", pa.bool_()), ("price", pa.float64()), ("size", pa.float64())]),
}
"""The tables as they lie in the archive, to the type."""

_RENAMED = {"timestamp": ("origin_time",), "receipt_timestamp": ("received_time",)}
ALIASES: dict[str, dict[str, tuple[str, ...]]] = {
    TRADES: {**_RENAMED, "amount": ("quantity",), "id": ("trade_id",)},
    BOOK: {**_RENAMED, "sequence_number": ("update_id",)},
    DELTAS: {
        **_RENAMED,
        "sequence_number": ("update_id",),
        "size": ("new_quantity",),
        "side_is_bid": ("side",),
    },
}
"""Archive name -> other names, as ``lakeapi.load_data`` and normalised copies have them."""

PARTITION_COLUMNS = ("exchange", "symbol", "dt")
_TOLERATED = {*PARTITION_COLUMNS, "__index_level_0__"}

_SAFE = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")


class Layout(msgspec.Struct, frozen=True):
    """A recognised table: its name, and archive column name -> column name in the file."""

    table: str
    columns: dict[str, str]


class SchemaProblem(msgspec.Struct, frozen=True):
    """Why columns are not a table of Crypto Lake: the difference to the nearest one."""

    nearest: str
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mistyped: tuple[tuple[str, str, str], ...] = ()
    """Name, type found, type expected."""

    def sentence(self) -> str:
        """The difference in words, with the near misses of misspelt columns."""
        told = []
        if self.missing:
            told.append(f"missing {_few(list(self.missing))}")
        if self.unexpected:
            told.append(f"unexpected {_few([self._hinted(name) for name in self.unexpected])}")
        if self.mistyped:
            told.append(
                "wrong type " + _few([f"{n} is {found}, not {want}" for n, found, want in self.mistyped])
            )
        return f"nearest table {self.nearest}: " + "; ".join(told)

    def _hinted(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.missing, 1)
        return f"{name} (for {close[0]}?)" if close else name


class LakePath(msgspec.Struct, frozen=True):
    """What a path of the archive says; empty or None where it says nothing."""

    table: str = ""
    exchange: str = ""
    symbol: str = ""
    date: dt.date | None = None


def match_table(schema: pa.Schema) -> Layout | SchemaProblem:
    """The table that a file's columns are, in whatever order and with known aliases, or the difference.

    An unknown further column is refused: Lake's ``liquidations`` has all columns of ``trades`` and one more.
    """
    best: SchemaProblem | None = None
    for table in SCHEMAS:
        found = _compare(schema, table)
        if isinstance(found, Layout):
            return found
        if best is None or _badness(found) < _badness(best):
            best = found
    assert best is not None  # noqa: S101 - SCHEMAS is not empty
    return best


def identify_table(schema: pa.Schema) -> str | SchemaProblem:
    """Name of the table that a file's columns are, or the difference to the nearest one."""
    found = match_table(schema)
    return found.table if isinstance(found, Layout) else found


def _badness(problem: SchemaProblem) -> int:
    return len(problem.missing) + len(problem.unexpected) + len(problem.mistyped)


def _compare(schema: pa.Schema, table: str) -> Layout | SchemaProblem:
    left = list(schema.names)
    columns, missing, mistyped = {}, [], []
    for wanted in SCHEMAS[table]:
        names = (wanted.name, *ALIASES[table].get(wanted.name, ()))
        name = next((name for name in names if name in left), None)
        if name is None:
            missing.append(wanted.name)
            continue
        left.remove(name)
        columns[wanted.name] = name
        kind = schema.types[schema.names.index(name)]
        if not _accepts(table, wanted, kind):
            mistyped.append((name, str(kind), str(wanted.type)))
    unexpected = [name for name in left if name not in _TOLERATED]
    if missing or unexpected or mistyped:
        return SchemaProblem(table, tuple(missing), tuple(unexpected), tuple(mistyped))
    return Layout(table, columns)


def _accepts(table: str, wanted: pa.Field, kind: pa.DataType) -> bool:
    """Whether a type holds the same values as the archive's without loss."""
    if wanted.name in _RENAMED:
        return bool(pa.types.is_int64(kind) or pa.types.is_timestamp(kind))
    if table == DELTAS and wanted.name == "side_is_bid":
        return bool(pa.types.is_boolean(kind)) or is_text(kind)
    accepts: Callable[[pa.DataType], bool] = {
        pa.int64(): pa.types.is_integer,
        pa.string(): is_text,
        pa.float64(): pa.types.is_float64,
    }[wanted.type]
    return bool(accepts(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text, by itself or as a dictionary."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)
    )


def _few(told: list[str], most: int = 5) -> str:
    return ", ".join(told[:most]) + (f" and {len(told) - most} more" if len(told) > most else "")


def archive_path(table: str, exchange: str, symbol: str, date: dt.date, number: int = 1) -> PurePosixPath:
    """Where the archive keeps a file, relative to its root."""
    return archive_folder(table, exchange, symbol, date) / f"{number}.snappy.parquet"


def archive_folder(table: str, exchange: str, symbol: str, date: dt.date) -> PurePosixPath:
    """Where the archive keeps the files of a day, relative to its root.

    Raises
    ------
    OptionError
        When one of these is no plain name: nothing from outside becomes a way out of a folder.
    """
    return PurePosixPath(
        _safe(table), f"exchange={_safe(exchange)}", f"symbol={_safe(symbol)}", f"dt={date.isoformat()}"
    )


def _safe(name: str) -> str:
    if len(name) > 64 or not _SAFE.fullmatch(name):
        raise OptionError("a name that can't be a folder of the archive", found=repr(name))
    return name


def parse_path(path: PurePath) -> LakePath:
    """What the folders of a path say of table, exchange, symbol and date.

    Raises
    ------
    SourceError
        When a part is no plain name or date: a decoded slash or ``..`` is never followed.
    """
    told: dict[str, str] = {}
    table = ""
    for before, part in zip(("", *path.parts), path.parts[:-1], strict=False):
        key, equals, value = part.partition("=")
        if not equals or key not in PARTITION_COLUMNS:
            continue
        told[key] = unquote(value)
        if len(value) > 64 or not _SAFE.fullmatch(told[key]):
            raise SourceError(
                "suspicious folder name", file=path, found=repr(part), expected=f"{key}= and a plain name"
            )
        if key == "exchange":
            table = before
    return LakePath(
        table=table if table in SCHEMAS or table in OTHER_TABLES else "",
        exchange=told.get("exchange", ""),
        symbol=told.get("symbol", ""),
        date=_date(path, told["dt"]) if "dt" in told else None,
    )


def _date(path: PurePath, text: str) -> dt.date:
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise SourceError("not a date", file=path, found=f"dt={text}", expected="dt=YYYY-MM-DD") from None


def lake_symbol(symbol: str, exchange: str = "BINANCE") -> str:
    """The archive's spelling of a symbol: ``BTCUSDT`` is ``BTC-USDT``, with ``-PERP`` on futures exchanges.

    A spelling of the archive stays as it is.

    Raises
    ------
    OptionError
        When base and quote can't be told apart.
    """
    spelt = symbol.upper().replace("_", "-").replace("/", "-")
    plain = spelt.removesuffix(PERPETUAL)
    tail = PERPETUAL if exchange.upper().endswith("_FUTURES") or plain != spelt else ""
    if re.fullmatch(r"[A-Z0-9]+-[A-Z]+", plain):
        return plain + tail
    quote = next((asset for asset in QUOTE_ASSETS if plain.endswith(asset) and plain != asset), "")
    if not quote or not re.fullmatch(r"[A-Z0-9]+", plain):
        raise OptionError(
            "can't split the symbol into base and quote",
            found=repr(symbol),
            expected="a symbol like BTC-USDT",
            remedy="Write it with a dash between base and quote.",
        )
    return f"{plain.removesuffix(quote)}-{quote}{tail}"


def aggregated(trades: pa.Table) -> pa.Table:
    """Trades as the archive has them: one row for those of equal time, price and side in a row.

    The archive's recorder listened to Binance's ``aggTrade``. A row that is an aggregate already (its flag
    says so) stays alone.

    Parameters
    ----------
    trades
        Trades in columns of the dataset's ``events``, in order.

    Returns
    -------
    The same columns: those of the first trade, with the exact sum of quantities and the last receive time.
    """
    begins = np.ones(trades.num_rows, dtype=np.bool_)
    alone = trades["flags"].to_numpy() & int(Flag.AGGREGATE) != 0
    begins[1:] = alone[1:] | alone[:-1]
    for name in ("origin_time", "price", "side"):
        column = trades[name]
        same = pc.equal(column.slice(1), column.slice(0, max(0, len(column) - 1)))
        begins[1:] |= ~pc.fill_null(same, False).to_numpy()
    starts = np.flatnonzero(begins)
    if len(starts) == trades.num_rows:
        return trades
    sizes = np.diff(starts, append=trades.num_rows)
    runs = pa.table({"run": np.repeat(np.arange(len(starts)), sizes), "quantity": trades["quantity"]})
    total = runs.group_by("run", use_threads=False).aggregate([("quantity", "sum")]).sort_by("run")
    columns = dict(zip(trades.column_names, trades.take(starts).columns, strict=True))
    columns["quantity"] = total["quantity_sum"].cast(trades["quantity"].type)
    columns["received_time"] = trades["received_time"].take(pa.array(starts + sizes - 1))
    return pa.table(columns).cast(trades.schema)
