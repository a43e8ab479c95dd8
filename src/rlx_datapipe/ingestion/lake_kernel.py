"""Rows of the archive's tables straight to events, in one pass, where nothing is wrong with any."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Side
from rlx_datapipe.core.units import scale_float


@kernel
def fill_deltas(
    origin_times: Int64Array,
    received_times: Int64Array,
    sequences: Int64Array,
    is_bid: npt.NDArray[np.bool_],
    prices: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.float64],
    decimals: Int64Array,
    times: Int64Array,
    first_row: int,
    out: Int64Array,
) -> int:
    """Fill delta events; the number of messages, or -1 as soon as a row is not as it should be.

    Strict, never lenient: what it refuses, `lake_rows` looks at column by column and says what is wrong.

    Parameters
    ----------
    origin_times, received_times, sequences
        int64 (n,): times in ns, and the number of the message.
    is_bid
        bool (n,).
    prices, sizes
        float64 (n,).
    decimals
        int64 (2,): scales of price and quantity.
    times
        int64 (2,): earliest time, and the one behind the latest.
    first_row
        Number in its file of the first row.
    out
        int64 (FIELDS, n), filled.
    """
    messages, message = 0, first_row
    for i in range(sequences.shape[0]):
        origin, received, sequence = origin_times[i], received_times[i], sequences[i]
        price, price_status = scale_float(prices[i], decimals[0])
        quantity, quantity_status = scale_float(sizes[i], decimals[1])
        in_time = times[0] <= origin < times[1] and times[0] <= received < times[1]
        if not in_time or sequence < 0 or price_status != 0 or quantity_status != 0 or price == 0:
            return -1
        if i == 0 or sequence != sequences[i - 1]:
            messages += 1
            message = first_row + i
        _head(out, i, Kind.BOOK_DELTA, origin, received, message)
        out[Field.UPDATE_ID, i] = sequence
        out[Field.TRADE_ID, i] = NONE
        out[Field.SIDE, i] = Side.BID if is_bid[i] else Side.ASK
        out[Field.PRICE, i] = price
        out[Field.QUANTITY, i] = quantity
        out[Field.FLAGS, i] = 0
    return messages


@helper
def _head(out: Int64Array, i: int, kind: int, origin: int, received: int, message: int) -> None:
    """What an event has of its row, whatever its kind."""
    out[Field.KIND, i] = kind
    out[Field.ORDER_TIME, i] = NONE
    out[Field.ORIGIN_TIME, i] = origin
    out[Field.RECEIVED_TIME, i] = received
    out[Field.FIRST_ID, i] = NONE
    out[Field.PREVIOUS_ID, i] = NONE
    out[Field.MESSAGE, i] = message


@kernel
def fill_trades(
    origin_times: Int64Array,
    received_times: Int64Array,
    ids: Int64Array,
    prices: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.float64],
    bought: npt.NDArray[np.bool_],
    sold: npt.NDArray[np.bool_],
    decimals: Int64Array,
    times: Int64Array,
    told: Int64Array,
    out: Int64Array,
) -> bool:
    """Fill trades; False as soon as a row is not as it should be.

    Parameters as in `fill_deltas`; ``bought`` and ``sold`` tell the side of the aggressor, bool (n,), and
    ``told`` the number of the first row and the flags of all of them, int64 (2,).
    """
    for i in range(ids.shape[0]):
        origin, received = origin_times[i], received_times[i]
        price, price_status = scale_float(prices[i], decimals[0])
        quantity, quantity_status = scale_float(sizes[i], decimals[1])
        in_time = times[0] <= origin < times[1] and times[0] <= received < times[1]
        is_exact = price_status == 0 and quantity_status == 0 and price > 0 and quantity > 0
        if not in_time or not is_exact or ids[i] < 0 or bought[i] == sold[i]:
            return False
        _head(out, i, Kind.TRADE, origin, received, told[0] + i)
        out[Field.UPDATE_ID, i] = NONE
        out[Field.TRADE_ID, i] = ids[i]
        out[Field.SIDE, i] = Side.ASK if sold[i] else Side.BID
        out[Field.PRICE, i] = price
        out[Field.QUANTITY, i] = quantity
        out[Field.FLAGS, i] = told[1]
    return True


@kernel
def fill_books(
    origin_times: Int64Array,
    received_times: Int64Array,
    sequences: Int64Array,
    cells: npt.NDArray[np.float64],
    decimals: Int64Array,
    times: Int64Array,
    first_row: int,
    out: Int64Array,
) -> int:
    """Fill a snapshot's levels, an event each; how many, or -1 as soon as a row is not as it should be.

    Parameters as in `fill_deltas`, but ``cells``: float64 (4 * levels, n), of each level price and size, bids
    before asks, NaN or zero for none. ``out`` has room for all levels of all rows.
    """
    levels = cells.shape[0] // 4
    done = 0
    for i in range(sequences.shape[0]):
        origin, received, begun = origin_times[i], received_times[i], done
        in_time = times[0] <= origin < times[1] and times[0] <= received < times[1]
        if not in_time or sequences[i] < 0:
            return -1
        for side in range(2):
            ended, last = False, 0.0
            for level in range(levels):
                cell = 2 * (side * levels + level)
                x, size = cells[cell, i], cells[cell + 1, i]
                if np.isnan(x) or np.isnan(size) or x == 0.0 or size == 0.0:
                    ended = True
                    continue
                price, price_status = scale_float(x, decimals[0])
                quantity, quantity_status = scale_float(size, decimals[1])
                is_behind = level == 0 or (x < last if side == Side.BID else x > last)
                if ended or not is_behind or price_status != 0 or quantity_status != 0:
                    return -1
                last = x
                _head(out, done, Kind.BOOK_SNAPSHOT, origin, received, first_row + i)
                out[Field.UPDATE_ID, done] = sequences[i]
                out[Field.TRADE_ID, done] = NONE
                out[Field.SIDE, done] = side
                out[Field.PRICE, done] = price
                out[Field.QUANTITY, done] = quantity
                out[Field.FLAGS, done] = Flag.SAMPLED
                done += 1
        if done == begun:
            return -1
    return done
