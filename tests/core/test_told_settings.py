"""What is wrong with settings is told by its key and what is expected, in our words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.told_settings import read_toml, told_problem


class _Inner(msgspec.Struct, forbid_unknown_fields=True):
    rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    at: tuple[int, ...] = ()
    what: Literal["cut", "value"] = "cut"
    name: Annotated[str, msgspec.Meta(min_length=1)] = "x"
    is_on: bool = False
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None


class _Outer(msgspec.Struct, forbid_unknown_fields=True):
    drop: _Inner | None = None


class _Needs(msgspec.Struct):
    must: int


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (_Outer, {"drop": {"rate": 2}}, "drop.rate: expected a number of at most 1"),
        (_Outer, {"drop": {"rate": 0}}, "drop.rate: expected a number above 0"),
        (_Outer, {"drop": {"rate": "x"}}, "drop.rate: expected a number, found a text"),
        (_Outer, {"dropp": 1}, "dropp is no key"),
        (_Outer, {"drop": {"ratee": 1}}, "drop.ratee is no key"),
        (_Outer, {"drop": {"at": [1, "x"]}}, "drop.at[1]: expected a whole number, found a text"),
        (_Outer, {"drop": {"what": "c"}}, "drop.what: 'c' is no choice here"),
        (_Outer, {"drop": {"name": ""}}, "drop.name: expected a text of at least 1"),
        (_Outer, {"drop": 3}, "drop: expected a table of keys, found a whole number"),
        (_Outer, {"drop": {"is_on": "x"}}, "drop.is_on: expected true or false, found a text"),
        (_Outer, {"drop": {"count": 0}}, "drop.count: expected a whole number of at least 1"),
        (_Outer, {"drop": {"count": "x"}}, "drop.count: expected a whole number, found a text"),
        (_Needs, {}, "the key must is missing"),
    ],
)
def test_a_bad_value_is_told_by_its_key(kind: type[msgspec.Struct], given: dict[str, Any], told: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(given, kind)
    assert told_problem(error.value) == told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a = \xff", r"it is no text in UTF-8: byte 4 is 0xff"),
        (b"a: 1", r"it is no TOML: .*line 1.*lines like name = value"),
        (None, r"No such file or directory\)"),
    ],
)
def test_a_file_that_is_none_is_told_without_words_of_libraries(
    content: bytes | None, told: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(OptionError, match=told) as error:
        read_toml(tmp_path / "x.toml", "the settings")
    assert "codec" not in str(error.value)
    assert "Errno" not in str(error.value)
