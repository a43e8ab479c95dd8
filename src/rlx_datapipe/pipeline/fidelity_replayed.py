"""What tier 1 saw of a chain while it was replayed, as a fidelity report tells it."""

from __future__ import annotations

from typing import Any

from rlx_datapipe.fidelity.plot_data import TIMES_MAX, Numbers, thinned
from rlx_datapipe.fidelity.result import Replayed
from rlx_datapipe.fidelity.stream.layout import WINDOW_NS
from rlx_datapipe.fidelity.stream.measured import Measured, measured_windows
from rlx_datapipe.pipeline.fidelity_sides import Chain
from rlx_datapipe.store.commits import read_commits
from rlx_datapipe.store.measured import read_measured

ALERTS = ("message_rate", "sequence")
"""Rules whose findings are alerts of tier 1."""


def seen_in_replay(chain: Chain) -> Replayed | None:
    """Windows of tier 1 of a chain; None where it was replayed without.

    Raises
    ------
    DatasetError
        When a file of them is not the one that was committed.
    """
    exchange, symbol = chain.instrument.exchange, chain.instrument.symbol
    rows: list[tuple[int, Numbers]] = []
    alerts: Any = 0
    for state in read_measured(chain.dataset, exchange, symbol):
        for one in measured_windows(state):
            told = one.told(chain.instrument)
            alerts += told["alerts"]
            rows.append((one.start_ns // WINDOW_NS * WINDOW_NS, _numbers(one, told)))
    if not rows:
        return None
    step = -(-len(rows) // TIMES_MAX)
    columns = [thinned([numbers[at] for _, numbers in rows], step) for at in range(3)]
    return Replayed(
        window_ns=step * WINDOW_NS,
        times=[start_ns for start_ns, _ in rows[::step]],
        messages_per_s=columns[0],
        spread_ticks=columns[1],
        touch_depth=columns[2],
        alerts=alerts,
        told=_alerts(chain),
    )


def _numbers(one: Measured, told: dict[str, Any]) -> Numbers:
    seconds = (one.end_ns - one.start_ns) / 1e9
    return [told["messages"] / seconds, told["spread_ticks_mean"], told["touch_depth_mean"]]


def _alerts(chain: Chain) -> list[str]:
    """Sentences of the alerts, by the summary of a finished chain."""
    commits = read_commits(chain.dataset, chain.instrument.exchange, chain.instrument.symbol)
    summary = commits[-1].summary if commits else None
    return [one["message"] for one in (summary or {}).get("findings", ()) if one["rule"] in ALERTS]
