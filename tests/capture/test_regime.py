"""A stretch is told by those before it: high, low or normal; special by the calendar; else unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.capture.regime import RegimeDetector, Special, read_calendar
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.store.capture_market import Measures


def stretch(volume: float | None, volatility: float | None, spread: float | None) -> Measures:
    return Measures(1, 1.0, volume, volatility, spread, {})


def after(stretches: list[Measures], detector: RegimeDetector) -> list[str]:
    regimes = []
    for at, measures in enumerate(stretches):
        regimes.append(str(detector.judge(measures, at, at + 1)))
        detector.add(measures)
    return regimes


USUAL = [stretch(value, value, value) for value in np.linspace(1, 2, 20)]


@pytest.mark.parametrize(
    ("last", "regime"),
    [
        (stretch(9, 9, 9), "high"),
        (stretch(9, 9, 1.5), "high"),
        (stretch(9, 1.5, 9), "high"),
        (stretch(9, 1.5, 1.5), "normal"),
        (stretch(1.5, 1.5, 1.5), "normal"),
        (stretch(0, 0, 9), "low"),
        (stretch(0, 0, None), "low"),
        (stretch(9, None, None), "unknown"),
        (stretch(None, None, None), "unknown"),
    ],
)
def test_two_of_three_measures_decide(last: Measures, regime: str) -> None:
    assert after([*USUAL, last], RegimeDetector())[-1] == regime


def test_nothing_is_told_before_there_is_enough_to_compare_with() -> None:
    tags = after(USUAL, RegimeDetector(least=5))
    assert tags[:5] == ["unknown"] * 5
    assert "unknown" not in tags[5:]


def test_old_stretches_are_forgotten() -> None:
    detector = RegimeDetector(trailing=10, least=5)
    risen = [stretch(v.volume_per_s * 50, v.volatility_bps * 50, 1.0) for v in USUAL]  # type: ignore[operator]
    tags = after([*USUAL, *risen], detector)
    assert tags[20] == "high"
    assert tags[-1] in ("high", "normal")
    assert after([*USUAL, *risen, stretch(51, 51, 1)], RegimeDetector(trailing=10, least=5))[-1] == "low"


@given(st.lists(st.tuples(*[st.none() | st.floats(0, 1e9)] * 3), max_size=40), st.integers(0, 39))
def test_what_comes_later_changes_no_tag(values: list[tuple[float | None, ...]], cut: int) -> None:
    stretches = [stretch(*given) for given in values]
    whole = after(stretches, RegimeDetector(least=3, trailing=9))
    assert after(stretches[:cut], RegimeDetector(least=3, trailing=9)) == whole[:cut]


def test_a_special_period_is_told_where_it_is_touched() -> None:
    detector = RegimeDetector(calendar=[Special("release", 10, 12)])
    tags = [detector.judge(stretch(1, 1, 1), at, at + 1) for at in range(8, 14)]
    assert [tag == "special" for tag in tags] == [False, True, True, True, False, False]


def test_a_calendar_is_read_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "calendar.toml"
    path.write_text(
        '[[period]]\nname = "fork"\nfrom = "2024-08-09"\nto = "2024-08-10"\n'
        '[[period]]\nname = "CPI"\nfrom = "2024-08-08T12:25"\nto = "2024-08-08T13:00"\n'
    )
    assert [(p.name, p.from_ns) for p in read_calendar(path)] == [
        ("CPI", 1_723_119_900_000_000_000),
        ("fork", 1_723_161_600_000_000_000),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("period = 7 7", "can't read the calendar"),
        ('[[period]]\nname = "x"\n', "needs name, from and to"),
        ('[[period]]\nname = "x"\nfrom = "2024-08-09"\nto = "2024-08-08"\n', "ends before it begins"),
        ('[[period]]\nname = "x"\nfrom = "noon"\nto = "2024-08-08"\n', "no time"),
    ],
)
def test_a_bad_calendar_is_refused_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "calendar.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match=reason):
        read_calendar(path)


@pytest.mark.parametrize("given", [{"low": 0.9, "high": 0.1}, {"least": 0}, {"least": 9, "trailing": 3}])
def test_settings_that_mean_nothing_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        RegimeDetector(**given)  # type: ignore[arg-type]
