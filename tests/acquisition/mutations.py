"""Ways in which a file of an archive may be wrong, seeded: of its bytes, columns, rows, values."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.venues.crypto_lake import BOOK, DELTAS, SCHEMAS, TRADES

Dice = np.random.Generator
DAY_NS = 86_400 * 10**9


def _at(dice: Dice, size: int, low: int = 0) -> int:
    return int(dice.integers(low, max(size, low + 1)))


# Of the bytes.


def one_bit(data: bytes, dice: Dice) -> bytes:
    at = _at(dice, len(data))
    return data[:at] + bytes([data[at] ^ (1 << _at(dice, 8))]) + data[at + 1 :]


def one_bit_of_a_page(data: bytes, dice: Dice) -> bytes:
    at = _at(dice, _footer_start(data), 4)
    return data[:at] + bytes([data[at] ^ (1 << _at(dice, 8))]) + data[at + 1 :]


def one_bit_of_the_footer(data: bytes, dice: Dice) -> bytes:
    at = _at(dice, len(data) - 8, _footer_start(data))
    return data[:at] + bytes([data[at] ^ (1 << _at(dice, 8))]) + data[at + 1 :]


def some_bytes(data: bytes, dice: Dice) -> bytes:
    at, size = _at(dice, len(data)), _at(dice, 64, 1)
    return data[:at] + dice.bytes(size)[: len(data) - at] + data[at + size :]


def zeros(data: bytes, dice: Dice) -> bytes:
    at, size = _at(dice, len(data)), min(4_096, len(data) // 4)
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


def cut_off(data: bytes, dice: Dice) -> bytes:
    return data[: _at(dice, len(data))]


def cut_out(data: bytes, dice: Dice) -> bytes:
    at, size = _at(dice, len(data)), _at(dice, 512, 1)
    return data[:at] + data[at + size :]


def junk_behind(data: bytes, dice: Dice) -> bytes:
    return data + dice.bytes(_at(dice, 300, 1))


def junk_before(data: bytes, dice: Dice) -> bytes:
    return dice.bytes(_at(dice, 300, 1)) + data


def pieces_swapped(data: bytes, dice: Dice) -> bytes:
    size = 64
    a, b = sorted(int(one) for one in dice.choice(max(2, len(data) // size), 2, replace=False) * size)
    return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]


def piece_doubled(data: bytes, dice: Dice) -> bytes:
    at = _at(dice, len(data))
    return data[: at + 256] + data[at:]


def absurd_footer_length(data: bytes, dice: Dice) -> bytes:
    return data[:-8] + struct.pack("<I", _at(dice, 2**32)) + data[-4:]


def nothing(data: bytes, dice: Dice) -> bytes:
    return b""


def only_magic(data: bytes, dice: Dice) -> bytes:
    return b"PAR1" * _at(dice, 4, 1)


def noise(data: bytes, dice: Dice) -> bytes:
    return b"PAR1" + dice.bytes(len(data) // 2) + b"PAR1"


def a_web_page(data: bytes, dice: Dice) -> bytes:
    return b"<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>" + b" " * _at(dice, 50)


def _footer_start(data: bytes) -> int:
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


# Of the columns.

Rows: TypeAlias = pa.Table


def a_column_less(rows: Rows, dice: Dice) -> Rows:
    return rows.drop_columns([str(dice.choice(rows.column_names))])


def a_column_more(rows: Rows, dice: Dice) -> Rows:
    return rows.append_column("status", pa.array(["filled"] * rows.num_rows))


def a_column_renamed(rows: Rows, dice: Dice) -> Rows:
    at = _at(dice, rows.num_columns)
    return rows.rename_columns([f"{n}_" if i == at else n for i, n in enumerate(rows.column_names)])


def columns_swapped(rows: Rows, dice: Dice) -> Rows:
    """By name nothing has changed."""
    names = [str(name) for name in dice.permutation(rows.column_names)]
    return rows.select(names)


def names_swapped(rows: Rows, dice: Dice) -> Rows:
    """The values of two columns of one type stand under each other's name."""
    kinds = [name for name in rows.column_names if rows.schema.field(name).type == pa.float64()]
    a, b = (str(one) for one in dice.choice(kinds, 2, replace=False))
    return rows.rename_columns([b if n == a else a if n == b else n for n in rows.column_names])


def another_type(rows: Rows, dice: Dice) -> Rows:
    name = str(dice.choice(rows.column_names))
    kind = rows.schema.field(name).type
    to = {pa.float64(): pa.float32(), pa.int64(): pa.float64(), pa.bool_(): pa.int8()}.get(kind, pa.binary())
    return _set(rows, name, rows[name].cast(to, safe=False))


def numbers_as_text(rows: Rows, dice: Dice) -> Rows:
    name = _number(rows, dice)
    return _set(rows, name, rows[name].cast(pa.string()))


def _set(rows: Rows, name: str, column: Any) -> Rows:
    return rows.set_column(rows.column_names.index(name), name, column)


# Of the rows.


def rows_dropped(rows: Rows, dice: Dice) -> Rows:
    kept = np.ones(rows.num_rows, dtype=bool)
    kept[dice.integers(0, rows.num_rows, max(1, rows.num_rows // 50))] = False
    return rows.filter(pa.array(kept))


def half_a_day(rows: Rows, dice: Dice) -> Rows:
    return rows.slice(0, rows.num_rows // 2)


def rows_doubled(rows: Rows, dice: Dice) -> Rows:
    counts = np.ones(rows.num_rows, dtype=np.int64)
    counts[dice.integers(0, rows.num_rows, max(1, rows.num_rows // 50))] = 2
    return rows.take(pa.array(np.repeat(np.arange(rows.num_rows), counts)))


def rows_twice(rows: Rows, dice: Dice) -> Rows:
    return pa.concat_tables([rows, rows])


def rows_shuffled(rows: Rows, dice: Dice) -> Rows:
    return rows.take(pa.array(dice.permutation(rows.num_rows)))


def two_rows_swapped(rows: Rows, dice: Dice) -> Rows:
    order = np.arange(rows.num_rows)
    a, b = dice.integers(0, rows.num_rows, 2)
    order[[a, b]] = order[[b, a]]
    return rows.take(pa.array(order))


def no_rows(rows: Rows, dice: Dice) -> Rows:
    return rows.slice(0, 0)


# Of the values.


def _number(rows: Rows, dice: Dice) -> str:
    kinds = [name for name in rows.column_names if rows.schema.field(name).type == pa.float64()]
    # Of a book mostly the levels that stand.
    return str(dice.choice(kinds[:12] + kinds[len(kinds) // 2 : len(kinds) // 2 + 12]))


def _whole(rows: Rows, dice: Dice) -> str:
    return str(
        dice.choice([name for name in rows.column_names if rows.schema.field(name).type == pa.int64()])
    )


def _changed(rows: Rows, name: str, dice: Dice, change: Callable[[Any], Any]) -> Rows:
    values = rows[name].to_pylist()
    at = _at(dice, len(values))
    values[at] = change(values[at])
    return _set(rows, name, pa.array(values, rows.schema.field(name).type))


def _numbers(value: Any) -> Callable[[Rows, Dice], Rows]:
    def change(rows: Rows, dice: Dice) -> Rows:
        return _changed(rows, _number(rows, dice), dice, lambda _: value)

    return change


def negated(rows: Rows, dice: Dice) -> Rows:
    return _changed(rows, _number(rows, dice), dice, lambda value: -value if value else -1.0)


def computed(rows: Rows, dice: Dice) -> Rows:
    return _changed(rows, _number(rows, dice), dice, lambda value: (value or 1.0) * (1 + 1e-13) / 3.0)


def another_legal_number(rows: Rows, dice: Dice) -> Rows:
    return _changed(rows, _number(rows, dice), dice, lambda value: round((value or 1.0) + 0.01, 2))


def no_value(rows: Rows, dice: Dice) -> Rows:
    return _changed(rows, str(dice.choice(rows.column_names[:6])), dice, lambda _: None)


def another_side(rows: Rows, dice: Dice) -> Rows:
    if "side" in rows.column_names:
        return _changed(rows, "side", dice, lambda _: str(dice.choice(["BUY", "", "hold", "b" * 999])))
    return negated(rows, dice)


def side_flipped(rows: Rows, dice: Dice) -> Rows:
    if "side" in rows.column_names:
        return _changed(rows, "side", dice, lambda side: "buy" if side == "sell" else "sell")
    if "side_is_bid" in rows.column_names:
        return _changed(rows, "side_is_bid", dice, lambda is_bid: not is_bid)
    return another_legal_number(rows, dice)


def another_market(rows: Rows, dice: Dice) -> Rows:
    """Every price that of a coin worth a fraction."""
    for name in [name for name in rows.column_names if name == "price" or name.endswith("_price")]:
        rows = _set(rows, name, pa.array(np.round(rows[name].to_numpy() / 37.7, 2), pa.float64()))
    return rows


def named_another_symbol(rows: Rows, dice: Dice) -> Rows:
    return rows.append_column("symbol", pa.array(["ETH-USDT"] * rows.num_rows))


def two_symbols(rows: Rows, dice: Dice) -> Rows:
    names = ["BTC-USDT"] * (rows.num_rows - 1) + ["ETH-USDT"]
    return rows.append_column("symbol", pa.array(names))


def _times(factor: tuple[int, int], shift: int) -> Callable[[Rows, Dice], Rows]:
    def change(rows: Rows, dice: Dice) -> Rows:
        for name in ("timestamp", "receipt_timestamp"):
            times = rows[name].to_numpy() * factor[0] // factor[1] + shift
            rows = _set(rows, name, pa.array(times, pa.int64()))
        return rows

    return change


def one_time_of_another_day(rows: Rows, dice: Dice) -> Rows:
    shift = int(dice.choice([-1, 1, 400])) * DAY_NS
    return _changed(rows, "timestamp", dice, lambda time: time + shift)


def one_absurd_time(rows: Rows, dice: Dice) -> Rows:
    return _changed(rows, "timestamp", dice, lambda _: int(dice.choice([0, -1, 2**62, 10**15])))


def one_time_moved(rows: Rows, dice: Dice) -> Rows:
    return _changed(rows, "timestamp", dice, lambda time: time + int(dice.integers(-(10**8), 10**8)))


def one_id_changed(rows: Rows, dice: Dice) -> Rows:
    name = "id" if "id" in rows.column_names else "sequence_number"
    return _changed(rows, name, dice, lambda i: i + int(dice.choice([-100_000, -1, 1, 100_000])))


def one_id_negative(rows: Rows, dice: Dice) -> Rows:
    name = "id" if "id" in rows.column_names else "sequence_number"
    return _changed(rows, name, dice, lambda i: -i - 1)


def a_message_of_a_day(rows: Rows, dice: Dice) -> Rows:
    """All rows under one number."""
    name = "id" if "id" in rows.column_names else "sequence_number"
    return _set(rows, name, pa.array([int(rows[name][0].as_py())] * rows.num_rows, pa.int64()))


# Made to harm.


def many_rows(rows: Rows, dice: Dice) -> bytes:
    """Twelve million rows in a hundredth as many bytes."""
    sink = io.BytesIO()
    count = 500_000
    constant = rows.slice(0, 1).take(pa.array(np.zeros(count, dtype=np.int64)))
    columns = constant.column_names[:6]
    packed: dict[str, Any] = {"compression": "zstd", "max_rows_per_page": count, "write_statistics": False}
    with pq.ParquetWriter(sink, constant.select(columns).schema, **packed) as writer:
        for _ in range(24):
            writer.write_table(constant.select(columns), row_group_size=count)
    return sink.getvalue()


def one_long_text(rows: Rows, dice: Dice) -> bytes:
    """Text of 16 MB in every row of a small file."""
    text = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows.num_rows, dtype=np.int32)), ["x" * (1 << 24)]
    )
    name = "side" if "side" in rows.column_names else "side_is_bid"
    if name not in rows.column_names:
        return written(rows.append_column("symbol", text), "zstd")
    return written(_set(rows, name, text), "zstd")


BYTES: dict[str, Callable[[bytes, Dice], bytes]] = {
    mutation.__name__: mutation
    for mutation in (
        one_bit,
        one_bit_of_a_page,
        one_bit_of_the_footer,
        some_bytes,
        zeros,
        cut_off,
        cut_out,
        junk_behind,
        junk_before,
        pieces_swapped,
        piece_doubled,
        absurd_footer_length,
        nothing,
        only_magic,
        noise,
        a_web_page,
    )
}
TABLES: dict[str, Callable[[Rows, Dice], Rows]] = {
    mutation.__name__: mutation
    for mutation in (
        a_column_less,
        a_column_more,
        a_column_renamed,
        columns_swapped,
        names_swapped,
        another_type,
        numbers_as_text,
        rows_dropped,
        half_a_day,
        rows_doubled,
        rows_twice,
        rows_shuffled,
        two_rows_swapped,
        no_rows,
        negated,
        computed,
        another_legal_number,
        no_value,
        another_side,
        side_flipped,
        another_market,
        named_another_symbol,
        two_symbols,
        one_time_of_another_day,
        one_absurd_time,
        one_time_moved,
        one_id_changed,
        one_id_negative,
        a_message_of_a_day,
    )
} | {
    "not_a_number": _numbers(float("nan")),
    "infinite": _numbers(float("inf")),
    "zero": _numbers(0.0),
    "minus_zero": _numbers(-0.0),
    "denormal": _numbers(5e-324),
    "huge": _numbers(1e300),
    "in_microseconds": _times((1, 1_000), 0),
    "in_milliseconds": _times((1, 1_000_000), 0),
    "in_seconds": _times((1, 10**9), 0),
    "the_day_after": _times((1, 1), DAY_NS),
}
HARMS: dict[str, Callable[[Rows, Dice], bytes]] = {
    mutation.__name__: mutation for mutation in (many_rows, one_long_text)
}
KINDS = (*BYTES, *TABLES, *HARMS)
TABLE_NAMES = (TRADES, DELTAS, BOOK)


def written(rows: Rows, compression: str = "snappy", *, checked: bool = False) -> bytes:
    """A table as a Parquet file, as the export writes it; with checksums of pages if ``checked``."""
    sink = io.BytesIO()
    pq.write_table(rows, sink, row_group_size=200, compression=compression, write_page_checksum=checked)
    return sink.getvalue()


def mutated(kind: str, rows: Rows, dice: Dice) -> bytes:
    """The bytes of a file of these rows, wrong in one way."""
    if kind in BYTES:
        return BYTES[kind](written(rows), dice)
    if kind in HARMS:
        return HARMS[kind](rows, dice)
    return written(TABLES[kind](rows, dice))


def canonical(rows: Rows, table: str) -> Rows:
    """The rows of one table with its columns, in order."""
    kept: Rows = rows.select(SCHEMAS[table].names)
    return kept
