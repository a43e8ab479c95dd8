"""A partial file knows exactly which of its bytes are there, whatever became of it."""

from __future__ import annotations

import hashlib
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.acquisition.partial import Origin, PartialFile, forget, held_bytes, journal_of
from rlx_datapipe.core.errors import UnwritableError

SIZE = 600
CONTENT = bytes(range(256)) * 2 + bytes(88)
ORIGIN = Origin("s3://lake/x", '"tag"', SIZE)
stretches = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 200)), max_size=8)


def missing_bytes(partial: PartialFile) -> set[int]:
    """Places that are missing, one by one: the plain twin of stretches."""
    return {at for start, end in partial.missing() for at in range(start, end)}


def write(partial: PartialFile, at: int, length: int) -> set[int]:
    """Write true bytes; the places written."""
    piece = CONTENT[at : at + length]
    partial.write(at, piece)
    return set(range(at, at + len(piece)))


@given(
    written=stretches,
    torn=st.integers(0, 40),
    spoilt=st.lists(st.integers(0, SIZE - 1), max_size=3, unique=True),
    dice=st.randoms(use_true_random=False),
)
def test_after_any_death_only_true_bytes_count_as_there(
    written: list[tuple[int, int]], torn: int, spoilt: list[int], dice: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        partial = PartialFile(path, ORIGIN)
        pieces = [write(partial, at, length) for at, length in written]
        partial.close()
        # A kill tears the last line of the journal; a power cut leaves bytes that never came to the disk.
        journal = journal_of(path).read_bytes()
        head = journal.index(b"\n") + 1
        kept = journal[: max(head, len(journal) - torn)]
        journal_of(path).write_bytes(kept)
        content = bytearray(path.read_bytes())
        for at in spoilt:
            content[at] ^= 0xFF
        path.write_bytes(content)
        whole = kept[head:].count(b"\n") + (not kept.endswith(b"\n") and kept.endswith(b"]"))
        true = [piece for piece in pieces[:whole] if not piece & set(spoilt)]
        again = PartialFile(path, ORIGIN)
        assert missing_bytes(again) == set(range(SIZE)) - set().union(*true)
        missing = again.missing()
        dice.shuffle(missing)
        for start, end in missing:
            again.write(start, CONTENT[start:end])
            # Of some nobody tells: the end sees to them.
            if dice.random() < 0.8:
                again.is_whole(start, end)
        digests = again.finish()
        assert digests.sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert digests.md5 == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
        again.close()
        last = PartialFile(path, ORIGIN)
        assert last.missing() == []
        last.discard()
        assert list(Path(folder).iterdir()) == []


def test_digests_go_on_while_bytes_come(tmp_path: Path) -> None:
    partial = PartialFile(tmp_path / "x", ORIGIN)
    for start, end, hashed in ((200, 300, 0), (0, 200, 300), (400, SIZE, 300), (300, 400, SIZE)):
        partial.write(start, CONTENT[start:end])
        partial.is_whole(start, end)
        assert partial._hashed == hashed
    assert partial.finish().sha256 == hashlib.sha256(CONTENT).hexdigest()
    partial.discard()


@pytest.mark.parametrize(
    "other", [Origin("s3://lake/y", '"tag"', SIZE), Origin("s3://lake/x", '"new"', SIZE)]
)
def test_bytes_of_another_object_are_thrown_away(other: Origin, tmp_path: Path) -> None:
    partial = PartialFile(tmp_path / "x", ORIGIN)
    write(partial, 0, 100)
    partial.close()
    assert held_bytes(tmp_path / "x", ORIGIN) == 100
    assert held_bytes(tmp_path / "x", other) == 0
    again = PartialFile(tmp_path / "x", other)
    assert again.missing() == [(0, SIZE)]
    again.discard()


def test_a_journal_without_its_file_counts_for_nothing(tmp_path: Path) -> None:
    partial = PartialFile(tmp_path / "x", ORIGIN)
    write(partial, 0, SIZE)
    partial.close()
    (tmp_path / "x").unlink()
    again = PartialFile(tmp_path / "x", ORIGIN)
    assert len(missing_bytes(again)) >= SIZE - CONTENT.count(0)
    again.close()


def test_a_journal_of_garbage_is_no_journal(tmp_path: Path) -> None:
    journal_of(tmp_path / "x").write_bytes(b"\x00\xff garbage\n[1,2,3]\n")
    partial = PartialFile(tmp_path / "x", ORIGIN)
    assert partial.missing() == [(0, SIZE)]
    partial.close()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"another's")
    (tmp_path / "x").symlink_to(tmp_path / "target")
    with pytest.raises(UnwritableError):
        PartialFile(tmp_path / "x", ORIGIN)
    assert (tmp_path / "target").read_bytes() == b"another's"
    forget(tmp_path / "x")
