"""Master keys: read from guarded places only, and shown nowhere."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import sys
import traceback
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.traceback import Traceback

from rlx_datapipe.core.errors import DatapipeError, OptionError, OutputError, SourceError
from rlx_datapipe.store.encryption import FILES, new_file_key
from rlx_datapipe.store.keys import KeyRing, MasterKey, add_key, read_key_descriptor, read_key_file

CANARY = bytes.fromhex("c0ffee" * 10 + "c0ff")
SPELLINGS = [CANARY.hex(), CANARY.hex().upper(), repr(CANARY)[2:40], str(list(CANARY))[1:40]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# ours\nold {'ab' * 32}\n\n  new   {CANARY.hex()}  \n")
    path.chmod(0o600)
    return path


def test_the_last_key_in_the_file_is_the_newest(file: Path) -> None:
    ring = read_key_file(file)
    assert ring.ids == ("old", "new")
    assert ring.newest.id == "new"
    assert ring.newest.derive(bytes(16), b"p", 32) == MasterKey("new", CANARY).derive(bytes(16), b"p", 32)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o601, 0o660, 0o777])
def test_a_file_that_others_may_use_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(SourceError) as caught:
        read_key_file(file)
    assert str(caught.value) == (
        f"{file}: is a key file that others may read or own (found mode {mode:04o}; "
        f"expected mode 0600, owned by you). Run: chmod 600 {file}"
    )


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_for_its_owner_alone_is_taken(file: Path, mode: int) -> None:
    file.chmod(mode)
    read_key_file(file)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "holds no key"),
        ("# nothing\n\n", "holds no key"),
        (f"k1 {'a' * 63}", "line 1 is not an id and 64 hexadecimal digits"),
        (f"ok {'ab' * 32}\nk1 {CANARY.hex()}0", "line 2 is not"),
        (f"{CANARY.hex()}", "line 1 is not"),
        (f"bad/id {'ab' * 32}", "line 1 is not"),
        (f"{'i' * 33} {'ab' * 32}", "line 1 is not"),
        (f"k1 {'ab' * 32}\nk1 {CANARY.hex()}", "line 2 has an id that stood there before"),
        ("#" * 70_000, "is longer than 65536 bytes"),
    ],
)
def test_anything_else_is_refused_by_line_without_its_content(
    file: Path, content: str, told: str, tmp_path: Path
) -> None:
    file.write_text(content)
    with pytest.raises(SourceError, match=told) as caught:
        read_key_file(file)
    assert not any(spelling in str(caught.value) for spelling in SPELLINGS)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SourceError, match="is no plain file"):
            read_key_file(path)
    with pytest.raises(SourceError, match=r"can't be read \(No such file"):
        read_key_file(tmp_path / "absent")


def test_keys_come_by_a_descriptor_too() -> None:
    reading, writing = os.pipe()
    os.write(writing, f"k1 {CANARY.hex()}\n".encode())
    os.close(writing)
    assert read_key_descriptor(reading).ids == ("k1",)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)


def test_the_secret_is_shown_nowhere(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """F71: in no log, traceback (with the locals of every frame), dump, error or description of an object."""
    ring = read_key_file(file)
    key, one = ring.newest, new_file_key(ring, FILES)
    said: list[str] = []
    for thing in (ring, key, one):
        said += [
            repr(thing),
            str(thing),
            f"{thing!r:>80}",
            f"{thing}",
            repr([thing]),
            repr(vars(type(thing))),
        ]
        said.append(json.dumps({"settings": thing}, default=str))
        logging.getLogger("rlx").warning("starting with %s and %r", thing, {"key": thing})
        for dump in (pickle.dumps, copy.copy, copy.deepcopy, msgspec.json.encode, msgspec.to_builtins):
            try:
                said.append(repr(dump(thing)))
            except TypeError as error:
                said.append(str(error))
    file.write_text(f"k1 {CANARY.hex()} and more\n")
    for broken in (
        lambda: read_key_file(file),
        lambda: MasterKey("no/id", CANARY),
        lambda: 1 / len(ring.ids[2:]),
    ):
        try:
            broken()
        except (DatapipeError, ZeroDivisionError) as error:
            said.append(traceback.format_exc())
            with (screen := Console(width=300)).capture() as shown:
                frames = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
                # Our own frames hold the canary, as a test must.
                frames.trace.stacks[0].frames = [
                    frame for frame in frames.trace.stacks[0].frames if __file__ not in frame.filename
                ]
                screen.print(frames)
            said.append(shown.get())
    said.append(caplog.text)
    assert "hidden" in said[0]
    for spelling in SPELLINGS:
        assert not any(spelling in text for text in said)


def test_a_leak_would_be_found(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(MasterKey, "__repr__", lambda self: f"MasterKey({self._secret.hex()})")
    with pytest.raises(AssertionError):
        test_the_secret_is_shown_nowhere(file, caplog)


def test_a_new_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    before = os.umask(0)
    try:
        assert add_key(path, random_bytes=lambda count: CANARY[:count]) == "k1"
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == f"k1 {CANARY.hex()}\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_a_key_is_added_behind_the_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    assert [add_key(path), add_key(path), add_key(path, "2027")] == ["k1", "k2", "2027"]
    assert read_key_file(path).ids == ("k1", "k2", "2027")
    assert len({line.split()[1] for line in path.read_text().splitlines()}) == 3
    with pytest.raises(OptionError, match="is taken by another key"):
        add_key(path, "k2")
    (tmp_path / ".keys.partial").touch()
    with pytest.raises(OutputError, match="stands in the way"):
        add_key(path)
    assert read_key_file(path).ids == ("k1", "k2", "2027")


def test_a_ring_refuses_none_and_two_of_one_id() -> None:
    for keys in ([], [MasterKey("a", CANARY), MasterKey("a", bytes(32))]):
        with pytest.raises(OptionError, match="at least one key, and each id once"):
            KeyRing(keys)


def test_without_the_extra_one_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(OptionError) as caught:
        new_file_key(KeyRing([MasterKey("k1", CANARY)]), FILES)
    assert str(caught.value) == (
        "encryption needs the extra 'capture'. Run: pip install 'rlx-datapipe[capture]'"
        " (or: uv run --extra capture rlx ...)"
    )
