"""What is drawn of a metric: bounded, the same shares as the samples have, and what JSON gives back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.fidelity.results import full_plots, result

from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.fidelity.bins import golden_bins
from rlx_datapipe.fidelity.blocks import BlockCounts, BlockNumbers, BlockVectors
from rlx_datapipe.fidelity.distances import FloatArray
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.plot_data import (
    CELLS_MAX,
    TIMES_MAX,
    HeatMap,
    Histogram,
    OverTime,
    Plots,
    Quantiles,
)
from rlx_datapipe.fidelity.plotted import histogram, plotted, quantiles
from rlx_datapipe.fidelity.plugin import MetricResult
from rlx_datapipe.fidelity.result import SCHEMA, read_report
from rlx_datapipe.fidelity.synthetic import synthetic_side

SAMPLES = arrays.arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e6, 1e6, allow_subnormal=False))


def sketched(golden: FloatArray, recon: FloatArray) -> tuple[Histogram, Quantiles]:
    bins = golden_bins(golden)
    counts = bins.count(golden), bins.count(recon)
    return histogram(*counts, bins.centres), quantiles(*counts, bins.centres)


@given(SAMPLES, SAMPLES)
def test_sketches_of_any_samples_are_bounded_and_whole(golden: FloatArray, recon: FloatArray) -> None:
    drawn, levels = sketched(golden, recon)
    assert len(drawn.golden) <= CELLS_MAX
    assert sum(drawn.golden) == pytest.approx(1)
    assert sum(drawn.recon) == pytest.approx(1)
    assert min(*drawn.golden, *drawn.recon) >= 0
    assert (np.diff(drawn.edges) > 0).all()
    assert len(levels.golden) <= CELLS_MAX
    assert (np.diff(levels.golden) >= 0).all()
    assert (np.diff(levels.recon) >= 0).all()


@given(arrays.arrays(np.int64, st.integers(1, 200), elements=st.integers(1, 40)))
def test_whole_numbers_have_a_cell_each(ticks: FloatArray) -> None:
    """The plain twin: counting. The outermost 0.5 % are put into the outer cells, here at most one value."""
    drawn, _ = sketched(ticks.astype(np.float64), ticks.astype(np.float64))
    centres = (np.array(drawn.edges)[1:] + np.array(drawn.edges)[:-1]) / 2
    for centre, share in list(zip(centres, drawn.golden, strict=True))[1:-1]:
        assert share == pytest.approx(float(np.mean(ticks == round(centre))))


def test_many_values_keep_their_shape() -> None:
    rng = np.random.default_rng(0)
    golden, recon = rng.normal(size=200_000), rng.normal(0.5, 1, size=200_000)
    drawn, levels = sketched(golden, recon)
    edges = np.array(drawn.edges)
    for sample, shares in ((golden, drawn.golden), (recon, drawn.recon)):
        inside = np.histogram(sample, edges)[0] / len(sample)
        assert np.abs(inside - shares)[1:-1].max() < 2 / 1024
    assert np.abs(np.quantile(golden, levels.levels) - levels.golden).max() < 0.2
    middle = slice(8, -8)
    assert np.abs(np.array(levels.recon) - np.array(levels.golden))[middle] == pytest.approx(0.5, abs=0.1)


def test_what_spans_powers_of_ten_is_on_a_logarithmic_axis() -> None:
    sizes = np.random.default_rng(0).lognormal(0, 2, 50_000)
    drawn, _ = sketched(sizes, sizes)
    assert drawn.is_log
    assert np.diff(np.log(drawn.edges)) == pytest.approx(float(np.log(drawn.edges[1] / drawn.edges[0])))


def test_values_by_window_are_thinned_to_their_bound_and_gaps_stay() -> None:
    side = synthetic_side(1, windows=1_200, window_s=1)
    data = Comparison(side, side, is_paired=True)
    numbers = np.arange(1_200.0)
    numbers[:3] = np.nan
    drawn = plotted(MetricResult("m", "", 1.0, blocks=BlockNumbers(numbers, numbers)), data).over_time
    assert drawn is not None
    assert len(drawn.golden) == 400 <= TIMES_MAX
    assert drawn.golden[:2] == [None, 4.0]
    assert drawn.golden_times[1] == side.windows[3].start_ns
    assert drawn.told == "value of each window, 3 windows a point"


def test_of_many_numbers_the_one_furthest_apart_is_drawn() -> None:
    side = synthetic_side(1, windows=3, window_s=1)
    data = Comparison(side, side, is_paired=True)
    golden = np.array([[1.0, 5.0, np.nan], [1.0, np.nan, np.nan], [1.0, 5.0, np.nan]])
    recon = golden + np.array([0.0, 1.0, 9.0])
    drawn = plotted(MetricResult("m", "", 1.0, blocks=BlockVectors(golden, recon)), data)
    assert drawn.over_time is not None
    assert (drawn.over_time.golden, drawn.over_time.recon) == ([5.0, None, 5.0], [6.0, None, 6.0])
    assert drawn.over_time.told == "number 2 of 3, the furthest apart, in each window"
    nothing = np.full((3, 2), np.nan)
    assert plotted(MetricResult("m", "", 1.0, blocks=BlockVectors(nothing, nothing)), data) == Plots()


def test_an_empty_side_and_a_metric_without_windows_draw_nothing() -> None:
    side = synthetic_side(1, windows=2, window_s=1)
    data = Comparison(side, side, is_paired=True)
    nothing = np.zeros((2, 3), dtype=np.int64)
    blocks = BlockCounts(nothing + 1, nothing, np.arange(3.0))
    assert plotted(MetricResult("m", "", 1.0, blocks=blocks), data) == Plots()
    assert plotted(MetricResult("m", "", 1.0), data) == Plots()


@pytest.mark.parametrize(
    "beyond",
    [
        lambda: Histogram(edges=[0.0] * 66, golden=[0.0] * 65, recon=[0.0] * 65),
        lambda: Histogram(edges=[0.0, 1.0], golden=[1.0], recon=[float("nan")]),
        lambda: Histogram(edges=[0.0], golden=[1.0], recon=[1.0]),
        lambda: Quantiles(levels=[0.5], golden=[1.0, 2.0], recon=[1.0]),
        lambda: OverTime(told="", golden_times=[0] * 501, golden=[0.0] * 501, recon_times=[], recon=[]),
        lambda: HeatMap(told="", rows=["a"] * 51, columns=["b"], values=[[0.0]] * 51),
        lambda: HeatMap(told="", rows=["a"], columns=["b", "c"], values=[[0.0]]),
    ],
)
def test_more_than_the_bound_or_what_does_not_fit_is_refused(beyond: type) -> None:
    with pytest.raises(OptionError):
        beyond()


def test_json_gives_back_the_result(tmp_path: Path) -> None:
    one = result(7)
    (tmp_path / "a.json").write_bytes(one.to_json())
    again = read_report(tmp_path / "a.json")
    assert again == one
    assert again.to_json() == one.to_json()
    assert one.to_json().startswith(b'{\n "schema": "' + SCHEMA.encode())
    assert full_plots(3) == one.metrics[3].plots


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{}", "no schema"),
        ('{"schema": "rlx.fidelity/9"}', "rlx.fidelity/9"),
        ('{"schema": "rlx.fidelity/1"}', "header"),
        ("[", "no fidelity result"),
        ("\udcff", "no fidelity result"),
    ],
)
def test_what_is_no_result_is_refused_in_one_sentence(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match=told):
        read_report(path)
    with pytest.raises(SourceError, match="can't be read"):
        read_report(tmp_path / "absent.json")
    broken = result(1).to_json().replace(b'"levels": [', b'"levels": [0.5,')
    path.write_bytes(broken)
    with pytest.raises(SourceError, match="differ in number"):
        read_report(path)
