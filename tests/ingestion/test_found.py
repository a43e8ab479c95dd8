"""What lies at the given paths: notes are passed over and told, copies and datasets are refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.ingestion.test_ingest import NS, lake_folder, lake_trades
from tests.ingestion.test_sources import SETTINGS, market, write

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.ingestion.found import NOTE_BYTES_MAX, is_note
from rlx_datapipe.ingestion.sources import find_sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one recording."""
    return write(tmp_path / "recordings" / "btc.gz", market()).parent


def test_a_note_beside_recordings_is_passed_over_and_told(folder: Path) -> None:
    (folder / "README.md").write_text("# My recordings\n\nfrom 2024-08-08 to 2024-08-09\n")
    (folder / "SHA256SUMS").write_text("0a1b  btc.gz\n")
    told: list[Path] = []
    (source,) = find_sources([folder], SETTINGS, on_ignored=told.append)
    assert source.files == (folder / "btc.gz",)
    assert told == [folder / "README.md", folder / "SHA256SUMS"]


def test_what_may_be_a_recording_is_never_passed_over(folder: Path) -> None:
    path = folder / "other"
    for content in (
        b"",
        b"\xff\x00\x17",
        b"1723161570000000000 hello\n",
        b"some words\n1723161570000000000 {}\n",
        b'{"channel": "book"}\n',
        b"words " * (NOTE_BYTES_MAX // 6 + 1),
    ):
        path.write_bytes(content)
        assert not is_note(path)
        with pytest.raises(SourceError, match="other"):
            find_sources([folder], SETTINGS)
    table = folder / "trades.csv"
    table.write_text("time,price\n")
    assert not is_note(table)


def test_a_note_that_is_named_is_refused_with_advice_that_works(folder: Path) -> None:
    note = folder / "README.md"
    note.write_text("# My recordings\n")
    for format in ("auto", "binance-spot"):
        with pytest.raises(SourceError, match="leave this file out"):
            find_sources([note], SETTINGS, format=format)


def test_a_folder_of_notes_holds_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Nothing yet\n")
    with pytest.raises(SourceError, match=r"holds no recordings \(found README.md\)"):
        find_sources([tmp_path], SETTINGS)


def test_what_lies_beside_an_archive_is_told(tmp_path: Path) -> None:
    archive = tmp_path / "lake"
    lake_trades(lake_folder(archive, "trades", "2023-11-14") / "1.snappy.parquet", [NS], [NS], 1)
    (archive / "_SUCCESS").touch()
    told: list[Path] = []
    assert find_sources([archive], SETTINGS, on_ignored=told.append)
    assert told == [archive / "_SUCCESS"]


def test_the_same_recording_under_two_names_is_refused(folder: Path) -> None:
    copy = folder / "btc (1).gz"
    shutil.copy(folder / "btc.gz", copy)
    with pytest.raises(SourceError, match=r"btc\.gz: is the same recording .*btc \(1\)\.gz.*Give it once"):
        find_sources([folder], SETTINGS)
    content = bytearray(copy.read_bytes())
    content[4] ^= 1  # the time in the head of gzip: the same size, other bytes
    copy.write_bytes(content)
    assert find_sources([folder], SETTINGS)


def test_the_same_file_of_an_archive_twice_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "lake"
    lake_trades(lake_folder(archive, "trades", "2023-11-14") / "1.snappy.parquet", [NS], [NS], 1)
    path = next(archive.rglob("*.parquet"))
    shutil.copy(path, path.with_name("2.snappy.parquet"))
    with pytest.raises(SourceError, match="is the same recording"):
        find_sources([archive], SETTINGS)


def test_datasets_are_no_recordings(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "rlx.json").write_text("{}")
    with pytest.raises(SourceError, match=r"is no dataset but holds 2 \(found .*/a, .*/b\)"):
        find_sources([folder], SETTINGS)
    with pytest.raises(SourceError, match="is a dataset, not a recording"):
        find_sources([folder / "a"], SETTINGS)
    # But for the one that is just being made of it.
    shutil.rmtree(folder / "b")
    assert find_sources([folder], SETTINGS, apart=folder / "a")
