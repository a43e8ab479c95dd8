"""Exact numbers: text and floats to scaled int64 and back, refused where they are not exact."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.compiled import helper, kernel
from rlx_datapipe.core.event import NONE, Int64Array

POWERS = np.array([10**k for k in range(19)], dtype=np.int64)
FLOAT_POWERS = np.array([float(10**k) for k in range(19)])
INT64_MAX = 2**63 - 1

_SURE = 2.0**47
_EXACT = 2.0**53
_ULP = 2.0**-52


class Exactness(IntEnum):
    """Outcome of a conversion to a scaled integer."""

    OK = 0
    MALFORMED = 1
    TOO_FINE = 2
    OVERFLOW = 3
    NOT_FINITE = 4
    NEGATIVE = 5


REASONS = {
    Exactness.MALFORMED: "not a plain decimal number (ASCII digits with at most one point)",
    Exactness.TOO_FINE: "more decimals than the scale of the instrument",
    Exactness.OVERFLOW: "too large for the scale of the instrument",
    Exactness.NOT_FINITE: "not a finite number",
    Exactness.NEGATIVE: "negative",
}


@helper
def parse_span(data, start, stop, decimals):  # type: ignore[no-untyped-def]
    """The plain number in ``data`` from ``start`` to ``stop`` as scaled integer, and its `Exactness`."""
    value = np.int64(0)
    digits = 0
    fraction = -1
    for at in range(start, stop):
        character = data[at]
        if character == 46:
            if fraction >= 0 or digits == 0:
                return np.int64(0), 1
            fraction = 0
            continue
        if character < 48 or character > 57:
            return np.int64(0), 5 if character == 45 and at == start else 1
        digit = np.int64(character - 48)
        digits += 1
        if fraction >= 0:
            fraction += 1
            if fraction > decimals:
                if digit != 0:
                    return np.int64(0), 2
                continue
        if value > (INT64_MAX - digit) // 10:
            return np.int64(0), 3
        value = value * 10 + digit
    if digits == 0 or fraction == 0:
        return np.int64(0), 1
    missing = decimals - min(max(fraction, 0), decimals)
    if value > INT64_MAX // POWERS[missing]:
        return np.int64(0), 3
    return value * POWERS[missing], 0


@kernel
def parse_texts(data, offsets, decimals, values, status):  # type: ignore[no-untyped-def]
    """Parse texts that lie one behind the other in ``data`` to scaled integers.

    Parameters
    ----------
    data
        uint8 array, the characters.
    offsets
        int64 array of shape (n + 1,), where each text starts and the last one ends.
    decimals
        Scale: one unit is ``10**-decimals``.
    values, status
        int64 arrays of shape (n,), filled: the scaled value, and its `Exactness` (value 0 unless OK).
    """
    for i in range(values.shape[0]):
        values[i], status[i] = parse_span(data, offsets[i], offsets[i + 1], decimals)


@kernel
def scale_float(x, decimals):  # type: ignore[no-untyped-def]
    """One float as scaled integer, and its `Exactness`; see `scale_floats`."""
    if not np.isfinite(x):
        return np.int64(0), 4
    if x < 0.0 or (x == 0.0 and np.signbit(x)):
        return np.int64(0), 5
    scaled = x * FLOAT_POWERS[decimals]
    if scaled < _SURE:
        nearest = np.rint(scaled)
        if abs(nearest / FLOAT_POWERS[decimals] - x) > 2.0 * x * _ULP:
            return np.int64(0), 2
        return np.int64(nearest), 0
    # Here steps are finer than float error: take the shortest decimal whose nearest float is x.
    for fewer in range(decimals + 1):
        scaled = x * FLOAT_POWERS[fewer]
        if scaled >= _EXACT:
            return np.int64(0), 3 if fewer == 0 else 2
        nearest = np.rint(scaled)
        if nearest / FLOAT_POWERS[fewer] == x:
            whole = np.int64(nearest)
            if whole > INT64_MAX // POWERS[decimals - fewer]:
                return np.int64(0), 3
            return whole * POWERS[decimals - fewer], 0
    return np.int64(0), 2


@kernel
def scale_floats(floats, decimals, values, status):  # type: ignore[no-untyped-def]
    """Turn floats back into the decimals that they came from, as scaled integers.

    A float is taken as the nearest multiple of ``10**-decimals`` and refused (TOO_FINE) if it lies further
    from it than float error. Filled like `parse_texts`.
    """
    for i in range(values.shape[0]):
        values[i], status[i] = scale_float(floats[i], decimals)


def parse_text(text: str, decimals: int) -> tuple[int, Exactness]:
    """One text as scaled integer, with the outcome (the value is 0 unless OK)."""
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)
    values, status = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    parse_texts(data, np.array([0, len(data)], dtype=np.int64), decimals, values, status)
    return int(values[0]), Exactness(int(status[0]))


def parse_many(texts: list[str], decimals: int) -> tuple[Int64Array, Int64Array]:
    """Texts as scaled integers and their `Exactness`, two int64 arrays of shape (n,)."""
    joined = "".join(texts).encode("utf-8", "surrogatepass")
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    if len(joined) != lengths.sum():
        # Some characters are not ASCII: their texts will be refused, but the others must stay in place.
        pieces = [text.encode("utf-8", "surrogatepass") for text in texts]
        lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    values, status = np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=np.int64)
    parse_texts(np.frombuffer(joined, dtype=np.uint8), offsets, decimals, values, status)
    return values, status


def scale_many(floats: npt.NDArray[np.float64], decimals: int) -> tuple[Int64Array, Int64Array]:
    """Floats as scaled integers and their `Exactness`, two int64 arrays of shape (n,)."""
    values, status = np.zeros(len(floats), dtype=np.int64), np.zeros(len(floats), dtype=np.int64)
    scale_floats(np.ascontiguousarray(floats), decimals, values, status)
    return values, status


def to_decimal(value: int, decimals: int) -> Decimal | None:
    """The exact decimal of a scaled integer, or None where it does not apply."""
    return None if value == NONE else Decimal(value).scaleb(-decimals)


def to_text(value: int, decimals: int) -> str:
    """A scaled integer as plain digits without trailing zeros; empty where it does not apply."""
    if value == NONE:
        return ""
    whole, part = divmod(value, 10**decimals)
    return f"{whole}.{part:0{decimals}d}".rstrip("0").rstrip(".") if decimals else str(whole)


def fitting_decimals(needed: int, largest: int, wanted: int = 8) -> int:
    """Decimals of a scale that holds values up to 1,000 times ``largest`` exactly in int64.

    As many as ``wanted`` (or ``needed``, if more) where they fit; fewer for large values, never fewer than
    ``needed``.
    """
    decimals = max(needed, wanted)
    while decimals > needed and largest * 1000 * 10**decimals > INT64_MAX:
        decimals -= 1
    return decimals


def grid_step(values: Int64Array) -> int:
    """The largest step of which all positive values are multiples; 1 if there are none."""
    positive = values[values > 0]
    return max(1, int(np.gcd.reduce(positive))) if positive.size else 1
