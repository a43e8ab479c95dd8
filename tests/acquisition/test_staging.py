"""Files in four zones: where they may go, what the manifest says, and what is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.acquisition.staged_files import (
    BAD,
    CHANGES,
    KEYS,
    MENDED,
    bring_home,
    changes_told,
    content,
    download,
    wrong,
)

from rlx_datapipe.acquisition.staged import MANIFEST, ArchiveKey, Zone, read_standings
from rlx_datapipe.acquisition.staging import StagingManager
from rlx_datapipe.core.errors import DatasetError, OptionError, OutputError
from rlx_datapipe.store.files import locked

DAY = dt.date(2022, 10, 1)


def test_a_file_goes_through_the_zones_and_its_bytes_stay(tmp_path: Path) -> None:
    root, key = tmp_path / "staging", KEYS[0]
    with StagingManager(root).open() as manager:
        assert manager.standing(key) is None
        download(manager, "one", key)
        for zone in (Zone.RAW, Zone.VALIDATING, Zone.QUARANTINE, Zone.VALIDATING, Zone.READY):
            standing = manager.standing(key)
            assert standing is not None
            if standing.zone is not zone:
                manager.move(key, zone, [BAD])
            assert manager.place(zone, key).read_bytes() == content(key, "one")
            assert sum(path.is_file() for one in Zone for path in (root / one).rglob("*")) == 1
    path = "trades/exchange=BINANCE/symbol=BTC-USDT/dt=2022-10-01/1.snappy.parquet"
    assert (root / "ready" / path).is_file()
    assert wrong(root) == ""


def test_standings_are_rebuilt_from_the_manifest_alone(tmp_path: Path) -> None:
    bring_home(tmp_path / "staging")
    with StagingManager(tmp_path / "staging").open() as manager:
        assert [standing.key for standing in manager.all()] == sorted(KEYS)
        assert {standing.zone for standing in manager.all()} == {Zone.READY}
        mended = manager.standing(MENDED)
        assert mended is not None
        assert mended.transfer.etag == "second"
        assert manager.notices == []
        assert {one.key: one for one in manager.all()} == read_standings(manager.root)
    assert changes_told(tmp_path / "staging") == CHANGES


def test_what_was_found_is_kept_with_the_file(tmp_path: Path) -> None:
    with StagingManager(tmp_path).open() as manager:
        download(manager, "one", KEYS[0])
        manager.move(KEYS[0], Zone.QUARANTINE, [BAD])
    assert read_standings(tmp_path)[KEYS[0]].findings == (BAD,)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    with StagingManager(tmp_path).open() as manager:
        download(manager, "one", KEYS[0])
        with pytest.raises(OutputError, match="is here already"):
            download(manager, "two", KEYS[0])
        assert manager.place(Zone.RAW, KEYS[0]).read_bytes() == content(KEYS[0], "one")
        ready = manager.place(Zone.READY, KEYS[0])
        ready.parent.mkdir(parents=True)
        ready.write_bytes(b"somebody's")
        with pytest.raises(OutputError, match="unknown to the manifest"):
            manager.move(KEYS[0], Zone.READY)
        assert ready.read_bytes() == b"somebody's"
        assert manager.strangers() == [ready]


def test_a_file_that_was_taken_away_is_gone_and_may_come_again(tmp_path: Path) -> None:
    bring_home(tmp_path)
    (tmp_path / "ready" / KEYS[0].path).unlink()
    with StagingManager(tmp_path).open() as manager:
        [notice] = manager.notices
        assert "is gone" in notice
        assert manager.standing(KEYS[0]) is None
        download(manager, "third", KEYS[0])
    assert wrong(tmp_path) == ""


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(OutputError, match="another process"),
        StagingManager(tmp_path).open(),
    ):
        pass  # pragma: no cover


def test_another_folder_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="no staging folder"), StagingManager(tmp_path).open():
        pass  # pragma: no cover


@pytest.mark.parametrize("name", ["..", "a/b", "", "A" * 65, "%2e%2e", "A\0", "/etc", "..%2F", "Ä", "a=b"])
@pytest.mark.parametrize("field", ["table", "exchange", "symbol"])
def test_names_that_lead_out_of_their_folder_are_refused(name: str, field: str) -> None:
    with pytest.raises(OptionError, match="can't be a folder"):
        msgspec.structs.replace(KEYS[0], **{field: name})


@given(st.text(max_size=300))
def test_any_file_name_stays_in_its_folder(name: str) -> None:
    path = ArchiveKey("trades", "BINANCE", "BTC-USDT", DAY, name).path
    assert path.parts[:-1] == ("trades", "exchange=BINANCE", "symbol=BTC-USDT", "dt=2022-10-01")
    assert path.name.isascii()
    assert path.name[0] not in "._"
    assert 1 <= len(path.name) <= 100


def test_a_linked_folder_is_no_zone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with StagingManager(tmp_path / "staging").open() as manager:
        download(manager, "one", KEYS[0])
        (tmp_path / "staging" / "ready" / "trades").symlink_to(elsewhere)
        with pytest.raises(OutputError, match="reached by a link"):
            manager.move(KEYS[0], Zone.READY)
    assert not any(path.is_file() for path in elsewhere.rglob("*"))


@pytest.mark.parametrize("row", [0, 5, CHANGES - 1])
def test_a_changed_line_of_the_manifest_is_damage(tmp_path: Path, row: int) -> None:
    bring_home(tmp_path)
    manifest = tmp_path / MANIFEST
    lines = manifest.read_bytes().split(b"\n")
    lines[row] = lines[row].replace(b"BINANCE", b"BINANCF")
    manifest.write_bytes(b"\n".join(lines))
    with (
        pytest.raises(DatasetError, match="a line is missing, doubled or changed"),
        StagingManager(tmp_path).open(),
    ):
        pass  # pragma: no cover


def test_a_missing_line_of_the_manifest_is_damage(tmp_path: Path) -> None:
    bring_home(tmp_path)
    manifest = tmp_path / MANIFEST
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(lines[:3] + lines[4:]))
    with pytest.raises(DatasetError, match="row 4"):
        read_standings(tmp_path)


def test_a_manifest_cut_anywhere_in_its_last_line_loses_that_line_alone(tmp_path: Path) -> None:
    with StagingManager(tmp_path).open() as manager:
        download(manager, "one", KEYS[0])
    whole = (tmp_path / MANIFEST).read_bytes()
    with StagingManager(tmp_path).open() as manager:
        manager.move(KEYS[0], Zone.VALIDATING)
    # As a process leaves it that dies in the middle of recording the move: the file is where it was.
    longer = (tmp_path / MANIFEST).read_bytes()
    for size in range(len(whole), len(longer), 7):
        for tail in (b"", b"\0" * 9, b"\0" * 9 + b"\n"):
            if size == len(whole) and tail.endswith(b"\n"):
                continue
            (tmp_path / MANIFEST).write_bytes(longer[:size] + tail)
            assert read_standings(tmp_path)[KEYS[0]].zone is Zone.RAW
