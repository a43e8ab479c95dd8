"""From a parameter file to a folder: a capture that the line reconstructs without a flaw, and the truth."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from rlx_datapipe.core.errors import OptionError, OutputError
from rlx_datapipe.pipeline.market import write_market
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.validate import validate

TEXT = """
duration_s = 20
snapshot_every_s = 5
[[episodes]]
kind = "spoofing"
at_s = 5.0
[[episodes]]
kind = "momentum_ignition"
at_s = 10.0
size = "0.1"
"""


def file_of(folder: Path, text: str = TEXT) -> Path:
    path = folder / "market.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("venue", ["binance-spot", "binance-usdm"])
def test_the_line_rebuilds_the_market_without_a_flaw(venue: str, tmp_path: Path) -> None:
    shares: list[float] = []
    told = write_market(
        file_of(tmp_path, f'venue = "{venue}"\n{TEXT}'), tmp_path / "out", on_time=shares.append
    )
    assert told["episodes"] == 2
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0, abs=0.01)
    result = reconstruct([told["capture"]], tmp_path / "dataset")
    assert (result["gaps"], result["crossed"], result["quarantined"]) == (0, 0, 0)
    report = validate(tmp_path / "dataset")
    assert report.verdict == "pass", report
    oracle = report.oracle
    assert oracle is not None
    assert oracle["compared"] == oracle["equal"] > 150
    orders = pl.read_parquet(Path(told["truth"]) / "orders.parquet")
    assert result["events_by_type"]["TRADE"] == orders.filter(pl.col("action") == "fill").height


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    folders = [Path(write_market(file, tmp_path / name)["capture"]).parents[1] for name in ("one", "two")]
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*.*")) for folder in folders]
    assert names[0] == names[1]
    assert len(names[0]) == 6
    for name in names[0]:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="not empty"):
        write_market(file_of(tmp_path), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_market_that_is_none_makes_no_folder(tmp_path: Path) -> None:
    text = "[flow.branching.limit]\nlimit = [1.2, 0.0]"
    with pytest.raises(OptionError, match="spectral radius"):
        write_market(file_of(tmp_path, text), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_programs_of_the_page_run_as_they_stand(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / "docs"
    programs = re.findall(r"```python\n(.*?)```", (docs / "market.md").read_text("utf-8"), re.DOTALL)
    assert len(programs) == 2
    write_market(docs / "market.toml", tmp_path / "market")
    for program in programs:
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout.strip()
