"""Where epochs end is told by the input alone; states may be kept in memory instead of on disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from tests.pipeline.captures import SPOT, capture

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.chain import write_chain
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress, Watcher
from rlx_datapipe.store import parts
from rlx_datapipe.store.checkpoints import MemoryStates, PipelineStateProvider
from rlx_datapipe.store.commits import read_commits
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.store.manifest import start_dataset
from rlx_datapipe.store.tables import data_files

SETTINGS = Settings(batch_rows=50, horizon_ms=200, epoch_s=4)
QUIET = dataclasses.replace(SPOT, duration_s=1_300, orders_per_s=1, levels=50, snapshot_every_s=None)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return capture(tmp_path_factory.mktemp("source") / "capture.gz", SPOT)


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "dataset"
    reconstruct(source, folder, SETTINGS)
    return folder


def ends(folder: Path) -> list[float]:
    """Times of the last events of the epochs, in seconds since the first event of all."""
    commits = read_commits(folder, "BINANCE", "BTCUSDT")
    times = open_dataset(folder).events.select("origin_time").collect()["origin_time"]
    return [(times[commit.rows["events"] - 1] - times[0]).total_seconds() for commit in commits]


def test_an_epoch_ends_after_some_seconds_of_input(whole: Path) -> None:
    lasted = ends(whole)
    assert len(lasted) == 5
    for before, after in zip([0.0, *lasted], lasted[:-1], strict=False):
        assert 3.7 < after - before < 5.0


def test_events_end_an_epoch_before_its_time(source: Path, tmp_path: Path) -> None:
    reconstruct(source, tmp_path / "out", msgspec.structs.replace(SETTINGS, epoch_events=1_000))
    assert len(ends(tmp_path / "out")) > 5


@pytest.mark.parametrize("change", [{"threads": 1}, {"threads": 3, "queue_batches": 1}])
def test_threads_and_queues_change_no_commit(
    change: dict[str, int], source: Path, whole: Path, tmp_path: Path
) -> None:
    reconstruct(source, tmp_path / "out", msgspec.structs.replace(SETTINGS, **change))
    found, expected = (read_commits(folder, "BINANCE", "BTCUSDT") for folder in (tmp_path / "out", whole))
    assert [commit.digest() for commit in found] == [commit.digest() for commit in expected]


def test_a_quiet_market_commits_every_five_minutes(tmp_path: Path) -> None:
    quiet = capture(tmp_path / "quiet.gz", QUIET)
    reconstruct(quiet, tmp_path / "out", Settings())
    lasted = ends(tmp_path / "out")
    assert len(lasted) == 4
    for before, after in zip([0.0, *lasted], lasted[:-1], strict=False):
        assert 298 < after - before < 400


class _StoppedError(Exception):
    pass


def write(source: Path, folder: Path, provider: PipelineStateProvider | None, stop_after: int = 0) -> None:
    """Write the chain, or stop when so many events are done."""

    def told(progress: Progress) -> None:
        if stop_after and progress.events > stop_after:
            raise _StoppedError

    [found] = find_sources([source], SETTINGS)
    planned = [f"{found.instrument.exchange}/{found.instrument.symbol}"]
    start_dataset(folder, WRITER, SETTINGS, planned, resume=True)
    write_chain(found, folder, SETTINGS, Watcher(told), provider)


def test_a_run_stops_and_goes_on_with_its_states_in_memory(source: Path, whole: Path, tmp_path: Path) -> None:
    out, provider = tmp_path / "out", MemoryStates()
    for stop_after in (3_000, 5_000):
        with pytest.raises(_StoppedError):
            write(source, out, provider, stop_after)
    assert not (out / "checkpoints").exists()
    write(source, out, provider)
    assert inspect(out, deep=True)["digest"] == inspect(whole)["digest"]
    assert len(read_commits(out, "BINANCE", "BTCUSDT")) == len(read_commits(whole, "BINANCE", "BTCUSDT"))


def test_another_process_cant_go_on_behind_states_in_memory(source: Path, tmp_path: Path) -> None:
    with pytest.raises(_StoppedError):
        write(source, tmp_path / "out", MemoryStates(), 5_000)
    for other in (None, MemoryStates()):
        with pytest.raises(DatasetError, match="no checkpoint can be read"):
            write(source, tmp_path / "out", other)


def test_a_file_that_grew_full_is_followed_by_another(
    source: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "FULL_BYTES", 1)
    monkeypatch.setitem(parts.ROW_GROUP_ROWS, "events", 500)
    out = tmp_path / "dataset"

    def stop(progress: Progress) -> None:
        if progress.epochs == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct(source, out, SETTINGS, on_progress=stop)
    first = next(out.glob("events/*/*/*/epoch-0000000001-003.parquet"))
    orphan = first.with_name("epoch-0000000002-777.parquet")
    orphan.write_bytes(b"of a run that was cut off")
    summary = reconstruct(source, out, SETTINGS, resume=True)
    assert not orphan.exists()
    files = data_files(out, "events")
    assert [file.first_event for file in files] == sorted(file.first_event or 0 for file in files)
    rows = [pq.read_metadata(file.path).num_rows for file in files]
    assert max(rows) == 500 > min(rows)
    assert inspect(out, deep=True)["digest"] == summary["digest"] == inspect(whole)["digest"]
    assert open_dataset(out).events.select("event_id").collect()["event_id"].is_sorted()
