"""The summary of a run: what its chains came to, where they went on, how often their processes died."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.memory import peak_bytes
from rlx_datapipe.pipeline.chain import Summary
from rlx_datapipe.pipeline.losses import broken_sources, findings_of
from rlx_datapipe.store.commits import Commit, read_commits
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import read_manifest

_SUMMED = (
    "events",
    "gaps",
    "resyncs",
    "crossed",
    "locked",
    "duplicates",
    "late",
    "quarantined",
    "events_without_book",
)


def run_summary(folder: Path, chains: list[Summary], digest: str, elapsed: float) -> dict[str, Any]:
    """The result of a run over all its chains."""
    total = {name: sum(chain[name] for chain in chains) for name in _SUMMED}
    done = total["events"] - sum(chain["resumed_events"] for chain in chains)
    by_type: Counter[str] = Counter()
    for chain in chains:
        by_type.update(chain["events_by_type"])
    return {
        "dataset": readable(str(folder)),
        "digest": digest,
        **total,
        "events_by_type": dict(by_type),
        "elapsed_seconds": round(elapsed, 3),
        "resumed_events": total["events"] - done,
        "events_per_second": round(done / elapsed) if elapsed else 0,
        "findings": [
            {"exchange": chain["exchange"], "symbol": chain["symbol"], **finding}
            for chain in chains
            for finding in chain["findings"]
        ],
        "peak_memory_bytes": max([peak_bytes(), *(chain.get("peak_memory_bytes", 0) for chain in chains)]),
        "chains": chains,
    }


def last_commit(folder: Path, instrument: Instrument) -> Commit | None:
    """The newest commit of a chain; None if it has none."""
    commits = read_commits(folder, instrument.exchange, instrument.symbol)
    return commits[-1] if commits else None


def with_course(summary: Summary, stood: Commit | None) -> Summary:
    """The summary of a chain with how this run came to it; told, but never written.

    ``resumed_events`` were committed before it, and do not count in its rate; ``resumed_from_epoch`` is the
    last epoch committed then, or None; ``was_complete`` says that there was nothing left to do; ``restarts``
    has a reason for each time that its process was started again. The wall and CPU seconds of its ``stages``
    are those of this run as well.
    """
    before = stood.rows["events"] if stood else 0
    rate = round(summary["events_per_second"] * (1 - before / summary["events"])) if before else None
    return {
        "restarts": [],
        **summary,
        "resumed_from_epoch": stood.epoch if stood else None,
        "resumed_events": before,
        "was_complete": stood is not None and stood.is_last,
        "events_per_second": summary["events_per_second"] if rate is None else rate,
    }


def with_losses(folder: Path, summary: Summary) -> Summary:
    """The summary of a chain with a finding for each of its files that breaks off."""
    if not summary["quarantined"]:
        return summary
    chain = read_manifest(folder).chain(f"{summary['exchange']}/{summary['symbol']}")
    broken = findings_of(broken_sources(folder, chain))
    return {**summary, "findings": [*summary["findings"], *broken]}
