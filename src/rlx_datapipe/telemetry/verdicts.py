"""Verdicts of fidelity in the format of Prometheus, for the textfile collector: the last run, as gauges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge, generate_latest

STANDINGS = ("PASS", "FAIL", "INCONCLUSIVE", "NOT IDENTIFIABLE")


class MetricVerdict(NamedTuple):
    """What came of one metric; None where there is no number."""

    metric: str
    category: str
    severity: str
    standing: str
    value: float | None
    margin: float | None
    score: float | None


class MarketVerdict(NamedTuple):
    """What came of one symbol: the whole, the score, the end of the data, and each metric."""

    exchange: str
    symbol: str
    standing: str
    score: float | None
    decided: float | None
    data_end_s: float | None
    metrics: tuple[MetricVerdict, ...]


def verdict_exposition(markets: Iterable[MarketVerdict]) -> str:
    """All verdicts as text, as a Prometheus server reads it; in a registry of their own."""
    registry = CollectorRegistry()
    chain = ["exchange", "symbol"]
    one = [*chain, "metric", "category", "severity"]

    def gauge(name: str, words: str, labels: list[str]) -> Gauge:
        return Gauge(f"rlx_fidelity_{name}", words, labels, registry=registry)

    whole = gauge("verdict", "1 for the verdict on the whole, 0 for the others.", [*chain, "verdict"])
    score = gauge("score_ratio", "Score, 0 to 1, of what was decided; beside the verdict.", chain)
    decided = gauge("decided_ratio", "Share of the weight of all metrics that was decided.", chain)
    end = gauge("data_end_timestamp_seconds", "End of the data that the verdict is on.", chain)
    verdict = gauge("metric_verdict", "1 for the verdict on a metric, 0 for the others.", [*one, "verdict"])
    value = gauge("metric_value", "What a metric found, in its own unit.", one)
    margin = gauge("metric_margin", "How far a metric may be off, in its own unit.", one)
    likeness = gauge("metric_score_ratio", "Margin over distance, 1 within the margin.", one)
    for market in markets:
        names = (market.exchange, market.symbol)
        for standing in STANDINGS[:3]:
            whole.labels(*names, standing).set(standing == market.standing)
        for figure, held in ((score, market.score), (decided, market.decided), (end, market.data_end_s)):
            if held is not None:
                figure.labels(*names).set(held)
        for metric in market.metrics:
            labels = (*names, metric.metric, metric.category, metric.severity)
            for standing in STANDINGS:
                verdict.labels(*labels, standing).set(standing == metric.standing)
            for figure, held in ((value, metric.value), (margin, metric.margin), (likeness, metric.score)):
                if held is not None:
                    figure.labels(*labels).set(held)
    return generate_latest(registry).decode()
