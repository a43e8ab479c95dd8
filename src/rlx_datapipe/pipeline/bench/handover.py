"""`rlx bench handover`: planned handovers under full rate, and the ids that they lose: none."""

from __future__ import annotations

from typing import Any

from rlx_datapipe.pipeline.bench.capture import RATE, busy_exchange, capture_all, kept_of, seconds_taken
from rlx_datapipe.pipeline.bench.figure import Figure, Measured
from rlx_datapipe.pipeline.bench.workbench import Workbench

EVERY_S = 4.0


def measure(bench: Workbench) -> Measured:
    """Measure planned handovers: a connection replaced every four seconds at 20,000 messages a second.

    The exchange and the capture are those of `rlx bench capture`; while two connections overlap, each brings
    every message. Told are the handovers and the ids lost. Each message has to be kept, once: one that is
    missing is a gap or lowers the count, one kept twice raises it.

    Input: --messages; 9,000,000 are a hundred handovers and some more.
    """
    messages = bench.options.messages
    bench.on_step(f"handovers in a live capture of {messages:,} messages, {messages // RATE} s")
    moments: list[tuple[float, int, int]] = []
    with busy_exchange(messages) as url:
        told, cpu_s = capture_all(bench, url, messages, moments, age_s=EVERY_S, stagger_s=0.0)
    took_s = seconds_taken(moments, messages)
    lost = sum(one["missing"] for one in told["streams"])
    figures = [
        Figure(
            claim="ids lost in planned handovers",
            figure=lost,
            unit="ids",
            target="0",
            is_met=not lost and kept_of(told) == messages,
            detail={
                **told["connections"],
                "messages": messages,
                "messages_per_second": messages / took_s,
                "seen_twice": sum(one["duplicates"] for one in told["streams"]),
                "safe_after_ms": told["disk"]["safe_after_ms"],
                "cores_busy": cpu_s / took_s,
            },
        )
    ]
    return Measured(figures, {"capture": told}, _wrong(told, messages))


def _wrong(told: dict[str, Any], messages: int) -> list[str]:
    wrong = []
    if (kept := kept_of(told)) != messages:
        wrong.append(f"{kept:,} messages were kept, {messages:,} were sent")
    if told["gaps"]:
        wrong.append(f"{told['gaps']} gaps")
    if not told["connections"]["handovers"]:
        wrong.append("nothing was handed over")
    return wrong
