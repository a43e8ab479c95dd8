"""What tests of acquisition share: one small archive."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.acquisition.archives import small_archive


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small archive; not to be changed."""
    return small_archive(tmp_path_factory.mktemp("archive"))
