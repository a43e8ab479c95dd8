"""How deep the tests go: what a small machine can't repeat each time is played by RLX_TEST_DEEP=1."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

DEEP = bool(os.environ.get("RLX_TEST_DEEP"))
deep = pytest.mark.deep


def thinned(cases: Iterable[Any], every: int) -> list[Any]:
    """Cases for `parametrize`: the first and each so many-th behind it each time, all where it is deep."""
    return [
        case
        if number % every == 0
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=deep)
        for number, case in enumerate(cases)
    ]
