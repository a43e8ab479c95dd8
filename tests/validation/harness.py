"""Captures, datasets and faults for the tests of validation, and an oracle in plain Python."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rlx_datapipe.core.config import Settings
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.store.tables import data_files
from rlx_datapipe.validation.result import ValidationReport

Change = Callable[[pa.Table], pa.Table]


@cache
def market(venue: str = "binance-spot", snapshot_every_s: int | None = None) -> tuple[bytes, ...]:
    """Five seconds of a market."""
    return tuple(
        simulate(
            MarketConfig(
                venue=venue, duration_s=5, orders_per_s=1_500, snapshot_every_s=snapshot_every_s, seed=11
            )
        )
    )


def capture(folder: Path, lines: Iterable[bytes], name: str = "capture") -> Path:
    """A capture file of these lines."""
    path = folder / f"{name}.gz"
    write_capture(lines, path)
    return path


def rebuilt(folder: Path, lines: Iterable[bytes], name: str = "capture", **settings: Any) -> Path:
    """A dataset of these lines, beside its capture."""
    out = folder / f"{name}-dataset"
    reconstruct(capture(folder, lines, name), out, Settings(**settings))
    return out


def tamper(dataset: Path, table: str, change: Change, file: int = 0) -> None:
    """Change the rows of one data file of a table where they lie."""
    path = data_files(dataset, table)[file][3]
    rows = pq.read_table(path, partitioning=None)
    changed = change(rows)
    path.unlink()
    pq.write_table(changed.cast(rows.schema), path, write_page_checksum=True)


def with_value(column: str, row: int, value: Any) -> Change:
    """A change of one value."""

    def change(rows: pa.Table) -> pa.Table:
        values = rows[column].to_pylist()
        values[row] = value(values[row]) if callable(value) else value
        at = rows.schema.get_field_index(column)
        return rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))

    return change


def weighty(report: ValidationReport, severity: str = "gate") -> set[str]:
    """Rules with a finding of this severity."""
    return {finding.rule for finding in report.findings if finding.severity == severity}


def measures(report: ValidationReport, rule: str) -> dict[str, Any]:
    """Measures of one rule."""
    return next(one.measures for one in report.rules if one.name == rule)


class PlainOracle:
    """The update-id oracle by dictionaries and decimals, message by message, from the raw lines."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        frames = [json.loads(line.split(b" ", 1)[1]) for line in lines]
        snapshot = next(frame for frame in frames if "lastUpdateId" in frame)
        data = [frame["data"] for frame in frames if "data" in frame]
        depths = [one for one in data if one.get("e") == "depthUpdate"]
        tickers = sorted((one for one in data if "B" in one and "A" in one), key=lambda one: int(one["u"]))
        last = snapshot["lastUpdateId"]
        sides = [{Decimal(p): Decimal(q) for p, q in snapshot[name]} for name in ("bids", "asks")]
        self.compared = self.equal = 0
        self.differing: list[int] = []
        at = -1
        for depth in sorted(depths, key=lambda one: int(one["u"])):
            if depth["u"] <= last:
                continue
            for side, name in zip(sides, ("b", "a"), strict=True):
                for price, quantity in depth[name]:
                    side[Decimal(price)] = Decimal(quantity)
                    if not Decimal(quantity):
                        del side[Decimal(price)]
            while at + 1 < len(tickers) and tickers[at + 1]["u"] <= depth["u"]:
                at += 1
            if at >= 0:
                bid, ask = max(sides[0]), min(sides[1])
                told = [Decimal(tickers[at][name]) for name in "bBaA"]
                self.compared += 1
                if told == [bid, sides[0][bid], ask, sides[1][ask]]:
                    self.equal += 1
                else:
                    self.differing.append(depth["u"])


def lines_of(paths: Iterable[Path]) -> list[bytes]:
    """Lines of compressed recordings, file after file."""
    return [line for path in paths for line in gzip.decompress(path.read_bytes()).splitlines()]
