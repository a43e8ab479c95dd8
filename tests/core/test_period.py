"""Times are int64 nanoseconds: what is told is read back, and what is no time gets one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.period import parse_time, time_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(0, 9_183_110_400 * 10**9 - 1))
def test_a_time_survives_the_way_to_text_and_back(time_ns: int) -> None:
    assert parse_time(time_text(time_ns)) == time_ns


@given(
    st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(2260, 12, 30)), st.integers(-1_439, 1_439)
)
def test_a_datetime_with_a_zone_and_its_text_are_the_same_time(moment: datetime, minutes: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (zoned - EPOCH) // timedelta(microseconds=1) * 1_000
    assert parse_time(zoned) == parse_time(zoned.isoformat()) == expected
    assert parse_time(moment) == parse_time(moment.replace(tzinfo=UTC)) == parse_time(moment.isoformat())


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 10**9),
        ("1970-01-01 00:01", 60 * 10**9),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T00:00:00.5", 500_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T01:00:00 +0100", 0),
        (" 1970-01-01 ", 0),
        ("1723161254137307667", 1_723_161_254_137_307_667),
        (5, 5),
    ],
)
def test_the_spellings_of_a_time(text: str | int, time_ns: int) -> None:
    assert parse_time(text) == time_ns


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "1970", "1970-13-01", "1970-01-32", "1970-01-01T25:00", "1970-01-01T00:00:00.0000000001",
        "1723161254", "17231612541373076671", "٢٠٢٤-01-01", "1970-01-01T00:00:00+25:00", "-1",
        "1_000_000_000_000_000", "1969-12-31T23:59", "2261-01-01", "0001-01-01T00:00+01:00",
    ],
)  # fmt: skip
def test_what_is_no_time_gets_one_sentence(text: str) -> None:
    with pytest.raises(OptionError, match="is no time") as caught:
        parse_time(text)
    assert "ISO 8601" in str(caught.value)


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (10**6, "1970-01-01T00:00:00.001Z"),
        (10**9 + 1_500, "1970-01-01T00:00:01.000001500Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_a_time_is_told_with_decimals_in_threes(time_ns: int, text: str) -> None:
    assert time_text(time_ns) == text
