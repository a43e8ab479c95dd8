"""Replayed arrays to Arrow tables in the schema of the dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from rlx_datapipe.core.event import NONE, Int64Array, Quote
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Keyframe, Quality
from rlx_datapipe.core.schema import BOOKS, FLOAT_MEASURES, KEYFRAMES, MEASURES, QUALITY, QUOTES
from rlx_datapipe.core.units import to_decimal
from rlx_datapipe.store.columns import nullable, to_decimals, to_ladder


def book_rows(heads: Int64Array, samples: Int64Array, instrument: Instrument) -> pa.Table:
    """Rows of ``books``, of samples as `Replayed` has them."""
    columns = [pa.array(heads[:, 0]), pa.array(heads[:, 1])]
    for part in range(4):
        counts = heads[:, 2 + part // 2]
        values = samples[:, part][np.arange(samples.shape[2]) < counts[:, None]]
        decimals = instrument.quantity_decimals if part % 2 else instrument.price_decimals
        columns.append(to_ladder(values, counts, decimals))
    return pa.Table.from_arrays(columns, schema=BOOKS)


def keyframe_rows(keyframes: Sequence[Keyframe], instrument: Instrument) -> pa.Table:
    """Rows of ``keyframes``."""
    price, quantity = instrument.price_decimals, instrument.quantity_decimals
    ladders = []
    for part in range(4):
        sides = [keyframe.levels[part] for keyframe in keyframes]
        counts = np.array([len(side) for side in sides], dtype=np.int64)
        values = np.concatenate([np.zeros(0, dtype=np.int64), *sides])
        ladders.append(to_ladder(values, counts, quantity if part % 2 else price))
    columns = [
        _numbers([keyframe.event_id for keyframe in keyframes]),
        _numbers([keyframe.origin_time for keyframe in keyframes]),
        _numbers([keyframe.update_id for keyframe in keyframes]),
        *ladders,
        to_decimals(np.array([keyframe.known_low for keyframe in keyframes], dtype=np.int64), price),
        to_decimals(np.array([keyframe.known_high for keyframe in keyframes], dtype=np.int64), price),
    ]
    return pa.Table.from_arrays(columns, schema=KEYFRAMES)


def quality_rows(records: Sequence[Quality], instrument: Instrument) -> pa.Table:
    """Rows of ``quality``."""
    measures = [_measures(record, instrument) for record in records]
    columns = [
        _numbers([record.from_event_id for record in records]),
        _numbers([record.to_event_id for record in records]),
        _numbers([record.from_time for record in records]),
        _numbers([record.to_time for record in records]),
        pa.array([record.kind for record in records], pa.string()),
        pa.array([record.severity.value for record in records], pa.string()),
        pa.array([record.detail for record in records], pa.string()),
        pa.array(measures, QUALITY.field("measures").type),
    ]
    return pa.Table.from_arrays(columns, schema=QUALITY)


def _measures(record: Quality, instrument: Instrument) -> dict[str, object]:
    told = {name: record.measures.get(name) for name in (*MEASURES, *FLOAT_MEASURES)}
    prices = {
        name: to_decimal(record.measures.get(name, NONE), instrument.price_decimals)
        for name in ("low_price", "high_price")
    }
    return {**told, **prices}


def _numbers(values: Sequence[int]) -> pa.Array:
    return nullable(np.array(values, dtype=np.int64))


def quote_rows(quotes: Int64Array, instrument: Instrument) -> pa.Table:
    """Rows of ``quotes``."""
    price, quantity = instrument.price_decimals, instrument.quantity_decimals
    columns = [
        nullable(quotes[Quote.ORIGIN_TIME]),
        pa.array(quotes[Quote.RECEIVED_TIME]),
        pa.array(quotes[Quote.UPDATE_ID]),
        to_decimals(quotes[Quote.BID_PRICE], price),
        to_decimals(quotes[Quote.BID_QUANTITY], quantity),
        to_decimals(quotes[Quote.ASK_PRICE], price),
        to_decimals(quotes[Quote.ASK_QUANTITY], quantity),
    ]
    return pa.Table.from_arrays(columns, schema=QUOTES)
