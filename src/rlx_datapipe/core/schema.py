"""The tables of a dataset: columns, types and units, the contract between all stages."""

from __future__ import annotations

import pyarrow as pa

DECIMALS = 18
PRICE = pa.decimal128(38, DECIMALS)
PARTITION = ("exchange", "symbol", "date")
TABLES = ("quality", "quotes", "keyframes", "books", "events")
"""In the order of their commits: ``events`` is last, and its log entry is the one that counts."""


def _time(name: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, pa.int64(), nullable, metadata={"unit": "ns", "timezone": "UTC"})


def _ladder() -> list[pa.Field]:
    names = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")
    return [pa.field(name, pa.list_(PRICE), False) for name in names]


PARTITION_FIELDS = [
    pa.field("exchange", pa.string(), False),
    pa.field("symbol", pa.string(), False),
    pa.field("date", pa.date32(), False),
]

EVENTS = pa.schema(
    [
        pa.field("event_id", pa.int64(), False),
        pa.field("event_type", pa.string(), False),
        _time("origin_time"),
        _time("received_time"),
        pa.field("update_id", pa.int64()),
        pa.field("trade_id", pa.int64()),
        pa.field("side", pa.string()),
        pa.field("price", PRICE),
        pa.field("quantity", PRICE),
        pa.field("best_bid_price", PRICE),
        pa.field("best_bid_quantity", PRICE),
        pa.field("best_ask_price", PRICE),
        pa.field("best_ask_quantity", PRICE),
        pa.field("flags", pa.int32(), False),
    ]
)

BOOKS = pa.schema([pa.field("event_id", pa.int64(), False), _time("origin_time"), *_ladder()])

KEYFRAMES = pa.schema(
    [
        pa.field("event_id", pa.int64(), False),
        _time("origin_time"),
        pa.field("update_id", pa.int64()),
        *_ladder(),
        pa.field("known_low_price", PRICE),
        pa.field("known_high_price", PRICE),
    ]
)

MEASURES = (
    "count",
    "expected_id",
    "found_id",
    "levels_compared",
    "levels_matched",
    "levels_missing",
    "levels_extra",
    "duration_ns",
)
FLOAT_MEASURES = ("best_price_rms_error", "depth_error")

QUALITY = pa.schema(
    [
        pa.field("from_event_id", pa.int64()),
        pa.field("to_event_id", pa.int64()),
        _time("from_time", nullable=True),
        _time("to_time", nullable=True),
        pa.field("kind", pa.string(), False),
        pa.field("severity", pa.string(), False),
        pa.field("detail", pa.string(), False),
        pa.field(
            "measures",
            pa.struct(
                [pa.field(name, pa.int64()) for name in MEASURES]
                + [pa.field(name, pa.float64()) for name in FLOAT_MEASURES]
                + [pa.field("low_price", PRICE), pa.field("high_price", PRICE)]
            ),
            False,
        ),
    ]
)

QUOTES = pa.schema(
    [
        _time("origin_time", nullable=True),
        _time("received_time"),
        pa.field("update_id", pa.int64(), False),
        pa.field("bid_price", PRICE),
        pa.field("bid_quantity", PRICE),
        pa.field("ask_price", PRICE),
        pa.field("ask_quantity", PRICE),
    ]
)

SCHEMAS = {"events": EVENTS, "books": BOOKS, "keyframes": KEYFRAMES, "quality": QUALITY, "quotes": QUOTES}


def stored_schema(table: str) -> pa.Schema:
    """Schema of a table with its partition columns in front, as its readers see it."""
    return pa.schema([*PARTITION_FIELDS, *SCHEMAS[table]])
