"""What the source of a dataset lacks because a file breaks off: read from its records of quality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from rlx_datapipe.core.breaks import Break, break_told
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.store.chain_rows import chain_batches
from rlx_datapipe.store.manifest import ChainManifest

RULE = "broken_source"


def broken_sources(dataset: Path, chain: ChainManifest) -> list[Break]:
    """Files of a finished chain whose stream ends too soon or is corrupt."""
    details: list[str] = []
    for rows in chain_batches(dataset, "quality", chain, ["kind", "detail"]):
        details += rows.filter(pc.equal(rows["kind"], "quarantine"))["detail"].to_pylist()
    return [told for told in map(break_told, details) if told is not None]


def findings_of(breaks: list[Break]) -> list[dict[str, Any]]:
    """The same as findings of a run, ready for JSON."""
    return [
        {
            "rule": RULE,
            "severity": Severity.WARN.value,
            "message": one.sentence,
            "measures": one._asdict(),
        }
        for one in breaks
    ]
