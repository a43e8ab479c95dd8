"""Rows of the archive's deltas straight to events, in one pass, where nothing is wrong with any."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.compiled import kernel
from rlx_datapipe.core.event import NONE, Field, Int64Array, Kind, Side
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
        out[Field.KIND, i] = Kind.BOOK_DELTA
        out[Field.ORDER_TIME, i] = NONE
        out[Field.ORIGIN_TIME, i] = origin
        out[Field.RECEIVED_TIME, i] = received
        out[Field.UPDATE_ID, i] = sequence
        out[Field.FIRST_ID, i] = NONE
        out[Field.PREVIOUS_ID, i] = NONE
        out[Field.TRADE_ID, i] = NONE
        out[Field.SIDE, i] = Side.BID if is_bid[i] else Side.ASK
        out[Field.PRICE, i] = price
        out[Field.QUANTITY, i] = quantity
        out[Field.FLAGS, i] = 0
        out[Field.MESSAGE, i] = message
    return messages
