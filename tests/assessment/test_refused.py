"""What could not be read, and what its times were meant to be."""

from __future__ import annotations

import pytest

from rlx_datapipe.assessment.refused import Refused
from rlx_datapipe.core.feed import Reject


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        ("1723161600", "s"),
        ("1723161600.25", "s"),
        ("1723161600123", "ms"),
        ("1723161600123456", "us"),
        ("1723161600123456789", "ns"),
        ("0", "zero"),
        ("0.0", "zero"),
        ("null", "missing"),
        ("", "missing"),
        ("17231616001234567890123", "out of range"),
        ("-5", "out of range"),
        ("yesterday", "out of range"),
    ],
)
def test_a_refused_time_is_what_it_looks_like(found: str, meant: str) -> None:
    refused = Refused()
    refused.add([Reject("f", 1, "outside 2017 to 2100", "timestamp", found)])
    assert refused.times == {meant: 1}


def test_reasons_are_told_without_their_numbers_and_are_bounded() -> None:
    refused = Refused()
    refused.add(Reject("f", row, f"row {row} of the same message is refused") for row in range(50))
    assert refused.reasons == {"row # of the same message is refused": 50}
    refused.add(Reject("f", 1, f"reason {'x' * length}") for length in range(500))
    assert len(refused.reasons) <= 101
    assert refused.total == 550


def test_a_file_that_breaks_off_is_named() -> None:
    refused = Refused()
    refused.add([Reject("a.gz", 7, "gzip stream ends before its end marker; the rest is lost")])
    assert refused.breaks[0].file == "a.gz"
