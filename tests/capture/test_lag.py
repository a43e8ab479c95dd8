"""Percentiles of lags: bounded memory, less than one per cent of error, negative ones told apart."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.capture.lag import LagHistogram, RecentLag
from rlx_datapipe.capture.measures import latency_of

NS = st.integers(-(1 << 62), 1 << 62)


@given(st.lists(NS, min_size=1), st.floats(0.0, 1.0))
def test_a_percentile_is_right_to_one_per_cent(lags: list[int], share: float) -> None:
    histogram = LagHistogram()
    for lag in lags:
        histogram.add(lag)
    (found,) = histogram.percentiles([share])
    exact = int(np.quantile(np.array(lags, dtype=np.int64), share, method="inverted_cdf"))
    assert found is not None
    assert abs(found - exact) <= abs(exact) / 100


@given(st.integers(1, 1 << 60), st.lists(st.integers(0, 1 << 30), min_size=1, max_size=50))
def test_what_is_shown_live_is_what_the_manifest_will_say(age_ns: int, jitter_ns: list[int]) -> None:
    lags = [age_ns + jitter for jitter in jitter_ns]
    live = LagHistogram()
    for lag in lags:
        live.add(lag)
    sealed = latency_of(np.array(lags, dtype=np.int64))
    told = live.told()
    for name, value in (("p50_ms", sealed.p50_ms), ("p95_ms", sealed.p95_ms), ("p99_ms", sealed.p99_ms)):
        shown = told[name]
        assert shown is not None
        assert abs(shown - value) <= abs(value) / 100 + 0.001


def test_memory_is_bounded() -> None:
    histogram = LagHistogram()
    dice = random.Random(1)
    for _ in range(50_000):
        histogram.add(dice.randrange(1 << dice.randrange(1, 63)) * dice.choice((-1, 1)))
    assert len(histogram._counts) < 8_200
    assert histogram.total == 50_000


def test_nothing_counted_tells_nothing() -> None:
    assert LagHistogram().told() == {"p50_ms": None, "p95_ms": None, "p99_ms": None}


def test_what_is_recent_ages_and_nothing_is_forgotten() -> None:
    lag = RecentLag(turn_ns=60)
    lag.turn(1_000)
    for at_ns in range(1_000, 1_300):
        lag.add(at_ns)
        lag.turn(at_ns)
    assert lag.all().total == 300
    assert 60 <= lag.recent().total <= 120
    (oldest,) = lag.recent().percentiles([0.0])
    assert oldest is not None
    assert oldest > 1_100
