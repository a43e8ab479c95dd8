"""A place for proofs that write much and need no disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.capture.scripted import HEAD

from rlx_datapipe.capture.judging import MarketJudge


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder in memory where there is one: a kill asks nothing of a disk, and a film keeps its own.

    The kernels that measure a market are loaded here once, and not in each of some hundred forks.
    """
    MarketJudge(HEAD)
    memory = Path("/dev/shm")  # noqa: S108
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)
