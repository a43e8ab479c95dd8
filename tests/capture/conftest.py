"""A place for proofs that write much and need no disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.capture.scripted import HEAD

from rlx_datapipe.capture.judging import MarketJudge


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder; kernels that measure a market are loaded here once, not in each of some hundred forks."""
    MarketJudge(HEAD)
    return tmp_path
