"""What a capture holds, told by its manifest: counts, rates, gaps, latency, clock and regimes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlx_datapipe.store.capture_files import CaptureFolder
from rlx_datapipe.store.capture_manifest import LOG, CaptureHead, Entry
from rlx_datapipe.store.capture_market import Latency
from rlx_datapipe.store.capture_state import capture_state
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.segment import list_segments

NS_PER_S = 1_000_000_000
_GAPS_TOLD = 100


def report_capture(folder: Path) -> dict[str, Any]:
    """What the sealed segments of a capture say of it.

    Returns
    -------
    A dictionary for JSON: ``state`` (``finished``; ``being written``; ``left open``, which a capture that was
    killed is until it is started again, or sealed), ``from_ns`` and ``to_ns`` (wall clock), ``records`` by
    kind, ``streams`` with counts, rates, ids, gaps and latency, the first ``gaps`` one by one,
    ``clock_offset_ms``, ``regimes`` (segments of each, by symbol), ``timeline`` (each segment),
    ``disk_bytes``, ``unsealed_bytes``.

    Raises
    ------
    DatasetError
        When it is no capture.
    SourceError
        When the manifest is not whole.
    """
    capture = CaptureFolder(folder)
    entries = [file.entry for file in capture.files() if file.entry is not None]
    log = list_segments(folder / LOG)
    kinds = sum((Counter(entry.kinds) for entry in entries), Counter[str]())
    gaps = [gap for entry in entries for gap in entry.gaps]
    seconds = sum(_seconds(entry) for entry in entries)
    offsets = [entry.clock_offset_ns for entry in entries if entry.clock_offset_ns is not None]
    return {
        "capture": readable(str(folder)),
        "venue": capture.head.venue,
        "symbols": list(capture.head.symbols),
        "is_encrypted": capture.head.key_id is not None,
        "state": capture_state(folder),
        "from_ns": entries[0].first_wall_ns if entries else None,
        "to_ns": entries[-1].last_wall_ns if entries else None,
        "seconds": round(seconds, 3),
        "segments": len(entries),
        "records": dict(kinds),
        "streams": _streams(capture.head, entries, seconds),
        "gaps_declared": len(gaps),
        "gaps": [
            {"stream": gap.stream, "from_id": gap.from_id, "to_id": gap.to_id, "reason": gap.reason}
            for gap in gaps[:_GAPS_TOLD]
        ],
        "clock_offset_ms": {"first": offsets[0] / 1e6, "last": offsets[-1] / 1e6} if offsets else None,
        "lost_bytes": sum(entry.lost_bytes for entry in entries),
        "regimes": _regimes(entries),
        "timeline": [_moment(entry) for entry in entries],
        "disk_bytes": sum(entry.size_bytes for entry in entries),
        "lines_bytes": sum(entry.lines_bytes for entry in entries),
        "unsealed_bytes": sum(segment.path.stat().st_size for segment in log),
    }


def _seconds(entry: Entry) -> float:
    """By the steady clock, which no step of the other one touches."""
    return (entry.last_monotonic_ns - entry.first_monotonic_ns) / NS_PER_S


def _streams(head: CaptureHead, entries: Sequence[Entry], seconds: float) -> list[dict[str, Any]]:
    names = sorted({name for entry in entries for name in entry.streams if not name.startswith("!")})
    gaps = Counter(gap.stream for entry in entries for gap in entry.gaps)
    missing = Counter[str | None]()
    for gap in (gap for entry in entries for gap in entry.gaps):
        if gap.from_id is not None and gap.to_id is not None:
            missing[gap.stream] += gap.to_id - gap.from_id + 1
    told = []
    for name in names:
        tallies = [entry.streams[name] for entry in entries if name in entry.streams]
        records = sum(tally.records for tally in tallies)
        told.append(
            {
                "stream": name,
                "messages": records,
                "messages_per_s": round(records / seconds, 3) if seconds else None,
                "first_id": next((t.first_id for t in tallies if t.first_id is not None), None),
                "last_id": next((t.last_id for t in reversed(tallies) if t.last_id is not None), None),
                "gaps": gaps[name],
                "missing": missing[name],
                "latency_ms": _latency(name, head, entries),
            }
        )
    return told


_KINDS = {"trade": "trade", "aggTrade": "trade", "depth": "depthUpdate", "bookTicker": "bookTicker"}


def _latency(stream: str, head: CaptureHead, entries: Sequence[Entry]) -> dict[str, float] | None:
    """Percentiles in ms: the median one of the segments, weighted by messages, and the worst."""
    symbol, channel, _ = [*stream.split("@"), "", ""][:3]
    held: list[Latency] = []
    for entry in entries:
        market = entry.markets.get(next((s for s in head.symbols if s.lower() == symbol.lower()), ""))
        latency = market.measures.latency.get(_KINDS.get(channel, "")) if market else None
        held += [latency] if latency else []
    if not held:
        return None
    weights = np.array([latency.messages for latency in held])
    return {
        "p50": _middle([latency.p50_ms for latency in held], weights),
        "p95": _middle([latency.p95_ms for latency in held], weights),
        "p99": _middle([latency.p99_ms for latency in held], weights),
        "p99_worst": max(latency.p99_ms for latency in held),
    }


def _middle(values: Sequence[float], weights: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order[int(np.searchsorted(reached, reached[-1] / 2))]])


def _regimes(entries: Sequence[Entry]) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {}
    for entry in entries:
        for symbol, market in entry.markets.items():
            counted.setdefault(symbol, Counter())[market.regime] += 1
    return {symbol: dict(counts) for symbol, counts in sorted(counted.items())}


def _moment(entry: Entry) -> dict[str, Any]:
    return {
        "segment": entry.name,
        "from_ns": entry.first_wall_ns,
        "to_ns": entry.last_wall_ns,
        "seconds": round(_seconds(entry), 3),
        "messages": entry.kinds.get("message", 0),
        "gaps": len(entry.gaps),
        "regimes": {symbol: market.regime for symbol, market in entry.markets.items()},
    }
