"""Known answers: each is found, the page tells it, and what is planted wrong is not found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import metrics_table
from rlx_datapipe.fidelity.catalogue import require_statistics, standard_registry
from rlx_datapipe.fidelity.known import ANSWERS
from rlx_datapipe.fidelity.known_answer import KnownAnswer
from rlx_datapipe.fidelity.metrics.arrivals import fano, log_gaps
from rlx_datapipe.fidelity.metrics.impact import kyle_lambda
from rlx_datapipe.fidelity.metrics.jumps import barndorff_nielsen_shephard, lee_mykland
from rlx_datapipe.fidelity.metrics.tails import hill, power_law
from rlx_datapipe.fidelity.metrics.trades import size_atoms


@pytest.fixture(scope="module")
def found() -> list[float]:
    return [answer.found for answer in ANSWERS]


def test_every_known_answer_is_found(found: list[float]) -> None:
    wrong = [
        f"{answer.what}, {answer.case}: {value}, expected {answer.expected}"
        for answer, value in zip(ANSWERS, found, strict=True)
        if not abs(value - answer.expected) <= answer.tolerance
    ]
    assert wrong == []


def test_the_page_tells_what_is_found(found: list[float]) -> None:
    page = metrics_table.PAGE.read_text("utf-8")
    assert metrics_table.written("metrics", page) == metrics_table.section("metrics"), (
        "run scripts/metrics_table.py"
    )
    rows = [
        line.split(" | ")
        for line in metrics_table.written("known answers", page).splitlines()
        if " | " in line
    ][1:]
    assert [row[1] for row in rows[-len(ANSWERS) :]] == [answer.case for answer in ANSWERS]
    for row, answer, value in zip(rows[-len(ANSWERS) :], ANSWERS, found, strict=True):
        # Another machine may round the fourth digit otherwise.
        assert float(row[4]) == pytest.approx(value, rel=2e-3, abs=1e-9), answer


def test_an_answer_beyond_its_tolerance_is_seen() -> None:
    wrong = KnownAnswer("K-S", "planted", 0.2, 0.01, lambda: 0.3, "none")
    assert abs(wrong.found - wrong.expected) > wrong.tolerance


def test_the_error_of_kyles_lambda_is_that_of_statsmodels() -> None:
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tools.tools import add_constant

    rng = np.random.default_rng(0)
    volume = rng.normal(size=500)
    moves = 0.3 * volume + np.convolve(rng.normal(size=502), [1, 1, 1], "valid")
    lags = int(4 * (500 / 100) ** (2 / 9))
    told = OLS(moves, add_constant(volume)).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False}
    )
    found = kyle_lambda(volume, moves)
    assert (found.estimate, found.error) == pytest.approx((told.params[1], told.bse[1]), rel=1e-9)


def test_a_power_law_is_fitted_as_by_trying_every_threshold() -> None:
    values = np.random.default_rng(1).pareto(2.0, 300) + 1

    def distance(start: int) -> tuple[float, float]:
        tail = np.sort(values)[start:]
        alpha = 1 + len(tail) / np.log(tail / tail[0]).sum()
        model, n = 1 - (tail / tail[0]) ** (1 - alpha), len(tail)
        ks = max(np.abs(model - np.arange(n) / n).max(), np.abs(model - np.arange(1, n + 1) / n).max())
        return float(ks), float(alpha)

    expected = min(distance(start) for start in range(270))
    fitted = power_law(values, thresholds=270)
    assert (fitted.distance, fitted.alpha) == pytest.approx(expected, rel=1e-9)


def test_statistics_of_nothing_are_not_defined() -> None:
    none = np.zeros(0)
    assert np.isnan(hill(none, 10))
    assert np.isnan(hill(np.zeros(50), 10))
    assert power_law(none).count == 0
    assert np.isnan(barndorff_nielsen_shephard(np.zeros(100)))
    assert not lee_mykland(np.ones(10)).any()
    assert np.isnan(fano(np.zeros(0, dtype=np.int64), 0, 10, 1))
    assert kyle_lambda(np.zeros(10), np.ones(10)).reason
    assert log_gaps(np.array([5, 5, 1_000_000_005])).tolist() == [0.0]


def test_round_sizes_are_atoms() -> None:
    golden = np.array([100] * 50 + [200] * 30 + list(range(1, 21)))
    assert size_atoms(golden, golden) == 0
    assert size_atoms(golden, np.full(10, 7_777), atoms=2) == pytest.approx(0.8)


def test_the_catalogue_is_large_and_its_metadata_are_json() -> None:
    import msgspec

    registry = standard_registry(with_plugins=False)
    told = [registry.get(name).get_metadata() for name in registry]
    assert len(told) >= 30
    assert {one.category for one in told} >= {
        "spread",
        "depth",
        "touch",
        "flow",
        "trades",
        "arrivals",
        "returns",
        "impact",
    }
    assert msgspec.json.decode(msgspec.json.encode(told), type=list) != []
    require_statistics()


def test_without_the_extra_there_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "arch.py").write_text("raise ModuleNotFoundError('arch')")
    code = (
        "from rlx_datapipe.fidelity import catalogue\n"
        "catalogue.standard_registry()\n"
        "try:\n    catalogue.require_statistics()\nexcept Exception as error:\n    print(error)"
    )
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (
        done.stdout.strip()
        == "fidelity needs the extra 'fidelity'. Run: pip install 'rlx-datapipe[fidelity]'"
    )


def test_nothing_heavy_is_loaded_with_the_catalogue() -> None:
    code = (
        "import sys, rlx_datapipe.fidelity.catalogue, rlx_datapipe.fidelity.judge\n"
        "print(*sys.modules.keys() & {'scipy.stats', 'scipy.signal', 'arch', 'statsmodels', 'pandas'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
