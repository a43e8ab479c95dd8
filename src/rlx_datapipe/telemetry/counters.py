"""Counters of this process, in the format of Prometheus: what went on, never what was written."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, generate_latest

REGISTRY = CollectorRegistry()
"""Of our own, so that a program which uses us as a library keeps its own registry clean."""

_ALARMS = Counter(
    "rlx_alarms",
    "Alarms raised by reconstructions: drift and gaps beyond their thresholds.",
    ["exchange", "symbol", "kind"],
    registry=REGISTRY,
)


def count_alarm(exchange: str, symbol: str, kind: str) -> None:
    """Count one alarm in ``rlx_alarms_total``."""
    _ALARMS.labels(exchange, symbol, kind).inc()


def alarms_counted(exchange: str, symbol: str, kind: str) -> int:
    """How many alarms of a kind this process has counted for a chain."""
    labels = {"exchange": exchange, "symbol": symbol, "kind": kind}
    return int(REGISTRY.get_sample_value("rlx_alarms_total", labels) or 0)


def exposition() -> str:
    """All counters as text, as a Prometheus server reads it."""
    return generate_latest(REGISTRY).decode()
