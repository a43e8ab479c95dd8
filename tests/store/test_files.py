"""Files that appear whole or not at all, and are never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.store import files
from rlx_datapipe.store.files import make_folder, publish_bytes, publishing


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    with publishing(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
        assert temporary.parent == path.parent
        temporary.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert os.listdir(path.parent) == ["file"]  # noqa: PTH208
    assert path.stat().st_nlink == 1


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    publish_bytes(path, b"first")
    with pytest.raises(OutputError, match="a file of this name is there already"):
        publish_bytes(path, b"second")
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_file_that_comes_meanwhile_wins(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def lose_the_race() -> None:
        with publishing(path) as temporary:
            temporary.write_bytes(b"ours")
            path.write_bytes(b"theirs")

    with pytest.raises(OutputError, match="there already"):
        lose_the_race()
    assert path.read_bytes() == b"theirs"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), ValueError("ours"), KeyboardInterrupt()]
)
def test_an_error_leaves_nothing_behind(error: BaseException, tmp_path: Path) -> None:
    expected = OutputError if isinstance(error, OSError) else type(error)

    def break_off() -> None:
        with publishing(tmp_path / "file") as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(expected) as caught:
        break_off()
    assert list(tmp_path.iterdir()) == []
    if isinstance(error, OSError):
        assert "can't be written (No space left on device)" in str(caught.value)


def test_what_an_interrupted_run_left_is_taken_over(tmp_path: Path) -> None:
    with publishing(tmp_path / "other") as temporary:
        name = temporary.name.replace("other", "file")
        temporary.write_bytes(b"")
    (tmp_path / name).write_bytes(b"left by a run that was killed")
    publish_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "other"]


@pytest.mark.parametrize("path", [Path("/proc/none/file"), Path("/dev/null/file")])
def test_a_place_that_is_none_is_told(path: Path) -> None:
    with pytest.raises(OutputError, match="can't be written"):
        publish_bytes(path, b"x")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"mine")
    (tmp_path / "file").symlink_to(tmp_path / "target")
    with pytest.raises(OutputError, match="there already"):
        publish_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "target").read_bytes() == b"mine"


def test_each_new_folder_is_synced_into_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync of the innermost alone leaves the others to a power cut."""
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync", synced.append)
    make_folder(tmp_path / "a" / "b" / "c")
    assert synced[:3] == [tmp_path / "a" / "b", tmp_path / "a", tmp_path]
    synced.clear()
    make_folder(tmp_path / "a" / "b" / "d")
    assert synced == [tmp_path / "a" / "b"]


def test_a_folder_that_another_process_made_is_synced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").mkdir()
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync", synced.append)
    make_folder(tmp_path / "theirs" / "ours")
    assert synced[:2] == [tmp_path / "theirs", tmp_path]
