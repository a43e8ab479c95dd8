"""What a book accepts: checks of sides, prices and quantities before they reach a kernel."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rlx_datapipe.book.layout import ASK, BID, MAX_PRICE, MAX_QUANTITY, IntArray

INT64_MAX = 2**63 - 1


class Rows(NamedTuple):
    """Deltas as int64 arrays of one length, checked."""

    sides: IntArray
    prices: IntArray
    quantities: IntArray


def check_side(side: int) -> None:
    """Raise ValueError unless the side is BID or ASK."""
    if side not in (BID, ASK):
        raise ValueError(f"side must be {BID} (bid) or {ASK} (ask), found {side}")


def check_price(price: int) -> None:
    """Raise ValueError unless the price is one a book can hold."""
    if not 0 < price <= MAX_PRICE:
        raise ValueError(f"price must be greater than 0 and at most {MAX_PRICE}, found {price}")


def check_level(side: int, price: int, quantity: int) -> None:
    """Raise ValueError unless side, price and quantity make a level or the removal of one."""
    check_side(side)
    check_price(price)
    if not 0 <= quantity <= MAX_QUANTITY:
        raise ValueError(f"quantity must be between 0 and {MAX_QUANTITY}, found {quantity}")


def int64_array(values: npt.ArrayLike, name: str) -> IntArray:
    """One-dimensional, contiguous, writable int64 array of the values, copied only if it must be.

    Writable, because Numba compiles every kernel a second time for read-only arrays.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, found {array.ndim} dimensions")
    if array.dtype.kind not in "iu" and array.size > 0:
        raise ValueError(f"{name} must be integers, found {array.dtype}")
    if array.dtype.kind == "u" and array.size > 0 and int(array.max()) > INT64_MAX:
        raise ValueError(f"{name} must fit int64, found {array.max()}")
    return np.require(array, np.int64, ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])


def checked_rows(sides: npt.ArrayLike, prices: npt.ArrayLike, quantities: npt.ArrayLike) -> Rows:
    """Rows for the kernels; ValueError names the first row that no book can take."""
    rows = Rows(
        int64_array(sides, "sides"), int64_array(prices, "prices"), int64_array(quantities, "quantities")
    )
    if not rows.sides.size == rows.prices.size == rows.quantities.size:
        raise ValueError(
            "sides, prices and quantities must have one length, "
            f"found {rows.sides.size}, {rows.prices.size} and {rows.quantities.size}"
        )
    good = (rows.sides == BID) | (rows.sides == ASK)
    good &= (rows.prices > 0) & (rows.prices <= MAX_PRICE) & (rows.quantities >= 0)
    if not good.all():
        row = int(np.argmin(good))
        try:
            check_level(int(rows.sides[row]), int(rows.prices[row]), int(rows.quantities[row]))
        except ValueError as error:
            raise ValueError(f"row {row}: {error}") from None
    return rows


def checked_snapshot(
    bid_prices: npt.ArrayLike,
    bid_quantities: npt.ArrayLike,
    ask_prices: npt.ArrayLike,
    ask_quantities: npt.ArrayLike,
) -> tuple[Rows, Rows]:
    """Rows of a snapshot, bids and asks; of two rows at one price the later one counts."""
    bids = int64_array(bid_prices, "bid_prices")
    asks = int64_array(ask_prices, "ask_prices")
    return (
        checked_rows(np.full(bids.size, BID), bids, bid_quantities),
        checked_rows(np.full(asks.size, ASK), asks, ask_quantities),
    )
