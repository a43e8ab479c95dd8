"""Every measure against pressure is forced in turn; the files do not show it by a single byte."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.pipeline.captures import capture

from rlx_datapipe.core import pressure as ladders
from rlx_datapipe.core.config import Settings
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.sink.datasink import DataSink
from rlx_datapipe.store import parts
from rlx_datapipe.store.dataset import dataset_digest, open_dataset

MARKET = MarketConfig(duration_s=8, levels=150, snapshot_levels=100, snapshot_every_s=2, orders_per_s=600)
BASE = Settings(
    batch_rows=60, queue_batches=4, memory_mb=0, epoch_events=2_000, keyframe_events=500, horizon_ms=200
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return capture(tmp_path_factory.mktemp("source") / "capture.gz", MARKET)


@pytest.fixture(scope="module")
def calm(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The undisturbed run."""
    return written(source, tmp_path_factory.mktemp("calm") / "dataset", BASE)


@pytest.fixture
def spills(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of a few hundred rows, and every spill worth a file."""
    monkeypatch.setattr(parts, "SPILL_BYTES_MIN", 0)


def written(source: Path, out: Path, settings: Settings) -> dict[str, Any]:
    """The bytes of all data files and the digests; and under `pressure` what was told of it."""
    summary = reconstruct(source, out, settings)
    assert dataset_digest(open_dataset(out)) == summary["digest"]
    files = sorted(path for path in out.rglob("*") if path.is_file())
    assert [path.name for path in files if path.name.endswith(".partial")] == []
    return {
        "bytes": {
            path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if path.suffix == ".parquet"
        },
        "digest": summary["digest"],
        "kept": {name: told for name, told in inspect(out)["chains"][0].items() if name != "pressure"},
        "log": commits(out),
        "pressure": summary["chains"][0]["pressure"],
    }


def commits(out: Path) -> list[Any]:
    """What the commits of the chain tell, the summary in the last among it."""
    logs = sorted((out / "events" / "_delta_log").glob("*.json"))
    lines = [msgspec.json.decode(line) for path in logs for line in path.read_text().splitlines()]
    return [line["commitInfo"]["rlx"] for line in lines if "rlx" in line.get("commitInfo", {})]


def same(run: dict[str, Any], calm: dict[str, Any]) -> None:
    assert len(run["bytes"]) > 10
    assert len(run["log"]) > 2
    for name in ("bytes", "digest", "kept", "log"):
        assert run[name] == calm[name], name


def test_at_rest_no_rung_is_entered(calm: dict[str, Any]) -> None:
    told = calm["pressure"]
    assert [told[name] for name in ("flush", "shrink", "drop", "spill", "spilled_bytes")] == [0] * 5


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("share", "rungs"),
    [(0.75, ["shrink"]), (0.85, ["shrink", "drop"]), (1.5, ["shrink", "drop", "spill"])],
)
@pytest.mark.usefixtures("spills")
def test_a_rung_of_memory_changes_nothing(
    threads: int,
    share: float,
    rungs: list[str],
    source: Path,
    calm: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        ladders.Pressure.__init__, "__defaults__", (lambda: round(share * 1_000 * 1_000_000),)
    )
    settings = msgspec.structs.replace(BASE, threads=threads, memory_mb=1_000)
    run = written(source, tmp_path / "dataset", settings)
    same(run, calm)
    assert [name for name in ("shrink", "drop", "spill") if run["pressure"][name]] == rungs
    assert (run["pressure"]["spilled_bytes"] > 100_000) == ("spill" in rungs)


@pytest.mark.usefixtures("spills")
def test_memory_that_swings_up_and_down_all_the_time_changes_nothing(
    source: Path, calm: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swing = iter([0, 95, 72, 99, 0, 85] * 10_000)
    monkeypatch.setattr(ladders.Pressure.__init__, "__defaults__", (lambda: next(swing) * 10_000_000,))
    monkeypatch.setattr(ladders, "drop_caches", lambda: None)
    run = written(source, tmp_path / "dataset", msgspec.structs.replace(BASE, memory_mb=1_000))
    same(run, calm)
    assert min(run["pressure"][name] for name in ("shrink", "drop", "spill")) > 10


@pytest.mark.usefixtures("spills")
def test_a_limit_far_too_small_still_gives_the_same(
    source: Path, calm: dict[str, Any], tmp_path: Path
) -> None:
    run = written(source, tmp_path / "dataset", msgspec.structs.replace(BASE, memory_mb=1))
    same(run, calm)
    assert run["pressure"]["spill"] == 1


@pytest.mark.usefixtures("spills")
def test_a_slow_disk_holds_the_reader_back_and_nothing_is_lost(
    source: Path, calm: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F16: each sync takes 50 ms; a stall is called one after 20 ms."""
    fsync = os.fsync

    def slow(handle: int) -> None:
        time.sleep(0.05)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", slow)
    run = written(source, tmp_path / "dataset", msgspec.structs.replace(BASE, flush_ms=20))
    same(run, calm)
    told = run["pressure"]
    assert told["throttle"] >= told["pause"] >= told["flush"] > 0
    assert told["queue_batches_max"] == BASE.queue_batches


@pytest.mark.usefixtures("spills")
def test_a_flood_is_held_back_at_the_bound(
    source: Path, calm: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F66: the sink is many times slower than what comes, and now and then stands still."""
    relieve, calls = ladders.Pressure.relieve, []

    def slow(self: ladders.Pressure, spill: Any) -> None:
        calls.append(self.rungs)
        time.sleep(0.15 if len(calls) % 20 == 0 else 0.005)
        relieve(self, spill)

    monkeypatch.setattr(ladders.Pressure, "relieve", slow)
    settings = msgspec.structs.replace(BASE, flush_ms=30, throttle_ms=1)
    run = written(source, tmp_path / "dataset", settings)
    same(run, calm)
    told = run["pressure"]
    assert told["queue_batches_max"] == BASE.queue_batches
    assert told["flush"] > 1
    assert told["spilled_bytes"] > 0
    # A rung is kept until half the queue is free: far fewer turns than batches, and each is left again.
    assert 1 < told["pause"] <= len(calls)
    assert {"throttle", "pause", "flush"} & {name for rungs in calls for name in rungs}


def test_the_sink_tells_what_it_spilled(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bound as it is, a small chain has nothing that is worth a file."""
    spilled: list[int] = []
    spill = DataSink.spill

    def counted(self: DataSink) -> int:
        spilled.append(spill(self))
        return spilled[-1]

    monkeypatch.setattr(DataSink, "spill", counted)
    settings = msgspec.structs.replace(BASE, memory_mb=1)
    told = reconstruct(source, tmp_path / "dataset", settings)["chains"][0]["pressure"]
    assert told["spilled_bytes"] == sum(spilled)
    assert max(spilled, default=0) < 5_000_000
