"""What is wrong with a file of settings, in our words: the key, what was expected, what was found."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.errors import OptionError

_PLACE = re.compile(r"(.*?)(?: - at `(?:key in )?\$\.?(.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_CHOICE = re.compile(r"Invalid (?:enum )?value (.*)", re.DOTALL)
_EXPECTED = re.compile(r"Expected `([a-z |]+)`(?: of length)?(?: ([<>]=?) ([-\d.e+]+))?(?:, got `(.*)`)?")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "object": "a table of keys",
    "array": "a list",
    "datetime": "a time",
}
_BOUNDS = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}


def read_toml(file: Path, what: str) -> dict[str, Any]:
    """The tables of a TOML file.

    Parameters
    ----------
    what
        What the file holds, for the sentence: ``the settings``.

    Raises
    ------
    OptionError
        When it can't be read, is no text, or no TOML.
    """
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except UnicodeDecodeError as error:
        why = f"it is no text in UTF-8: byte {error.start} is {error.object[error.start]:#04x}"
        raise OptionError(f"can't read {what} ({why})", file=file) from error
    except OSError as error:
        raise OptionError(f"can't read {what} ({error.strerror or error})", file=file) from error
    except ValueError as error:
        why = f"it is no TOML: {error}"
        raise OptionError(
            f"can't read {what} ({why})", file=file, expected="lines like name = value"
        ) from error


def told_problem(error: msgspec.ValidationError) -> str:
    """What a value has to be, and under which key; in the words of msgspec where we have none."""
    match = _PLACE.fullmatch(str(error))
    said, key = (match[1], match[2] or "") if match else (str(error), "")
    head = f"{key}: " if key else ""
    if found := _UNKNOWN.fullmatch(said):
        return f"{key}.{found[1]} is no key" if key else f"{found[1]} is no key"
    if found := _MISSING.fullmatch(said):
        return f"{head}the key {found[1]} is missing"
    if found := _CHOICE.fullmatch(said):
        return f"{head}{found[1]} is no choice here"
    found = _EXPECTED.fullmatch(said)
    if found is None:
        return head + said
    kinds = [_KINDS.get(kind.strip(), kind.strip()) for kind in found[1].split("|") if kind.strip() != "null"]
    bound = f" {_BOUNDS[found[2]]} {_plain(found[3])}" if found[2] else ""
    got = f", found {_KINDS.get(found[4], found[4])}" if found[4] else ""
    return f"{head}expected {' or '.join(kinds)}{bound}{got}"


def _plain(number: str) -> str:
    return f"{float(number):.15g}"
