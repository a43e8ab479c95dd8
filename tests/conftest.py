"""What all tests share: recordings, a browser, the depth of property tests, a guard over the repository."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.depth import DEEP

ROOT = Path(__file__).resolve().parent.parent
_CHROMIUM = Path("/usr/bin/chromium")

# Tests lie in memory where there is room: syncs cost nothing there, and none asks them of a disk (a power cut
# is played from a film of the calls).
_MEMORY = Path("/dev/shm")  # noqa: S108
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

# No deadline and no complaint of slowness: the first example of a test may compile a kernel.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("default", _PATIENT, max_examples=60)
settings.register_profile("ci", _PATIENT, max_examples=20, derandomize=True)
settings.register_profile("deep", _PATIENT, max_examples=2_000)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is deep, unless it is asked for."""
    for item in items:
        if not DEEP and item.get_closest_marker("deep"):
            item.add_marker(pytest.mark.skip(reason="deep: RLX_TEST_DEEP=1 plays it"))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings; a test that asks for it is skipped where there is none."""
    folder = Path(os.environ.get("RLX_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}; set RLX_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; a test that asks for it is skipped where there is none."""
    if not _CHROMIUM.exists():
        pytest.skip(f"no browser at {_CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(_CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(autouse=True)
def _repository_stays_clean() -> Iterator[None]:
    """Fail a test during which a file or folder appears at the root of the repository."""
    before = _visible()
    yield
    new = sorted(_visible() - before)
    assert not new, f"written to the repository during this test (use tmp_path): {', '.join(new)}"


def _visible() -> set[str]:
    return {name for name in os.listdir(ROOT) if not name.startswith(".")}  # noqa: PTH208 (20 us a test)
