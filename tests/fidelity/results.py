"""Results of fidelity runs for the tests of their pages: of any size, with the most plots, told anything."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.finding import Finding, Severity
from rlx_datapipe.fidelity.decision import DecisionSettings, Standing
from rlx_datapipe.fidelity.plot_data import (
    CELLS_MAX,
    HEAT_MAX,
    TIMES_MAX,
    HeatMap,
    Histogram,
    OverTime,
    Plots,
    Quantiles,
)
from rlx_datapipe.fidelity.result import (
    FidelityReport,
    Header,
    MetricReport,
    Problem,
    PValues,
    Score,
    Side,
    Strength,
)

T0, WINDOW = 1_723_161_600_000_000_000, 60 * 10**9
_STANDINGS = (Standing.PASS, Standing.FAIL, Standing.PASS, Standing.INCONCLUSIVE, Standing.NOT_IDENTIFIABLE)


def full_plots(seed: int) -> Plots:
    """Each plot with as many points as it may have."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(CELLS_MAX), 2)
    ranks = np.sort(rng.normal(size=(2, CELLS_MAX)), axis=1)
    times = [T0 + at * WINDOW for at in range(TIMES_MAX)]
    walks = rng.normal(size=(2, TIMES_MAX)).cumsum(axis=1)
    names = [f"l{at}" for at in range(HEAT_MAX)]
    return Plots(
        histogram=Histogram(
            edges=np.geomspace(0.001, 90, CELLS_MAX + 1).tolist(),
            golden=shares[0].tolist(),
            recon=shares[1].tolist(),
            is_log=True,
        ),
        quantiles=Quantiles(
            levels=((np.arange(CELLS_MAX) + 0.5) / CELLS_MAX).tolist(),
            golden=ranks[0].tolist(),
            recon=ranks[1].tolist(),
        ),
        over_time=OverTime(
            told="mean of each window",
            golden_times=times,
            golden=walks[0].tolist(),
            recon_times=times,
            recon=[None, *walks[1][1:].tolist()],
        ),
        heat_map=HeatMap(
            told="recon less golden",
            rows=names,
            columns=names,
            values=[[None, *row[1:]] for row in rng.uniform(-1, 1, (HEAT_MAX, HEAT_MAX)).tolist()],
        ),
    )


def metric(at: int, words: str = "words", *, has_plots: bool = True) -> MetricReport:
    """One metric of any standing."""
    standing = _STANDINGS[at % len(_STANDINGS)]
    has_number = standing is not Standing.NOT_IDENTIFIABLE
    value = 0.01 * (at + 1)
    return MetricReport(
        name=f"metric_{at}",
        category=f"family {at % 7}",
        tier=at % 3 + 1,
        unit=words,
        verdict=standing,
        reason=words,
        purpose=words,
        value=value if has_number else None,
        tested=value if has_number else None,
        low=value / 2 if has_number else None,
        high=value * 2 if has_number else None,
        golden=1.0,
        recon=1.0 + value,
        floor=0.03 if at % 2 else None,
        margin=0.05,
        ratio=value / 0.03 if at % 2 else None,
        p=PValues(adjusted=0.04, discovery=0.03, plain=0.0001, classical_ks_not_valid_under_dependence=0.0),
        score=0.5,
        meaning=words,
        remedy=words,
        requirements=[words],
        reference=words,
        measures={words: words, "wasserstein": 0.25},
        plots=full_plots(at) if has_plots else Plots(),
    )


def side(words: str = "BTC-USDT", *, begins_ns: int = T0, source: str = "data/ours") -> Side:
    """One side; its symbol is told."""
    return Side(
        source=source,
        digest="ab" * 32,
        exchange="BINANCE",
        symbol=words,
        begins_ns=begins_ns,
        ends_ns=begins_ns + TIMES_MAX * WINDOW,
        data_hours=8.3,
        windows=TIMES_MAX,
        events=1_000_000,
        resolution_ns=1_000_000,
    )


def result(
    metrics: int = 10,
    words: str = "words",
    *,
    symbol: str = "BTC-USDT",
    begins_ns: int = T0,
    verdict: Standing = Standing.FAIL,
    has_plots: bool = True,
) -> FidelityReport:
    """A whole result; every text in it is ``words``."""
    dataset = side(symbol, begins_ns=begins_ns, source=words)
    return FidelityReport(
        header=Header(
            dataset=dataset,
            golden=side(symbol, source=words),
            is_paired=True,
            window_ns=WINDOW,
            seed=7,
            settings=DecisionSettings(),
            versions={"rlx-datapipe": "0.1.0", words: words},
        ),
        verdict=verdict,
        reason=words,
        score=Score(overall=0.71, decided=0.8, by_category={"family 0": 0.5}, by_tier={"1": None}),
        metrics=[metric(at, words, has_plots=has_plots) for at in range(metrics)],
        strengths=[Strength(title=words, text=words)],
        problems=[
            Problem(title=words, text=words, standing=Standing.FAIL, causes=[words] * 9, remedies=[words] * 9)
        ],
        findings=[Finding(rule=words, severity=Severity.WARN, message=words)],
    )
