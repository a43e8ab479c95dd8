"""Known answers: what theory says that each definition must give, and what ours gives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.dependence import autocorrelation, correlation_time
from rlx_datapipe.fidelity.distances import FloatArray, two_sample
from rlx_datapipe.fidelity.known_answer import KnownAnswer
from rlx_datapipe.fidelity.known_flow import FLOW_ANSWERS
from rlx_datapipe.fidelity.metrics.arrivals import fano
from rlx_datapipe.fidelity.metrics.depth import imbalance, level_correlation
from rlx_datapipe.fidelity.metrics.flow import order_flow
from rlx_datapipe.fidelity.metrics.garch import garch
from rlx_datapipe.fidelity.metrics.impact import kyle_lambda
from rlx_datapipe.fidelity.metrics.jumps import ait_sahalia_jacod, barndorff_nielsen_shephard, lee_mykland
from rlx_datapipe.fidelity.metrics.noise import hausman, hausman_fast
from rlx_datapipe.fidelity.metrics.returns import excess_kurtosis, garch_square_correlation, tail_ratio
from rlx_datapipe.fidelity.metrics.spread import level_spread
from rlx_datapipe.fidelity.metrics.tails import hill, power_law
from rlx_datapipe.fidelity.mmd import block_mmd, linear_mmd
from rlx_datapipe.fidelity.rehearsal import ar1
from rlx_datapipe.fidelity.sketch import Sketch


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _normals() -> tuple[FloatArray, FloatArray]:
    rng = _rng(1)
    return rng.normal(size=400_000), rng.normal(0.5, 1, 400_000)


def _vectors(count: int) -> tuple[FloatArray, FloatArray]:
    rng = _rng(2)
    return rng.normal(size=(count, 1)), rng.normal(0.5, 1, (count, 1))


def _flow(row: int) -> float:
    quotes = np.array(
        [(100, 10, 102, 10), (100, 13, 102, 10), (101, 5, 103, 4), (100, 7, 102, 9), (100, 7, 102, 6)],
        dtype=np.int64,
    )
    out = np.zeros(5, dtype=np.int64)
    bid, bid_size, ask, ask_size = (np.ascontiguousarray(column) for column in quotes.T)
    order_flow(bid, bid_size, ask, ask_size, np.zeros(5, dtype=np.int64), out)
    return float(out[row])


def _spread(level: int) -> float:
    steps = np.arange(20, dtype=np.int64) * 10
    ladder = np.stack([1000 - steps, steps + 1, 1010 + steps, steps + 1])[None]
    return float(level_spread(ladder, level, 10)[0])


def _poisson(rate: int) -> Int64Array:
    return np.sort(_rng(3).integers(0, 10**13, 10_000 * rate))


def _kyle() -> float:
    rng = _rng(4)
    value, noise = 2 * rng.normal(size=400_000), 10 * rng.normal(size=400_000)
    flow = 5 * value + noise
    return kyle_lambda(flow, value).estimate


def _field() -> float:
    fields = _rng(5).normal(size=(40_000, 2, 10))
    for level in range(1, 10):
        fields[:, :, level] = 0.7 * fields[:, :, level - 1] + 0.51**0.5 * fields[:, :, level]
    levels = np.zeros((40_000, 4, 10), dtype=np.int64)
    levels[:, 1], levels[:, 3] = (np.rint(fields[:, side] * 1e4 + 1e6) for side in (0, 1))
    return float(level_correlation(levels)[0, 3])


def _garch(count: int, seed: int) -> FloatArray:
    rng = _rng(seed)
    shocks = rng.standard_normal(count + 500)
    out, variance = np.zeros(count + 500), 2.5
    for i, shock in enumerate(shocks):
        out[i] = variance**0.5 * shock
        variance = 0.05 + 0.08 * out[i] ** 2 + 0.90 * variance
    return out[500:]


def _share(
    test: Callable[[FloatArray], bool], noise: float = 0.0, count: int = 2340, trials: int = 200
) -> float:
    """Share of trials in which a test rejects returns with as much noise in the price."""
    hits = 0
    for rng in _rng(6).spawn(trials):
        clean = rng.standard_normal(count)
        hits += test(clean + noise * np.diff(rng.standard_normal(count + 1)))
    return hits / trials


def _jump(returns: FloatArray, size: float = 10.0) -> FloatArray:
    out = returns.copy()
    out[len(out) // 2] += size
    return out


def _mean(statistic: Callable[[FloatArray], float], *, jump: float = 0.0) -> float:
    returns = [rng.standard_normal(2880) for rng in _rng(7).spawn(200)]
    return float(np.mean([statistic(_jump(one, jump)) for one in returns]))


def _pareto(index: float, count: int = 100_000) -> FloatArray:
    return _rng(8).random(count) ** (-1 / index)


def _body_and_tail() -> FloatArray:
    rng = _rng(9)
    return np.concatenate([rng.uniform(0, 5, 50_000), 5 * rng.random(50_000) ** (-1 / 1.5)])


def _t10() -> FloatArray:
    return _rng(10).standard_t(10, 1_000_000)


def _sketched(share: float) -> float:
    sketch = Sketch()
    sketch.update(_t10())
    return sketch.quantile(share)


KS, AD, ER = "Kolmogorov (1933), Smirnov (1948)", "Scholz and Stephens (1987)", "Szekely and Rizzo (2013)"
CKS, BNS = "Cont, Kukanov and Stoikov (2014)", "Barndorff-Nielsen and Shephard (2006)"
AX, LM, AJ = "Ait-Sahalia and Xiu (2019)", "Lee and Mykland (2008)", "Ait-Sahalia and Jacod (2009)"
CSN = "Clauset, Shalizi and Newman (2009)"
PAIR = "N(0,1) and N(0.5,1)"
NOISELESS = "2,340 normal returns, 200 trials: share rejected at 5 %"

ANSWERS: tuple[KnownAnswer, ...] = (
    KnownAnswer("K-S distance", PAIR, 0.19741, 0.004, lambda: two_sample(*_normals()).ks, KS),
    KnownAnswer(
        "Wasserstein-1", PAIR, 0.5, 0.008, lambda: two_sample(*_normals()).wasserstein, "Vallender (1974)"
    ),
    KnownAnswer("energy distance", PAIR, 0.139596, 0.004, lambda: two_sample(*_normals()).energy, ER),
    KnownAnswer(
        "Anderson-Darling A2",
        "one law, mean of 200 trials of 300 values",
        1.0,
        0.15,
        lambda: float(
            np.mean([two_sample(*r.normal(size=(2, 300))).anderson_darling for r in _rng(11).spawn(200)])
        ),
        AD,
    ),
    KnownAnswer(
        "Cramer-von Mises T",
        "one law, mean of 200 trials of 300 values",
        1 / 6,
        0.035,
        lambda: float(
            np.mean([two_sample(*r.normal(size=(2, 300))).cramer_von_mises for r in _rng(11).spawn(200)])
        ),
        "Anderson (1962)",
    ),
    KnownAnswer(
        "linear MMD^2",
        PAIR + ", b = 1",
        0.047124,
        0.01,
        lambda: linear_mmd(*_vectors(100_000), [1.0]).value,
        "Gretton et al. (2012)",
    ),
    KnownAnswer(
        "block MMD^2",
        PAIR + ", b = 1",
        0.047124,
        0.004,
        lambda: block_mmd(*_vectors(10_000), [1.0]).value,
        "Zaremba et al. (2013)",
    ),
    KnownAnswer(
        "quantile sketch",
        "t(10), p99, 1e6 values",
        2.7638,
        0.04,
        lambda: _sketched(0.99),
        "Masson et al. (2019)",
    ),
    KnownAnswer(
        "correlation time",
        "AR(1), phi 0.99",
        100.0,
        20.0,
        lambda: correlation_time(ar1(0.99, 200_000, _rng(12))),
        "Geyer (1992)",
    ),
    *(
        KnownAnswer(
            f"spread at L{k}",
            "ladder of one tick a level, ticks",
            2 * k - 1,
            0.0,
            partial(_spread, k),
            "definition",
        )
        for k in (1, 5, 10, 15, 20)
    ),
    KnownAnswer(
        "imbalance",
        "bid 3, ask 1",
        0.5,
        0.0,
        lambda: float(imbalance(np.array([3]), np.array([1]))[0]),
        "definition",
    ),
    KnownAnswer(
        "level correlation", "AR(1) over levels, 0.7; three apart", 0.343, 0.02, _field, "definition"
    ),
    *(
        KnownAnswer(
            "order-flow imbalance",
            f"quote {row + 1} of the known sequence",
            expected,
            0.0,
            partial(_flow, row),
            CKS,
        )
        for row, expected in enumerate((0, 3, 15, -14, 3))
    ),
    *FLOW_ANSWERS,
    KnownAnswer("Kyle's lambda", "Sigma0 = 4, sigma_u = 10", 0.1, 0.001, _kyle, "Kyle (1985)"),
    KnownAnswer(
        "Fano factor",
        "Poisson, 10,000 s",
        1.0,
        0.05,
        lambda: fano(_poisson(20), 0, 10**13, 10**9),
        "Fano (1947)",
    ),
    KnownAnswer("excess kurtosis", "t(10)", 1.0, 0.1, lambda: excess_kurtosis(_t10()), "Pebay (2008)"),
    KnownAnswer(
        "tail ratio", "normal", 2.90585, 0.02, lambda: tail_ratio(_rng(13).normal(size=400_000)), "definition"
    ),
    KnownAnswer(
        "autocorrelation",
        "AR(1), phi 0.9, lag 5",
        0.9**5,
        0.02,
        lambda: float(autocorrelation(ar1(0.9, 200_000, _rng(14)), 5)[5]),
        "definition",
    ),
    KnownAnswer(
        "autocorrelation of squares",
        "GARCH(0.05, 0.08, 0.90), lag 1",
        garch_square_correlation(0.08, 0.90),
        0.04,
        lambda: float(autocorrelation(_garch(100_000, 15) ** 2, 1)[1]),
        "Bollerslev (1986)",
    ),
    KnownAnswer(
        "GARCH(1,1) alpha",
        "(0.05, 0.08, 0.90), 20,000 returns",
        0.08,
        0.012,
        lambda: garch(_garch(20_000, 16)).alpha,
        "Bollerslev (1986)",
    ),
    KnownAnswer(
        "GARCH(1,1) alpha + beta",
        "(0.05, 0.08, 0.90), 20,000 returns",
        0.98,
        0.01,
        lambda: garch(_garch(20_000, 16)).persistence,
        "Bollerslev (1986)",
    ),
    KnownAnswer(
        "Hill's index", "Pareto 3, k = 1000", 3.0, 0.2, lambda: hill(_pareto(3.0), 1000), "Hill (1975)"
    ),
    KnownAnswer(
        "power law, density exponent",
        "Pareto, alpha 4",
        4.0,
        0.06,
        lambda: power_law(_pareto(3.0)).alpha,
        CSN,
    ),
    KnownAnswer(
        "power law, density exponent",
        "body and tail, alpha 2.5 above 5",
        2.5,
        0.06,
        lambda: power_law(_body_and_tail()).alpha,
        CSN,
    ),
    KnownAnswer(
        "Hausman, asymptotic form",
        NOISELESS,
        0.05,
        0.045,
        lambda: _share(lambda r: hausman_fast(r).rejects),
        AX,
    ),
    KnownAnswer(
        "Hausman, asymptotic form",
        "the same with noise of half a deviation",
        1.0,
        0.01,
        lambda: _share(lambda r: hausman_fast(r).rejects, 0.5),
        AX,
    ),
    KnownAnswer(
        "Hausman, by likelihood", NOISELESS, 0.05, 0.045, lambda: _share(lambda r: hausman(r).rejects), AX
    ),
    KnownAnswer(
        "Hausman, by likelihood",
        "the same with noise of half a deviation",
        1.0,
        0.01,
        lambda: _share(lambda r: hausman(r).rejects, 0.5),
        AX,
    ),
    KnownAnswer(
        "BNS jump test",
        "2,880 normal returns: share rejected at 5 %, one-sided",
        0.05,
        0.045,
        lambda: _mean(lambda r: float(barndorff_nielsen_shephard(r) > 1.6449)),
        BNS,
    ),
    KnownAnswer(
        "Lee-Mykland",
        "2,880 normal returns: share of samples with a jump, at 1 %",
        0.01,
        0.03,
        lambda: _mean(lambda r: float(lee_mykland(r).any())),
        LM,
    ),
    KnownAnswer(
        "Lee-Mykland",
        "a jump of ten deviations: share found",
        1.0,
        0.01,
        lambda: _mean(lambda r: float(lee_mykland(r)[len(r) // 2]), jump=10.0),
        LM,
    ),
    KnownAnswer(
        "Ait-Sahalia-Jacod S(4,2)", "2,880 normal returns", 2.0, 0.03, lambda: _mean(ait_sahalia_jacod), AJ
    ),
    KnownAnswer(
        "Ait-Sahalia-Jacod S(4,2)",
        "with a jump of a hundred deviations",
        1.0,
        0.03,
        lambda: _mean(ait_sahalia_jacod, jump=100.0),
        AJ,
    ),
)
