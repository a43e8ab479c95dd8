"""Validate, certify and reconstruct as a user meets them, and what each refusal says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.acquisition.archives import files_of, small_archive, stage
from tests.cli.door import rlx

from rlx_datapipe.acquisition.staging import begin_staging


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_archive(tmp_path_factory.mktemp("archive"))


def test_from_arrival_to_a_dataset_that_names_its_certificate(archive: Path, tmp_path: Path) -> None:
    lake, out = tmp_path / "lake", tmp_path / "out"
    stage(lake, files_of(archive).values())
    early = rlx("reconstruct", lake, "--out", out)
    assert early.status == 2
    shown = rlx("acquire", "validate", "--staging", lake)
    assert shown.status == 0
    assert "raw 0  validating 0  ready 3  quarantine 0" in shown.out
    assert "verdict  pass  3 files examined, 0 not fit for use" in shown.out
    refused = rlx("reconstruct", lake, "--out", out)
    assert refused.status == 2
    assert "is not covered by a certificate. Run rlx acquire certify --staging" in refused.sentence()
    told = rlx("acquire", "certify", "--staging", lake, "--json").json()
    assert told["is_new"]
    again = rlx("acquire", "certify", "--staging", lake)
    assert again.status == 0
    assert told["sha256"] in again.out.replace("\n", "")
    assert "(as it stood)" in again.out
    assert rlx("reconstruct", lake, "--out", out, "--json").status == 0
    assert told["sha256"][:20] in rlx("inspect", out).out
    bare = rlx("reconstruct", lake, "--out", tmp_path / "bare", "--uncertified", "--json").json()
    assert bare["chains"][0]["uncertified"] is True
    assert "uncertified" in rlx("inspect", tmp_path / "bare").out


def test_a_file_that_is_not_fit_is_told_with_its_reason(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    shutil.copyfile(files_of(archive)["trades"], path)
    assert rlx("acquire", "validate", path).status == 0
    path.write_bytes(path.read_bytes()[:-20])
    shown = rlx("acquire", "validate", path)
    assert shown.status == 1
    assert "✗ file: truncated Parquet file" in shown.out
    told = rlx("acquire", "validate", path, archive, "--json")
    assert told.status == 1
    result = told.json()
    assert (result["verdict"], len(result["files"])) == ("fail", 4)
    [bad] = [file for file in result["files"] if file["verdict"] == "fail"]
    assert bad["reason"].startswith("truncated Parquet file")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["validate"], "nothing to validate"),
        (["validate", "--staging", "x", "y"], "two kinds of it"),
        (["validate", "y", "--again"], "where --again has a meaning"),
        (["validate", "nowhere"], "no such file or folder"),
        (["certify", "--staging", "EMPTY"], "nothing is ready to be certified"),
        (["validate", "--staging", "THESIS"], "is no staging folder"),
        (["certify", "--staging", "nowhere"], "is no staging folder"),
    ],
)
def test_each_mistake_has_one_sentence(tmp_path: Path, arguments: list[str], said: str) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "thesis.tex").write_text("mine")
    begin_staging(tmp_path / "empty")
    named = {"EMPTY": tmp_path / "empty", "THESIS": thesis}
    done = rlx("acquire", *(named.get(one, one) for one in arguments))
    assert done.status == 2
    assert said in done.sentence()
