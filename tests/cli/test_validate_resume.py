"""`rlx validate --resume` as a user meets it: goes on, begins where there is nothing, refuses damage."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.cli.door import Said, rlx
from tests.validation.harness import capture, market, rebuilt

from rlx_datapipe.pipeline import saved_validation, validate
from rlx_datapipe.pipeline.saved_validation import SUFFIX
from rlx_datapipe.store.files import publish_bytes


class _DiedError(BaseException):
    """The end of a process, as far as its files are concerned."""


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    """A dataset and its capture."""
    return rebuilt(tmp_path, market(), epoch_events=1_500), capture(tmp_path, market())


def asked(place: tuple[Path, Path], *options: str) -> Said:
    dataset, golden = place
    return rlx("validate", dataset, "--golden", golden, "--json", *options)


def cut_off(place: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave behind what a validation had saved when it was killed; the folder of it."""
    writes: list[Path] = []

    def dying(path: Path, content: bytes) -> None:
        publish_bytes(path, content)
        writes.append(path)
        if len(writes) == 4:
            raise _DiedError

    monkeypatch.setattr(saved_validation, "publish_bytes", dying)
    monkeypatch.setattr(validate, "validate", partial(validate.validate, saved_events=500))
    with pytest.raises(_DiedError):
        asked(place)
    monkeypatch.undo()
    left = place[0].with_name(place[0].name + SUFFIX)
    assert any(left.iterdir())
    return left


def test_one_that_was_killed_goes_on_and_says_the_same(
    place: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = asked(place)
    left = cut_off(place, monkeypatch)
    again = asked(place, "--resume")
    assert (again.status, again.out) == (0, whole.out)
    assert not left.exists()


def test_where_nothing_was_saved_it_begins(place: tuple[Path, Path]) -> None:
    assert asked(place, "--resume").out == asked(place).out


def test_what_was_saved_of_another_validation_or_damaged_is_one_sentence(
    place: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = cut_off(place, monkeypatch)
    alone = rlx("validate", place[0], "--resume")
    assert alone.status == 2
    assert "the same command without --resume" in alone.sentence()
    for path in left.iterdir():
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    damaged = asked(place, "--resume")
    assert damaged.status == 2
    assert "the same command without --resume" in damaged.sentence()
    assert asked(place).status == 0, "without --resume it begins anew"
