"""`rlx bench parse`: messages a second from the lines of a capture to exact columns, by kind of message."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.ingestion.parsed import parsed_batches
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.pipeline.bench.child import only_source
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, cpu_seconds
from rlx_datapipe.pipeline.bench.floor import unpacked
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.simulation.capture_file import write_capture

_KINDS = {
    "depth": b'"e":"depthUpdate"',
    "trade": b'"e":"trade"',
    "ticker": b'"A":',
}
"""What the messages of a kind have and none of another has, the depth updates left out first."""
_LEAST = 100
"""Messages of a kind below which it is not told."""


def measure(bench: Workbench) -> Measured:
    """Measure the reading of captures: messages a second of processor time, from lines to scaled integers.

    Every kind is measured by itself from a plain file of its messages alone, then the whole capture as it is,
    decompression included. The ratio is to `json.loads` of the same messages, which gives no columns, checks
    nothing and turns prices into text; `msgspec.json.decode` stands beside it.

    Input: a zstd capture of the simulated Binance market (--messages), or your own (--source).
    """
    path = bench.options.source or bench.capture
    settings = Settings()
    source = only_source(path, settings)
    if not source.has_messages:
        raise OptionError("there is nothing to parse in an archive", file=path, remedy="Give a capture")
    lines = _lines(source)
    repeats = bench.options.repeats
    figures = []
    for kind, some in _by_kind(lines).items():
        bench.on_step(f"parsing {len(some):,} messages: {kind}")
        plain = bench.new_folder(kind).with_suffix(".txt")
        write_capture(some, plain)
        figures.append(_measure(f"parse, {kind}", replace(source, files=(plain,), held=()), some, repeats))
        plain.unlink()
    bench.on_step(f"parsing {len(lines):,} messages: all as they are")
    whole = _measure("parse, all of it", source, lines, repeats)
    kinds = {figure.claim.removeprefix("parse, "): figure.figure for figure in figures}
    told = {"messages_per_second": whole.figure, "by_kind": kinds, "ratio_to_json_loads": whole.ratio}
    return Measured([*figures, whole], told)


def _lines(source: Source) -> list[bytes]:
    """All lines of a capture, as they are."""
    lines: list[bytes] = []
    for path in source.files:
        with io.BufferedReader(unpacked(path)) as file:
            lines += [line.rstrip() for line in file if line.strip()]
    return lines


def _by_kind(lines: list[bytes]) -> dict[str, list[bytes]]:
    kinds: dict[str, list[bytes]] = {}
    for line in lines:
        kind = next((kind for kind, mark in _KINDS.items() if mark in line), "")
        if kind:
            kinds.setdefault(kind, []).append(line)
    return {kind: kinds[kind] for kind in _KINDS if len(kinds.get(kind, [])) >= _LEAST}


def _measure(claim: str, source: Source, lines: list[bytes], repeats: int) -> Figure:
    settings = Settings()
    # Our own captures have no time in front; a line is one JSON object.
    payloads = [line if line.startswith(b"{") else line.partition(b" ")[2] for line in lines]
    rejected: list[int] = []

    def parse() -> None:
        rejected.append(sum(len(parsed.rejects) for parsed, _ in parsed_batches(source, settings)))

    parse()
    took_s = cpu_seconds(parse, repeats)
    plain_s, typed_s = (_loads(loads, payloads, repeats) for loads in (json.loads, msgspec.json.decode))
    size_bytes = sum(map(len, payloads))
    return Figure(
        claim=claim,
        figure=len(lines) / took_s,
        unit="messages/s",
        ratio=plain_s / took_s,
        ratio_to="json.loads",
        detail={
            "messages": len(lines),
            "rejected": rejected[0],
            "bytes_per_message": size_bytes / len(lines),
            "megabytes_per_second": size_bytes / took_s / 1e6,
            "json_loads_messages_per_second": len(lines) / plain_s,
            "msgspec_messages_per_second": len(lines) / typed_s,
        },
    )


def _loads(loads: Callable[[bytes], Any], payloads: list[bytes], repeats: int) -> float:
    def all_of_them() -> None:
        for payload in payloads:
            loads(payload)

    return cpu_seconds(all_of_them, repeats)
