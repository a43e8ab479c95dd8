"""Time as int64 nanoseconds UTC: read from what a user writes, told in ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from rlx_datapipe.core.errors import OptionError

NS_PER_S = 1_000_000_000
_END_NS = 9_183_110_400 * NS_PER_S
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?", re.ASCII
)


def parse_time(text: str | int | datetime) -> int:
    """Nanoseconds since 1970 UTC of an ISO 8601 time, a datetime, or an integer that is that already.

    A time without zone is UTC.

    Raises
    ------
    OptionError
        When it can't be read.
    """
    time_ns = _nanoseconds(text)
    if not 0 <= time_ns < _END_NS:
        raise _no_time(text)
    return time_ns


def _nanoseconds(text: str | int | datetime) -> int:
    if isinstance(text, int):
        return text
    if isinstance(text, datetime):
        moment = text if text.tzinfo else text.replace(tzinfo=UTC)
        # Whole seconds and microseconds apart: a float timestamp would lose digits.
        return int(moment.replace(microsecond=0).timestamp()) * NS_PER_S + moment.microsecond * 1000
    if re.fullmatch(r"\d{16,19}", text, re.ASCII):
        return int(text)
    match = _ISO.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        day, clock, fraction, zone = match.groups()
        moment = datetime.fromisoformat(
            f"{day}T{clock or '00:00:00'}{'+00:00' if zone in (None, 'Z') else zone}"
        )
    except ValueError as error:
        raise _no_time(text) from error
    return int(moment.timestamp()) * NS_PER_S + int((fraction or "0").ljust(9, "0"))


def _no_time(text: object) -> OptionError:
    expected = "ISO 8601 such as 2024-08-08T23:59:58.5Z, or nanoseconds since 1970, before 2261"
    return OptionError("the moment that was asked for (--at) is no time", found=text, expected=expected)


def time_text(time_ns: int) -> str:
    """ISO 8601 in UTC with as many decimals as are needed, in threes."""
    seconds, rest = divmod(time_ns, NS_PER_S)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if rest == 0:
        return f"{text}Z"
    digits = f"{rest:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{text}.{digits}Z"
