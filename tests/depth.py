"""How deep the tests go: what a small machine can't repeat each time is played by RLX_TEST_DEEP=1."""

from __future__ import annotations

import os

import pytest

DEEP = bool(os.environ.get("RLX_TEST_DEEP"))
deep = pytest.mark.deep
