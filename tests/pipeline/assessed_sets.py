"""The real recordings, and what an assessment has to say of each: the table of docs/assess.md.

``python -m tests.pipeline.assessed_sets FOLDER`` prints it as it is now.
"""

from __future__ import annotations

import re
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from rlx_datapipe.assessment.result import Assessment, Contiguity
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.ingestion.formats import NAMES
from rlx_datapipe.pipeline.assess import assess
from rlx_datapipe.pipeline.export import export
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.report.figures import share

TABLE = Path(__file__).parents[2] / "docs" / "assess.md"
HEAD = ("set", "grade", "strategy", "depth gaps", "trade gaps", "findings", "unseen between looks")

Prepare = Callable[[Path, Path], list[Path]]
"""Given the folder of recordings and one to write into: the paths to assess."""


def _files(*patterns: str) -> Prepare:
    return lambda data, _: [path for pattern in patterns for path in sorted(data.glob(pattern))]


def _lake(pattern: str, *tables: str) -> Prepare:
    """Files in the layout of Crypto Lake, derived from a capture by `rlx export`."""

    def prepare(data: Path, scratch: Path) -> list[Path]:
        reconstruct(sorted(data.glob(pattern)), scratch / "dataset")
        export(scratch / "dataset", scratch / "lake")
        found = sorted((scratch / "lake").rglob("*.parquet"))
        return [path for path in found if not tables or any(table in path.parts for table in tables)]

    return prepare


def _lobster(name: str) -> Prepare:
    def prepare(data: Path, scratch: Path) -> list[Path]:
        with zipfile.ZipFile(data / "lobster" / name) as archive:
            archive.extractall(scratch)
        return sorted(scratch.rglob("*.csv"))

    return prepare


SETS: dict[str, Prepare] = {
    "Binance spot BTC, 2024-08": _files("binance_spot/btcusdt_*.gz"),
    "Binance spot ETH, 2024-08": _files("binance_spot/ethusdt_*.gz"),
    "Binance USD-M BTC, 2024-08": _files("binance_usdm/btcusdt_20240808.gz"),
    "Binance USD-M ETH, 2024-08": _files("binance_usdm/ethusdt_20240808.gz"),
    "Binance USD-M BTC, 2024-07": _files("binance_usdm/btcusdt_202407*.gz"),
    "Binance USD-M ETH, 2024-07": _files("binance_usdm/ethusdt_202407*.gz"),
    "Binance USD-M BTC, 2022 (7 s)": _files("binance_usdm/btcusdt_20220811.dat"),
    "Binance COIN-M BTC": _files("binance_coinm/btcusd_perp_*.gz"),
    "Binance COIN-M ETH": _files("binance_coinm/ethusd_perp_*.gz"),
    "Lake, derived from spot BTC": _lake("binance_spot/btcusdt_*.gz"),
    "Lake, its `book` and `trades` alone": _lake("binance_spot/btcusdt_*.gz", "book", "trades"),
    "Lake, its `trades` alone": _lake("binance_spot/btcusdt_*.gz", "trades"),
    "Tardis Deribit `incremental_book_L2`": _files("misc/tardis_deribit_*.csv"),
    "Tardis `trades` and `quotes`, 2020": _files("misc/tardis_binance-futures_[tq]*.csv"),
    "Tardis `book_snapshot_25`": _files("misc/tardis_binance-futures_book*.csv"),
    "LOBSTER AMZN, level 1": _lobster("LOBSTER_SampleFile_AMZN_2012-06-21_1.zip"),
    "LOBSTER AMZN, level 5": _lobster("LOBSTER_SampleFile_AMZN_2012-06-21_5.zip"),
    "LOBSTER AAPL, level 1": _lobster("LOBSTER_SampleFile_AAPL_2012-06-21_1.zip"),
    "LOBSTER AAPL, level 10": _files("lobster/*.csv"),
    "Bitstamp BTCUSD, 2015-05-01": _files("bitstamp/*.log.xz"),
}


def is_read(name: str) -> bool:
    """Whether the format of a set is one that the program knows."""
    return name.split(maxsplit=1)[0].lower() not in {"lobster", "bitstamp"} - set(NAMES)


def expected() -> dict[str, tuple[str, ...]]:
    """The rows of the table in the docs, by set."""
    lines = TABLE.read_text("utf-8").splitlines()
    begin = lines.index(_row(HEAD)) + 2
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[begin:] if line]
    return {row[0]: row for row in rows if row[0] in SETS}


def told(name: str, one: Assessment) -> tuple[str, ...]:
    """What an assessment says, as a row of the table."""
    heavy = [found for found in one.findings if found.severity is not Severity.NOTE]
    notes = [found for found in one.findings if found.severity is Severity.NOTE]
    findings = [*(f"**{found.rule}**" for found in heavy), *(found.rule for found in notes)]
    return (
        name,
        one.grade.value,
        one.advice.strategy.value,
        _gaps(one.depth.contiguity, one.depth.gaps),
        _gaps(one.trades.contiguity, one.trades.gaps),
        ", ".join(re.sub("_", " ", found) for found in findings) or "none",
        share(one.loss.unseen_share),
    )


def _gaps(contiguity: Contiguity, gaps: int) -> str:
    told = {
        Contiguity.PROVEN: "none, proven",
        Contiguity.GAPS: f"{gaps:,}",
        Contiguity.UNKNOWABLE: "can't be known",
        Contiguity.ABSENT: "no such feed",
    }
    return told[contiguity]


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table, and beside it the verdicts."""
    out = sys.stdout
    out.write(f"{_row(HEAD)}\n{'|---' * len(HEAD)}|\n")
    for name, prepare in SETS.items():
        if is_read(name):
            with tempfile.TemporaryDirectory() as scratch:
                for one in assess(prepare(Path(sys.argv[1]), Path(scratch))):
                    out.write(_row(told(name, one)) + "\n")
                    sys.stderr.write(one.verdict + "\n")


if __name__ == "__main__":
    main()
