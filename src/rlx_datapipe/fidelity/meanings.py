"""What an outcome means to whoever trains on the data, and what to do about it, by family of metrics."""

from __future__ import annotations

from collections.abc import Mapping

from rlx_datapipe.fidelity.decision import Standing
from rlx_datapipe.fidelity.plugin import MetricPlugin

TITLES: Mapping[str, tuple[str, str]] = {
    "arrivals": ("Arrivals", "when events come"),
    "depth": ("Depth", "quantities in the book"),
    "flow": ("Order flow", "order flow and what it does to the price"),
    "impact": ("Impact", "what trades do to the price"),
    "integrity": ("Integrity", "whether the stream is whole"),
    "returns": ("Returns", "returns, their tails and their clustering"),
    "spread": ("Spread", "the distance between bids and asks"),
    "touch": ("Best prices", "the best prices at every moment"),
    "trades": ("Trades", "sizes of trades"),
}
"""Title and subject of each category of the catalogue."""

_IF_WRONG: Mapping[str, tuple[str, str]] = {
    "arrivals": (
        "A model trained here learns another rhythm: its latencies and queues would be wrong live.",
        "Compare the step of the stamps and the trade ids of both sides.",
    ),
    "depth": (
        "Fills and queue positions simulated on this book are not those of the market.",
        "Compare depth and quantity decimals of both sides (rlx inspect, rlx assess).",
    ),
    "flow": (
        "A signal on order flow learned here will not carry over to the market.",
        "Check that both sides batch updates alike: order flow is net within a batch.",
    ),
    "impact": (
        "Costs of trading estimated here are not those of the market.",
        "Check the aggressor's side of trades, and that trades and quotes share one clock.",
    ),
    "integrity": (
        "Something is missing, doubled or out of order; every other number stands on that.",
        "Run rlx validate DATASET --golden CAPTURE, which names each place.",
    ),
    "returns": (
        "Risk learned here is not the market's: moves are too small, too large, or come in other clusters.",
        "Compare the hours of both sides; look for filters or resampling of prices.",
    ),
    "spread": (
        "Costs of crossing the spread are wrong from the first order on.",
        "Look for stale levels (rlx validate), and compare the price decimals of both sides.",
    ),
    "touch": (
        "The best prices are not those of the venue at that time: nothing trained on them can be trusted.",
        "Run rlx validate DATASET --golden CAPTURE and look at the first difference.",
    ),
    "trades": (
        "Sizes of trades are not the market's: volume, impact and fills are affected.",
        "Check whether one side has aggregated trades, and the quantity decimals.",
    ),
}
_OTHER = ("What this metric measures is not as in the market.", "See its reference, and the plots.")


def title_of(category: str) -> str:
    """The category as a heading; that of a plugin as it calls it."""
    return TITLES[category][0] if category in TITLES else category.capitalize()


def meaning_of(plugin: type[MetricPlugin], standing: Standing) -> str:
    """What an outcome of a metric means."""
    if standing is Standing.FAIL:
        return _IF_WRONG.get(plugin.category, _OTHER)[0]
    if standing is Standing.PASS:
        subject = TITLES.get(plugin.category, ("", plugin.category))[1]
        return f"In this respect ({subject}) recon can stand for golden."
    if standing is Standing.NOT_IDENTIFIABLE:
        return "The times of these data are too coarse for the question; no amount of them answers it."
    return "Neither likeness nor difference is shown: it must not be counted on."


def remedy_of(plugin: type[MetricPlugin], standing: Standing) -> str:
    """What to do about it."""
    if standing is Standing.FAIL:
        return _IF_WRONG.get(plugin.category, _OTHER)[1]
    if standing is Standing.PASS:
        return ""
    if standing is Standing.NOT_IDENTIFIABLE:
        return "Take a source with finer times, or leave the metric out."
    return "Take more hours of golden and of the dataset, or golden of the same interval."
