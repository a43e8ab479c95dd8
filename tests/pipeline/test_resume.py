"""A run that was cut off goes on, is refused, or changes nothing: each with the digest of an uncut one."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.door import RLX, rlx
from tests.depth import thinned
from tests.pipeline.captures import SPOT, capture, variables

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError, OutputError
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.commits import read_commits

SETTINGS = Settings(batch_rows=200, epoch_events=800, keyframe_events=1_000, horizon_ms=200)
Contents = dict[str, bytes]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return capture(tmp_path_factory.mktemp("source") / "capture.gz", SPOT)


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "dataset"
    reconstruct(source, folder, SETTINGS)
    return folder


@pytest.fixture
def digest(whole: Path) -> str:
    told: str = inspect(whole)["digest"]
    return told


@pytest.fixture
def cut(source: Path, tmp_path: Path) -> Path:
    """A dataset that was interrupted after some commits."""

    def stop(progress: Progress) -> None:
        if progress.events > 4_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct(source, tmp_path / "cut", SETTINGS, on_progress=stop)
    assert len(read_commits(tmp_path / "cut", "BINANCE", "BTCUSDT")) > 3
    return tmp_path / "cut"


def resume(source: Path, out: Path, settings: Settings = SETTINGS) -> dict[str, Any]:
    return reconstruct(source, out, settings, resume=True)


def contents(folder: Path) -> Contents:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_interrupted_run_goes_on(source: Path, cut: Path, digest: str) -> None:
    told: list[Progress] = []
    summary = reconstruct(source, cut, SETTINGS, resume=True, on_progress=told.append)
    assert summary["digest"] == inspect(cut)["digest"] == digest
    assert told[0].events > 3_000, "went on behind its last commit, not from the start"
    [chain] = summary["chains"]
    assert chain["resumed_from_epoch"] >= 2
    assert 0 < summary["resumed_events"] == chain["resumed_events"] < summary["events"]
    assert not chain["was_complete"]


def test_a_resume_tells_what_it_went_on_from(source: Path, cut: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    names = ("batch_rows", "epoch_events", "keyframe_events", "horizon_ms")
    config.write_text("".join(f"{name} = {getattr(SETTINGS, name)}\n" for name in names))
    command: list[str | Path] = ["reconstruct", source, "--out", cut, "--resume", "--config", config]
    there = read_commits(cut, "BINANCE", "BTCUSDT")[-1]
    shown = rlx(*command).out
    assert f"BINANCE BTCUSDT went on behind epoch {there.epoch} ({there.rows['events']:,} events" in shown
    assert " more events in " in shown
    again = rlx(*command)
    assert "BINANCE BTCUSDT was complete already" in again.out
    assert "nothing was left to do" in again.out
    assert "events/s" not in again.out
    assert rlx(*command, "--json").json()["events_per_second"] == 0


def test_changed_input_is_refused_by_its_name(source: Path, cut: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / source.name
    other.parent.mkdir()
    capture(other, replace(SPOT, seed=99))
    before = contents(cut)
    with pytest.raises(DatasetError, match=r"was begun from other input.*capture\.gz"):
        resume(other, cut)
    assert contents(cut) == before


def test_changed_settings_are_refused(source: Path, cut: Path) -> None:
    before = contents(cut)
    for change in ({"books_levels": 5}, {"epoch_events": 900}, {"batch_rows": 300}):
        [(name, value)] = change.items()
        told = rf"was begun with other settings \(found {name} = {value}; expected {name} = "
        with pytest.raises(DatasetError, match=told):
            resume(source, cut, msgspec.structs.replace(SETTINGS, **change))
    assert contents(cut) == before


def test_threads_may_change(source: Path, cut: Path, digest: str) -> None:
    assert resume(source, cut, msgspec.structs.replace(SETTINGS, threads=1))["digest"] == digest


@pytest.mark.parametrize("damage", thinned(["flip", "cut", "gone"], 2))
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    damage: str, source: Path, cut: Path, digest: str
) -> None:
    newest = sorted(cut.rglob("*.state"))[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        newest.unlink()
    else:
        newest.write_bytes(content if damage == "flip" else content[:100])
    assert resume(source, cut)["digest"] == inspect(cut, deep=True)["digest"] == digest


def test_without_any_checkpoint_it_is_refused(source: Path, cut: Path) -> None:
    for path in cut.rglob("*.state"):
        path.unlink()
    with pytest.raises(DatasetError, match="no checkpoint can be read"):
        resume(source, cut)


def test_a_finished_dataset_is_left_as_it_is(source: Path, whole: Path, digest: str) -> None:
    before = contents(whole)
    assert resume(source, whole)["digest"] == digest
    assert contents(whole) == before


def test_an_empty_folder_just_runs(source: Path, tmp_path: Path, digest: str) -> None:
    (tmp_path / "empty").mkdir()
    assert resume(source, tmp_path / "empty")["digest"] == digest
    assert resume(source, tmp_path / "none")["digest"] == digest


def test_a_folder_that_does_not_exist_is_not_gone_on_with(source: Path, tmp_path: Path) -> None:
    said = rlx("reconstruct", source, "--out", tmp_path / "mistyped", "--resume")
    assert said.status == 2
    assert "mistyped: does not exist: nothing to go on with" in said.sentence()
    assert "leave --resume out" in said.sentence()
    assert not (tmp_path / "mistyped").exists()
    # A kill before the first commit leaves a folder, maybe an empty one: the same command works.
    (tmp_path / "killed").mkdir()
    assert rlx("reconstruct", source, "--out", tmp_path / "killed", "--resume").status == 0


def test_a_second_writer_is_refused(source: Path, cut: Path) -> None:
    before = contents(cut)
    with (cut / ".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="is being written by another process"):
            resume(source, cut)
        said = rlx("reconstruct", source, "--out", cut, "--resume", env=variables(SETTINGS))
        assert (said.status, "is being written by another process" in said.sentence()) == (2, True)
    assert contents(cut) == before


def test_foreign_files_are_left_alone(source: Path, cut: Path, digest: str) -> None:
    date = next((cut / "events").rglob("date=*"))
    strange = [
        date / "notes.txt",
        date / ".epoch-x",
        date / "epoch-mine.parquet",
        next(cut.rglob("*.state")).with_name("epoch-x.state"),
    ]
    for path in strange:
        path.write_text("mine")
    assert resume(source, cut)["digest"] == digest
    assert all(path.read_text() == "mine" for path in strange)


@pytest.mark.parametrize("table", ["events", "books"])
def test_a_flipped_bit_is_found(table: str, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    reconstruct(source, out, SETTINGS)
    assert rlx("inspect", out, "--deep", "--json").json()["problems"] == []
    path = sorted((out / table).rglob("*.parquet"))[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    said = rlx("inspect", out, "--deep", "--json")
    assert said.status == 1
    assert said.json()["problems"] == [f"{path.relative_to(out)}: not the bytes that were committed"]
    assert rlx("inspect", out, "--deep").status == 1
    path.unlink()
    assert inspect(out, deep=True)["problems"] == [f"{path.relative_to(out)}: gone"]


def test_a_changed_commit_breaks_the_chain(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    reconstruct(source, out, SETTINGS)
    entry = sorted((out / "events" / "_delta_log").glob("*.json"))[2]
    text = entry.read_text()
    assert '\\"writer\\":\\"' in text
    entry.write_text(text.replace('\\"writer\\":\\"', '\\"writer\\":\\"x'))
    [problem] = inspect(out, deep=True)["problems"]
    assert "the chain of commits is broken" in problem
    with pytest.raises(DatasetError, match="the chain of commits is broken"):
        resume(source, out)


def test_a_real_process_killed_at_random_times(source: Path, tmp_path: Path, digest: str) -> None:
    settings = tmp_path / "settings.toml"
    names = ("batch_rows", "epoch_events", "keyframe_events", "horizon_ms")
    told = {name: getattr(SETTINGS, name) for name in names}
    settings.write_text("".join(f"{name} = {value}\n" for name, value in told.items()))
    out, dice = tmp_path / "out", random.Random(5)
    out.mkdir()
    command: list[str | Path] = [RLX, "reconstruct", source, "--out", out, "--resume", "--config", settings]
    killed = 0
    for _ in range(5):
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
        ) as process:
            deadline = time.monotonic() + 60
            while not (out / ".lock").exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 0.8))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
    assert killed >= 2
    said = rlx("reconstruct", source, "--out", out, "--resume", "--config", settings, "--json")
    assert said.json()["digest"] == inspect(out)["digest"] == digest
