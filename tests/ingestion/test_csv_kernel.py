"""Cells of CSV are exact or refused: numbers with exponents against ``decimal.Decimal``."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rlx_datapipe.core.units import INT64_MAX, Exactness
from rlx_datapipe.ingestion.csv_kernel import read_number

mantissas = st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,6})?", fullmatch=True)
exponents = st.from_regex(r"([eE][+-]?[0-9]{1,3})?", fullmatch=True)


def read(text: str, decimals: int) -> tuple[int, Exactness]:
    data = np.frombuffer(b"7" + text.encode() + b"7", dtype=np.uint8)
    value, status = read_number(data, 1, len(data) - 1, decimals)
    return int(value), Exactness(int(status))


@given(mantissas, exponents, st.integers(0, 18))
@example("1.5", "e-7", 8)
@example("1", "e+21", 0)
@example("0.0", "e-999", 8)
@example("9223372036854775807", "e0", 0)
def test_a_number_with_an_exponent_is_exact_or_refused(mantissa: str, exponent: str, decimals: int) -> None:
    value, status = read(mantissa + exponent, decimals)
    with localcontext() as context:
        context.prec = 2_000
        wanted = Decimal(mantissa + exponent).scaleb(decimals)
    if status == Exactness.OK:
        assert value == wanted
    elif status == Exactness.TOO_FINE:
        assert wanted != wanted.to_integral_value()
    else:
        digits = len(mantissa.replace(".", ""))
        assert status == Exactness.OVERFLOW
        assert wanted > INT64_MAX or digits > 18


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", Exactness.MALFORMED), ("e5", Exactness.MALFORMED), (".5", Exactness.MALFORMED),
        ("1.", Exactness.MALFORMED), ("1.e5", Exactness.MALFORMED), ("1e", Exactness.MALFORMED),
        ("1e-", Exactness.MALFORMED), ("1e5e5", Exactness.MALFORMED), ("1e1.5", Exactness.MALFORMED),
        ("1_0e5", Exactness.MALFORMED), (" 1e5", Exactness.MALFORMED), ("+1e5", Exactness.MALFORMED),
        ("1e\u0663", Exactness.MALFORMED), ("\u0661.\u0665", Exactness.MALFORMED),
        ("1.2.3e4", Exactness.MALFORMED),
        ("NaN", Exactness.MALFORMED), ("inf", Exactness.MALFORMED), ("Infinity", Exactness.MALFORMED),
        ("-inf", Exactness.NEGATIVE), ("0x1e5", Exactness.MALFORMED), ("1e10000", Exactness.MALFORMED),
        ("-1e5", Exactness.NEGATIVE), ("-0.0", Exactness.NEGATIVE), ("-0e0", Exactness.NEGATIVE),
        ("1e400", Exactness.OVERFLOW), ("1e-400", Exactness.TOO_FINE), ("5e-324", Exactness.TOO_FINE),
        ("1.5e-8", Exactness.TOO_FINE), ("92233720368.6e0", Exactness.OVERFLOW),
        ("0.123456789", Exactness.TOO_FINE), ("99999999999999999999", Exactness.OVERFLOW),
    ],
)  # fmt: skip
def test_what_is_no_plain_number_is_refused(text: str, status: Exactness) -> None:
    assert read(text, 8) == (0, status)
