"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.report.figures import count, duration, even_ticks, moment, share, short, size, time_ticks

NS = 1_000_000_000


@pytest.mark.parametrize(
    ("ns", "told"),
    [
        (0, "0"),
        (1, "1 ns"),
        (1_500, "1.5 µs"),
        (32_999_936, "33 ms"),
        (-1_270_000_000, "\u22121.27 s"),
        (90 * NS, "90 s"),
        (650 * NS, "10.8 min"),
        (3 * 3600 * NS, "3 h"),
        (5 * 86400 * NS, "5 d"),
        (None, "\u2013"),
    ],
)
def test_a_length_of_time_has_the_unit_that_suits_it(ns: int | None, told: str) -> None:
    assert duration(ns) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.00001, "< 0.01 %"),
        (0.99999, "> 99.99 %"),
        (0.18, "18 %"),
        (0.4567, "45.7 %"),
    ],
)
def test_what_is_not_all_never_looks_like_all(value: float, told: str) -> None:
    assert share(value) == told


def test_counts_sizes_and_moments() -> None:
    assert count(1234567) == "1,234,567"
    assert size(186_000_000) == "186 MB"
    assert short(12_300) == "12.3k"
    assert moment(1_723_161_600 * NS) == "2024-08-09 00:00:00"


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12), st.integers(2, 8))
def test_ticks_are_few_and_inside(low: float, span: float, most: int) -> None:
    ticks = even_ticks(low, low + span, most)
    assert len(ticks) <= most + 1
    assert all(low - span * 0.01 <= tick <= low + span * 1.01 for tick in ticks)


@given(st.integers(0, 4_000_000_000), st.integers(1, 40_000_000))
def test_moments_on_an_axis_are_few_and_inside(begin_s: int, span_s: int) -> None:
    ticks = time_ticks(begin_s * NS, (begin_s + span_s) * NS)
    assert len(ticks) <= 7
    assert all(begin_s * NS <= at <= (begin_s + span_s) * NS for at, _ in ticks)
