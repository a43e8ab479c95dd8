"""From arrival to a certified dataset: what is fit goes through, what is not is kept away with its reason."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.acquisition.archives import SETTINGS, files_of, small_archive, stage
from tests.acquisition.mutations import written

from rlx_datapipe.acquisition.certifying import certify
from rlx_datapipe.acquisition.examined import Subject
from rlx_datapipe.acquisition.staged import Zone, read_standings
from rlx_datapipe.core.errors import DatasetError, SourceError
from rlx_datapipe.pipeline import examination as examination_module
from rlx_datapipe.pipeline.acceptance import accept_staged, examine_paths
from rlx_datapipe.pipeline.examination import Examination
from rlx_datapipe.pipeline.examiner import Bounds
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.store.certificate import certificate_paths, read_certificate
from rlx_datapipe.store.dataset import open_dataset

Told = dict[str, Any]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small archive; not to be changed."""
    return small_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def staging(archive: Path, tmp_path: Path) -> Path:
    """The small archive, arrived."""
    stage(tmp_path / "staging", files_of(archive).values())
    return tmp_path / "staging"


def run(sources: Path, out: Path, **how: Any) -> Told:
    return reconstruct(sources, out, SETTINGS, **how)


def test_what_is_fit_is_ready_certified_and_named_in_the_dataset(
    archive: Path, staging: Path, tmp_path: Path
) -> None:
    told = accept_staged(staging)
    assert told["verdict"] == "pass"
    assert told["counts"] == {"raw": 0, "validating": 0, "ready": 3, "quarantine": 0}
    [cross] = told["cross"]
    assert cross["share"] == 1.0
    certificate = certify(staging)
    assert certificate["is_new"]
    assert certificate["totals"]["files"] == 3
    assert {(gap["table"], gap["kind"]) for gap in certificate["gaps"]} == {
        (table, "outside the file") for table in files_of(archive)
    }
    result = run(staging, tmp_path / "out")
    [chain] = result["chains"]
    assert chain["certificates"] == [certificate["sha256"]]
    dataset = open_dataset(tmp_path / "out")
    assert dataset.manifest.certificates == (certificate["sha256"],)
    assert inspect(tmp_path / "out")["chains"][0]["certificates"] == [certificate["sha256"]]
    plain = run(archive, tmp_path / "plain")
    assert "certificates" not in plain["chains"][0]
    assert plain["digest"] == result["digest"]


def test_the_same_files_make_the_same_certificate(archive: Path, staging: Path, tmp_path: Path) -> None:
    accept_staged(staging)
    first = certify(staging)
    assert certify(staging) == {**first, "is_new": False}
    stage(tmp_path / "other", reversed(files_of(archive).values()))
    accept_staged(tmp_path / "other")
    assert certify(tmp_path / "other")["sha256"] == first["sha256"]
    [path] = certificate_paths(staging)
    path.write_bytes(path.read_bytes().replace(b'"rows"', b'"rovs"'))
    with pytest.raises(DatasetError, match="is no certificate"):
        read_certificate(path)


def test_a_changed_certificate_is_not_the_one_that_was_signed(staging: Path) -> None:
    accept_staged(staging)
    certify(staging)
    [path] = certificate_paths(staging)
    held = json.loads(path.read_bytes())
    held["certificate"]["gaps"] = []
    path.write_text(json.dumps(held))
    with pytest.raises(DatasetError, match="not the certificate that was signed"):
        read_certificate(path)


def test_what_is_not_fit_is_in_quarantine_with_its_reason(archive: Path, tmp_path: Path) -> None:
    files = files_of(archive)
    bad = tmp_path / "bad" / files["trades"].relative_to(archive)
    bad.parent.mkdir(parents=True)
    rows = pq.read_table(files["trades"], partitioning=None)
    prices = rows["price"].to_numpy().copy()
    prices[3] = -prices[3]
    bad.write_bytes(written(rows.set_column(rows.column_names.index("price"), "price", [prices])))
    root = tmp_path / "staging"
    stage(root, [bad, files["book"], files["book_delta_v2"]])
    told = accept_staged(root)
    assert told["verdict"] == "fail"
    [refused] = [file for file in told["files"] if file["verdict"] == "fail"]
    assert refused["zone"] == "quarantine"
    assert refused["reason"].startswith("price: negative in 1 of")
    [standing] = [one for one in read_standings(root).values() if one.zone is Zone.QUARANTINE]
    assert standing.findings[0].message == refused["reason"]
    certify(root)
    with pytest.raises(SourceError, match="is not ready"):
        run(root / "quarantine", tmp_path / "out")
    result = run(root, tmp_path / "out")
    assert result["events_by_type"]["TRADE"] == 0
    again = accept_staged(root, again=True)
    assert [file["reason"] for file in again["files"]] == ["", "", refused["reason"]]


@pytest.mark.parametrize("zone", ["raw", "validating", "quarantine"])
def test_nothing_is_read_from_another_zone(staging: Path, tmp_path: Path, zone: str) -> None:
    for uncertified in (False, True):
        with pytest.raises(SourceError, match="is not ready"):
            run(staging / zone, tmp_path / "out", uncertified=uncertified)
    link = tmp_path / "elsewhere"
    link.symlink_to(staging / zone)
    with pytest.raises(SourceError, match="is not ready"):
        run(link, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_certificate_only_when_told_so(staging: Path, tmp_path: Path) -> None:
    accept_staged(staging)
    with pytest.raises(SourceError, match=r"not covered by a certificate.*--uncertified"):
        run(staging, tmp_path / "out")
    result = run(staging / "ready", tmp_path / "out", uncertified=True)
    assert result["chains"][0]["uncertified"] is True
    assert open_dataset(tmp_path / "out").manifest.uncertified
    assert inspect(tmp_path / "out")["chains"][0]["uncertified"] is True


def test_bytes_that_changed_after_certifying_are_refused(staging: Path, tmp_path: Path) -> None:
    accept_staged(staging)
    certify(staging)
    [path] = (staging / "ready").rglob("book_delta_v2/**/*.parquet")
    rows = pq.read_table(path, partitioning=None)
    prices = rows["price"].to_numpy().copy()
    prices[0] += 0.01
    path.write_bytes(written(rows.set_column(rows.column_names.index("price"), "price", [prices])))
    with pytest.raises(SourceError, match="not the bytes that were certified"):
        run(staging, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.parquet")), "nothing was committed"
    with pytest.raises(DatasetError, match="in quarantine now"):
        certify(staging)
    assert {one.key.table for one in read_standings(staging).values() if one.zone is Zone.READY} == {
        "book",
        "trades",
    }


def test_a_stranger_among_the_ready_is_refused(archive: Path, staging: Path, tmp_path: Path) -> None:
    told = accept_staged(staging)
    assert told["strangers"] == []
    certify(staging)
    [path] = (staging / "ready").rglob("trades/**/*.parquet")
    path.with_name("2.snappy.parquet").write_bytes(written(pq.read_table(path, partitioning=None).slice(1)))
    with pytest.raises(SourceError, match="is not ready by the manifest"):
        run(staging, tmp_path / "out")
    assert accept_staged(staging)["strangers"] == [
        str(path.with_name("2.snappy.parquet").relative_to(staging))
    ]


def test_a_dataset_goes_on_with_the_certificate_that_it_began_with(staging: Path, tmp_path: Path) -> None:
    accept_staged(staging)
    first = certify(staging)
    run(staging, tmp_path / "out")
    (tmp_path / "out" / "chains").rename(tmp_path / "chains")
    resumed = run(staging, tmp_path / "out", resume=True)
    assert resumed["chains"][0]["certificates"] == [first["sha256"]]


def test_several_files_of_a_day_are_held_together(archive: Path, tmp_path: Path) -> None:
    files = files_of(archive)
    rows = pq.read_table(files["trades"], partitioning=None)
    half = rows.num_rows // 2
    for number, part in enumerate((rows.slice(0, half), rows.slice(half)), 1):
        path = tmp_path / "two" / files["trades"].relative_to(archive).with_name(f"{number}x.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written(part))
    stage(tmp_path / "s", [*(tmp_path / "two").rglob("*.parquet"), files["book"], files["book_delta_v2"]])
    told = accept_staged(tmp_path / "s")
    assert told["counts"]["ready"] == 4
    assert told["cross"][0]["trades_compared"] > 0
    certify(tmp_path / "s")
    whole, split = run(archive, tmp_path / "whole"), run(tmp_path / "s", tmp_path / "split")
    assert whole["events_by_type"] == split["events_by_type"]


def test_files_anywhere_are_examined_and_not_moved(archive: Path, tmp_path: Path) -> None:
    told = examine_paths([archive])
    assert told["verdict"] == "pass"
    assert len(told["files"]) == 3
    lone = tmp_path / "no name"
    shutil.copyfile(files_of(archive)["trades"], lone)
    [file] = examine_paths([lone])["files"]
    assert file["table"] == "trades"
    with pytest.raises(SourceError, match="no such file"):
        examine_paths([tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no Parquet files"):
        examine_paths([tmp_path / "empty"])


_SICK = """
import os, signal, sys
for line in sys.stdin:
    {act}
"""


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("os._exit(3)", "ended with status 3"),
        ("import time; time.sleep(60)", "made no step for 0.5 seconds"),
    ],
)
def test_a_file_that_ends_its_examiner_is_refused_for_that(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, said: str
) -> None:
    program = (*examination_module.PROGRAM[:1], "-c", _SICK.format(act=act))
    monkeypatch.setattr(examination_module, "PROGRAM", program)
    monkeypatch.setattr(examination_module, "_START_S", 0.0)
    path = files_of(archive)["trades"]
    with Examination(Bounds(silence_s=0.5 if "made" in said else 60.0)) as examination:
        for _ in range(2):
            found = examination.examine(Subject(path, "trades", "BINANCE", "BTC-USDT"))
            assert found.verdict == "fail"
            assert said in found.reason


def test_an_examiner_dies_with_whoever_asked(archive: Path) -> None:
    with Examination() as examination:
        examination.examine(Subject(files_of(archive)["trades"]))
        assert examination._child is not None
        pid = examination._child.pid
        assert examination._child._process.stdin is not None
        examination._child._process.stdin.close()
        until = time.monotonic() + 20
        while not examination._child.has_ended() and time.monotonic() < until:
            time.sleep(0.05)
        assert examination._child.has_ended()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
