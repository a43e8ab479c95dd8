"""Numbers are exact or refused: text and floats against ``decimal.Decimal``."""

from __future__ import annotations

import math
import os
import re
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rlx_datapipe.core.event import NONE
from rlx_datapipe.core.units import (
    INT64_MAX,
    REASONS,
    Exactness,
    fitting_decimals,
    grid_step,
    parse_many,
    parse_text,
    scale_many,
    to_decimal,
    to_text,
)

EXAMPLES = int(os.environ.get("RLX_REPLAY_EXAMPLES", "0"))
randomly = settings(max_examples=10 * EXAMPLES) if EXAMPLES else settings(max_examples=300)

scales = st.integers(0, 18)
plain_numbers = st.from_regex(r"[0-9]{1,22}(\.[0-9]{1,22})?", fullmatch=True)
BAD = (
    "", ".", "1.", ".5", "1..2", " 1", "1 ", "1\n", "\t1", "+1", "1_000", "1,5", "1e5", "1E-8", "0x10",
    "NaN", "nan", "Infinity", "inf", "\u0661.\u0665", "\uff11.\uff10",
    "²", "1\u00a0", "½", "null", "\x00", "1\x00", "\ud800",
)  # fmt: skip


def twin(text: str, decimals: int) -> tuple[int, Exactness]:
    """What a text is worth, by Decimal; only for plain numbers."""
    with localcontext() as context:
        context.prec = 80
        scaled = Decimal(text).scaleb(decimals)
        if scaled != scaled.to_integral_value():
            return 0, Exactness.TOO_FINE
        return (int(scaled), Exactness.OK) if scaled <= INT64_MAX else (0, Exactness.OVERFLOW)


def both(text: str, decimals: int) -> tuple[int, Exactness]:
    """The outcome of one text, which is the same among others."""
    alone = parse_text(text, decimals)
    values, status = parse_many(["7", text, "٣", text], decimals)
    assert [(int(values[at]), int(status[at])) for at in (1, 3)] == [alone] * 2
    return alone


@randomly
@given(plain_numbers, scales)
@example("92233720368.54775807", 8)
@example("92233720368.54775808", 8)
@example("92233720368.547758070", 8)
@example("92233720368.547758080", 8)
@example("9223372036854775807", 0)
@example("9223372036854775808", 0)
@example("9.223372036854775808", 18)
@example("18446744073709551616", 0)
@example("0." + "0" * 40, 3)
@example("0" * 40 + "1", 18)
def test_a_plain_number_is_what_decimal_says(text: str, decimals: int) -> None:
    found, expected = both(text, decimals), twin(text, decimals)
    if expected[1] == Exactness.OK:
        assert found == expected
    else:
        # A number both too large and too fine is refused for whichever is seen first.
        assert found[0] == 0
        assert found[1] in (Exactness.TOO_FINE, Exactness.OVERFLOW)
        assert found == expected or len(text) > 18


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_plain_number_is_refused(text: str) -> None:
    for decimals in (0, 8, 18):
        assert both(text, decimals) == (0, Exactness.MALFORMED)


def test_two_points_are_refused_at_any_scale() -> None:
    assert both("1.2.3", 18) == (0, Exactness.MALFORMED)
    assert both("1.2.3", 0)[1] != Exactness.OK


@pytest.mark.parametrize("text", ["-0.0", "-0", "-1", "-1.5", "-92233720368.54775808", "-"])
def test_a_sign_is_refused_as_negative(text: str) -> None:
    assert both(text, 8) == (0, Exactness.NEGATIVE)


def test_one_unit_over_the_largest_is_refused_and_never_wraps() -> None:
    assert both("92233720368.54775807", 8) == (INT64_MAX, Exactness.OK)
    assert both("92233720368.54775808", 8) == (0, Exactness.OVERFLOW)
    assert both("9" * 400, 0) == (0, Exactness.OVERFLOW)
    assert both("1" + "0" * 18, 1) == (0, Exactness.OVERFLOW)


def test_more_decimals_than_the_scale_are_refused_unless_they_are_zeros() -> None:
    assert both("0.123456789", 8) == (0, Exactness.TOO_FINE)
    assert both("0.123456780", 8) == (12_345_678, Exactness.OK)
    assert both("1.5", 0) == (0, Exactness.TOO_FINE)
    assert both("1.0", 0) == (1, Exactness.OK)


@randomly
@given(st.text(max_size=12), scales)
def test_any_text_is_a_plain_number_or_refused(text: str, decimals: int) -> None:
    value, status = both(text, decimals)
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        assert value == 0
        assert status != Exactness.OK


@randomly
@given(st.lists(st.one_of(plain_numbers, st.text(max_size=6), st.sampled_from(BAD))), scales)
def test_texts_that_are_not_ascii_leave_the_others_in_place(texts: list[str], decimals: int) -> None:
    values, status = parse_many(texts, decimals)
    assert list(zip(values.tolist(), status.tolist(), strict=True)) == [
        parse_text(text, decimals) for text in texts
    ]


@randomly
@given(st.integers(0, INT64_MAX), scales)
def test_a_number_survives_the_way_to_text_and_back(value: int, decimals: int) -> None:
    text = to_text(value, decimals)
    assert parse_text(text, decimals) == (value, Exactness.OK)
    assert to_decimal(value, decimals) == Decimal(text)
    assert text == "0" or not (
        text.startswith("00") or text.endswith(".") or ("." in text and text[-1] == "0")
    )


def test_what_does_not_apply_is_told_so() -> None:
    assert to_text(NONE, 8) == ""
    assert to_decimal(NONE, 8) is None


# ── floats ──


def one_float(x: float, decimals: int) -> tuple[int, Exactness]:
    # As plain Python the kernel would warn of a product that is infinite.
    with np.errstate(over="ignore"):
        values, status = scale_many(np.array([x]), decimals)
    return int(values[0]), Exactness(int(status[0]))


def moved(x: float, ulps: int) -> float:
    for _ in range(abs(ulps)):
        x = math.nextafter(x, math.inf if ulps > 0 else 0.0)
    return x


@randomly
@given(st.integers(0, 2**47 - 1), scales, st.sampled_from((-1, 0, 0, 1)))
def test_a_float_is_the_decimal_it_came_from_with_an_ulp_of_noise(
    value: int, decimals: int, ulps: int
) -> None:
    x = moved(float(Decimal(value).scaleb(-decimals)), ulps if value else 0)
    assert one_float(x, decimals) == (value, Exactness.OK)


@randomly
@given(st.integers(1, 2**46), st.integers(1, 9), st.integers(0, 17))
def test_a_float_between_two_steps_is_refused(value: int, tenth: int, decimals: int) -> None:
    x = float(Decimal(value * 10 + tenth).scaleb(-decimals - 1))
    assert one_float(x, decimals) == (0, Exactness.TOO_FINE)


@randomly
@given(st.integers(0, 10**15), st.integers(0, 18), scales)
def test_a_float_of_up_to_15_digits_is_exact_or_refused(digits: int, own: int, decimals: int) -> None:
    """Any decimal of 15 digits survives a double; so it is taken as that decimal wherever it fits."""
    stated = Decimal(digits).scaleb(-own)
    value, status = one_float(float(stated), decimals)
    exact = stated.scaleb(decimals)
    if exact == exact.to_integral_value() and exact <= INT64_MAX:
        assert (value, status) == (int(exact), Exactness.OK)
    else:
        assert value == 0
        assert status in (Exactness.TOO_FINE, Exactness.OVERFLOW)


@randomly
@given(st.floats(), scales)
def test_any_float_is_refused_or_within_float_error_of_what_it_is_taken_for(x: float, decimals: int) -> None:
    value, status = one_float(x, decimals)
    if status == Exactness.OK:
        assert 0 <= value <= INT64_MAX
        assert abs(float(Decimal(value).scaleb(-decimals)) - x) <= 3 * math.ulp(x)
    else:
        assert value == 0


@pytest.mark.parametrize(
    ("x", "decimals", "status"),
    [
        (math.nan, 8, Exactness.NOT_FINITE), (math.inf, 8, Exactness.NOT_FINITE),
        (-math.inf, 8, Exactness.NOT_FINITE), (-0.0, 8, Exactness.NEGATIVE), (-1.5, 8, Exactness.NEGATIVE),
        (-5e-324, 8, Exactness.NEGATIVE), (5e-324, 18, Exactness.TOO_FINE), (1e-300, 18, Exactness.TOO_FINE),
        (1e-19, 18, Exactness.TOO_FINE), (1e308, 0, Exactness.OVERFLOW), (1e300, 18, Exactness.OVERFLOW),
        (1e11, 8, Exactness.OVERFLOW), (92_233_720_369.0, 8, Exactness.OVERFLOW),
        (9.3, 18, Exactness.OVERFLOW),
    ],
)  # fmt: skip
def test_a_float_that_no_scaled_integer_can_be_is_refused(x: float, decimals: int, status: Exactness) -> None:
    assert one_float(x, decimals) == (0, status)


def test_floats_of_zero_and_of_known_noise() -> None:
    assert one_float(0.0, 8) == (0, Exactness.OK)
    assert one_float(0.1 + 0.2, 8) == (30_000_000, Exactness.OK)
    assert one_float(61_837.63, 8) == (6_183_763_000_000, Exactness.OK)
    assert one_float(92_233_720_368.0, 8) == (9_223_372_036_800_000_000, Exactness.OK)


def test_no_numbers_are_no_trouble() -> None:
    for values, status in (parse_many([], 8), scale_many(np.zeros(0), 8)):
        assert values.shape == status.shape == (0,)


def test_every_refusal_has_its_words() -> None:
    assert set(REASONS) == set(Exactness) - {Exactness.OK}


# ── scales ──


@given(scales, st.integers(0, 10**19), scales)
def test_a_scale_has_room_for_a_thousand_times_the_largest_or_is_as_coarse_as_it_may_be(
    needed: int, largest: int, wanted: int
) -> None:
    found = fitting_decimals(needed, largest, wanted)
    fits = [d for d in range(needed, max(needed, wanted) + 1) if largest * 1000 * 10**d <= INT64_MAX]
    assert found == max(fits, default=needed)


@given(st.lists(st.integers(-5, 10**6)))
def test_the_step_divides_every_positive_value_and_none_larger_does(values: list[int]) -> None:
    positive = [value for value in values if value > 0]
    step = grid_step(np.array(values, dtype=np.int64))
    assert step == (math.gcd(*positive) if positive else 1)
