"""Gaps and troubles of a live capture as sentences, for people who watch it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

TOLD_KINDS = (
    "gap",
    "refused",
    "stall",
    "breaker",
    "subscription",
    "snapshot_failed",
    "symbol_refused",
    "symbol_silent",
)
"""Kinds of what is told at once; the others are only recorded."""
ALWAYS_TOLD = ("symbol_refused", "symbol_silent", "stopping")
"""What comes once, or once a symbol, and is told however much was told before."""


def trouble_text(kind: str, facts: Mapping[str, object]) -> str:
    """One trouble as a sentence; one without words of its own with its facts, name by name."""
    told = _WORDS.get(kind)
    if told is not None:
        return told(facts)
    return f"{kind.replace('_', ' ')}: " + ", ".join(f"{name} {value}" for name, value in facts.items())


def refused_text(symbol: str, said: str) -> str:
    """That a symbol is refused, with the venue's own words."""
    return f'{symbol} is refused: the exchange says "{said}"'


def unheard_text(symbol: str) -> str:
    """That nothing has come of a symbol."""
    return f"{symbol}: nothing came"


def _gap(facts: Mapping[str, Any]) -> str:
    ids = "unknown ids" if facts["from_id"] is None else f"ids {facts['from_id']} to {facts['to_id']}"
    # The reason comes first: on a narrow screen it is the end that is cut off.
    return f"gap ({facts['reason']}): {facts['stream']}, {ids}"


def _refused(facts: Mapping[str, Any]) -> str:
    wait = f"; the exchange asks to wait {facts['wait_s']:g} s" if facts["wait_s"] else ""
    return f"no connection to {facts['address']}: {facts['reason']}{wait}; it is tried again"


def _snapshot(facts: Mapping[str, Any]) -> str:
    return f"no snapshot of {facts['symbol']}: {facts['reason']} (try {facts['tries']})"


def _breaker(facts: Mapping[str, Any]) -> str:
    return f"REST is left alone for {facts['wait_s']:.1f} s: {facts['reason']}"


def _stall(facts: Mapping[str, Any]) -> str:
    return f"connection {facts['connection']} ({facts['address']}) is dead: no pong; another is opened"


def _silent(facts: Mapping[str, Any]) -> str:
    return f"{facts['symbol']}: nothing has come for {facts['seconds']:g} s; it is waited for"


def _subscription(facts: Mapping[str, Any]) -> str:
    streams = ", ".join(facts["streams"])
    action = "subscribed to again" if facts["action"] == "resubscribe" else "another connection is opened"
    return f"silent on connection {facts['connection']}: {streams}; {action}"


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "gap": _gap,
    "refused": _refused,
    "stall": _stall,
    "breaker": _breaker,
    "subscription": _subscription,
    "snapshot_failed": _snapshot,
    "symbol_refused": lambda facts: refused_text(facts["symbol"], facts["said"]),
    "symbol_silent": _silent,
    "stopping": lambda _: "stopping: sealing what is open ... (a second Ctrl-C stops at once)",
}
