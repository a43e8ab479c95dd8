"""An error is one sentence with its facts, and survives the way to another process."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from rlx_datapipe.core import errors
from rlx_datapipe.core.errors import DatapipeError, OptionError, SourceError, StoppedError, UnfinishedError

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DatapipeError)]


@pytest.mark.parametrize("kind", ALL)
def test_an_error_survives_pickling_with_all_it_knows(kind: type[DatapipeError]) -> None:
    error = kind(
        "went wrong", remedy="Try again", file=Path("a.txt"), row=3, field="price", found="x", what_else=1
    )
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is kind
    assert (again.what, again.remedy, again.facts, again.args) == (
        error.what,
        error.remedy,
        error.facts,
        error.args,
    )
    assert str(again) == str(error)
    assert again.exit_code == error.exit_code


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SourceError("is empty"), "is empty"),
        (SourceError("is empty", file="a.txt"), "a.txt: is empty"),
        (
            SourceError("not a number", file="a.txt", row=3, field="price", found="x", expected="digits"),
            "a.txt (row 3, field price): not a number (found x; expected digits)",
        ),
        (OptionError("scale out of range", field="price_decimals", found=19),
         "field price_decimals: scale out of range (found 19)"),
        (OptionError("no source given", remedy="Give files"), "no source given. Give files"),
        (SourceError("torn", first_id=4, remedy="Do so"), "torn (first id 4). Do so"),
    ],
)  # fmt: skip
def test_an_error_says_where_what_found_expected_and_what_to_do(error: DatapipeError, sentence: str) -> None:
    assert str(error) == sentence == error.sentence()


def test_the_exit_status_tells_bad_input_from_a_stop() -> None:
    stops = (StoppedError, UnfinishedError)
    assert {kind.exit_code for kind in ALL if kind not in stops} == {errors.EXIT_BAD_INPUT}
    assert {kind.exit_code for kind in stops} == {errors.EXIT_STOPPED}
