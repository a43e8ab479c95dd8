"""`rlx bench` runs and tells figure and target of each claim; it is never asked how fast."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from tests.cli.door import rlx

from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive


def test_every_claim_is_told_with_its_target() -> None:
    told = rlx("bench", "--json", "--duration-s", "2", "--repeats", "1", "--seed", "3").json()
    assert {"writer", "cpus", "load", "seed", "duration_s", "repeats", "figures"} == set(told)
    assert [figure["claim"] for figure in told["figures"]] == [
        "reconstruct an archive",
        "reconstruct a capture",
        "checkpoints, share of the run",
        "checkpoint, write and sync",
        "checkpoint, longest pause",
        "recovery from a kill",
        "peak memory",
    ]
    for figure in told["figures"]:
        assert set(figure) == {"claim", "figure", "unit", "target", "is_met", "detail"}
        assert figure["figure"] >= 0
        assert (figure["is_met"] is None) == (figure["target"] == "")
    pause = told["figures"][4]["detail"]
    assert min(pause["levels"]) >= 5_000, "measured at a full-depth book"


def test_the_archive_of_a_seed_is_always_the_same(tmp_path: Path) -> None:
    config = ArchiveConfig(seed=4, rows=700, levels=50)
    one, other = (write_archive(config, tmp_path / name) for name in ("one", "other"))
    files = sorted(path.relative_to(one) for path in one.rglob("*.parquet"))
    assert len(files) == 3
    for file in files:
        assert pq.read_table(one / file).equals(pq.read_table(other / file))
    different = write_archive(ArchiveConfig(seed=5, rows=700, levels=50), tmp_path / "different")
    assert any(not pq.read_table(one / file).equals(pq.read_table(different / file)) for file in files)
