"""The digest of a dataset: the same for the same events, however they were read and written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from tests.depth import deep
from tests.pipeline.captures import SPOT, lines_of

from rlx_datapipe.cli.main import main
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.schema import SCHEMAS
from rlx_datapipe.pipeline.export import export
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.faults import delay_snapshot, drop_depth, insert_garbage, is_depth
from rlx_datapipe.store.chain_rows import chain_batches
from rlx_datapipe.store.dataset import dataset_digest, open_dataset
from rlx_datapipe.store.digest import TableDigest

BASE = Settings(epoch_events=3_000, keyframe_events=1_000, horizon_ms=500)


def faulty(lines: Iterable[bytes]) -> Iterator[bytes]:
    """A capture with a gap, a late snapshot and garbage in it: much for ``quality`` to tell."""
    return insert_garbage(delay_snapshot(drop_depth(lines, 60), 200), 1_000)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One faulty capture, cut into three files whose names are not in the order of time."""
    folder = tmp_path_factory.mktemp("parts")
    lines = list(faulty(lines_of()))
    third = len(lines) // 3
    cut = [lines[:third], lines[third : 2 * third], lines[2 * third :]]
    files = [folder / name for name in ("c.gz", "a.gz", "b.txt")]
    for path, some in zip(files, cut, strict=True):
        write_capture(some, path)
    return files


@pytest.fixture(scope="module")
def reference(parts: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    summary = reconstruct(parts, tmp_path_factory.mktemp("reference") / "dataset", BASE)
    assert (summary["gaps"], summary["quarantined"]) == (1, 1)
    return summary


@pytest.mark.parametrize(
    ("batch_rows", "threads"),
    [
        (1, 2),
        (7_777, 1),
        (65_536, 2),
        *(
            pytest.param(*both, marks=deep)
            for both in ((1, 1), (1_000, 1), (1_000, 2), (7_777, 2), (65_536, 1))
        ),
    ],
)
def test_batches_and_threads_do_not_matter(
    batch_rows: int, threads: int, parts: list[Path], reference: dict[str, Any], tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(BASE, batch_rows=batch_rows, threads=threads, queue_batches=1)
    summary = reconstruct(parts, tmp_path / "dataset", settings)
    assert summary["digest"] == reference["digest"]
    assert dataset_digest(open_dataset(tmp_path / "dataset")) == reference["digest"]
    fleeting = {"events_per_second", "pressure", "stages"}
    ours, theirs = (
        {k: v for k, v in s["chains"][0].items() if k not in fleeting} for s in (summary, reference)
    )
    assert ours == theirs


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_the_order_in_which_files_are_given_does_not_matter(
    order: tuple[int, ...], parts: list[Path], reference: dict[str, Any], tmp_path: Path
) -> None:
    given = [parts[at] for at in order]
    assert reconstruct(given, tmp_path / "dataset", BASE)["digest"] == reference["digest"]


def test_a_folder_and_a_file_given_twice_are_the_same_source(
    parts: list[Path], reference: dict[str, Any], tmp_path: Path
) -> None:
    assert reconstruct(parts[0].parent, tmp_path / "one", BASE)["digest"] == reference["digest"]
    twice = [*parts, parts[0]]
    assert reconstruct(twice, tmp_path / "two", BASE)["digest"] == reference["digest"]


def test_commands_tell_the_digest_that_the_files_have(
    parts: list[Path], reference: dict[str, Any], tmp_path: Path
) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("epoch_events = 3000\nkeyframe_events = 1000\nhorizon_ms = 500\n")
    out = str(tmp_path / "dataset")
    told = [
        CliRunner().invoke(main, arguments, catch_exceptions=False)
        for arguments in (
            ["reconstruct", *map(str, parts), "--out", out, "--config", str(config), "--json"],
            ["inspect", out, "--json"],
        )
    ]
    assert [result.exit_code for result in told] == [0, 0]
    assert {json.loads(result.stdout)["digest"] for result in told} == {reference["digest"]}
    assert inspect(out)["digest"] == reference["digest"]
    shown = CliRunner().invoke(main, ["inspect", out])
    assert reference["digest"] in shown.stdout


@deep
def test_how_rows_are_cut_into_files_does_not_change_the_digest_of_events(
    parts: list[Path], reference: dict[str, Any], tmp_path: Path
) -> None:
    """``quality`` counts by epoch, so its rows may differ; the market's events may not."""
    digests = {}
    for epoch_events in (100, 3_000, 1_000_000):
        folder = tmp_path / str(epoch_events)
        # An epoch ends with a batch: only small ones make small files.
        settings = msgspec.structs.replace(BASE, epoch_events=epoch_events, batch_rows=50)
        summary = reconstruct(parts, folder, settings)
        dataset = open_dataset(folder)
        assert dataset_digest(dataset) == summary["digest"]
        files = len(list((folder / "events").rglob("*.parquet")))
        assert files >= summary["events"] // (epoch_events + 400)
        digests[epoch_events] = [
            table_digest(folder, table) for table in ("events", "books", "keyframes", "quotes")
        ]
    assert digests[100] == digests[3_000] == digests[1_000_000]


def table_digest(folder: Path, table: str) -> str:
    running = TableDigest(SCHEMAS[table])
    for rows in chain_batches(folder, table, open_dataset(folder).manifest.chain(None)):
        running.update(rows)
    return running.hexdigest()


def test_one_unit_in_one_quantity_changes_it(tmp_path: Path) -> None:
    lines = lines_of(SPOT)
    changed = one_unit_more(lines, at=50)
    assert sum(a != b for a, b in zip(lines, changed, strict=True)) == 1
    digests = set()
    for name, some in (("same", lines), ("again", lines), ("changed", changed)):
        write_capture(some, tmp_path / f"{name}.gz")
        digests.add(reconstruct(tmp_path / f"{name}.gz", tmp_path / name)["digest"])
    assert len(digests) == 2


def one_unit_more(lines: list[bytes], at: int) -> list[bytes]:
    """The same lines, the last decimal of one quantity of one depth update one higher."""
    number = [n for n, line in enumerate(lines) if is_depth(line)][at]
    stamp, _, text = lines[number].partition(b" ")
    body = json.loads(text)
    level = next(level for level in body["data"]["b"] if level[1].strip("0."))
    level[1] = level[1][:-1] + str(int(level[1][-1]) + 1)
    return [*lines[:number], stamp + b" " + json.dumps(body).encode(), *lines[number + 1 :]]


@pytest.mark.recordings
def test_a_real_recording_has_one_digest(recordings: Path, tmp_path: Path) -> None:
    files = sorted((recordings / "binance_spot").glob("ethusdt_*.gz"))
    digests = set()
    for name, order, settings in (
        ("plain", files, Settings()),
        ("small", files[::-1], Settings(batch_rows=1_000, threads=1)),
        ("odd", files, Settings(batch_rows=7_777, threads=2, queue_batches=1)),
    ):
        summary = reconstruct(order, tmp_path / name, settings)
        digests |= {summary["digest"], dataset_digest(open_dataset(tmp_path / name))}
    assert len(digests) == 1


def test_an_archive_has_one_digest_too(parts: list[Path], tmp_path: Path) -> None:
    export(parts, tmp_path / "lake", settings=BASE)
    digests = {
        reconstruct(
            tmp_path / "lake",
            tmp_path / f"{batch_rows}-{threads}",
            msgspec.structs.replace(BASE, batch_rows=batch_rows, threads=threads),
        )["digest"]
        for batch_rows, threads in ((65_536, 2), (1_000, 1), (77, 2))
    }
    assert len(digests) == 1
