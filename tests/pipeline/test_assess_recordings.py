"""Every real recording that can be read: the assessment says of each what docs/assess.md says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.pipeline.assessed_sets import SETS, expected, told

from rlx_datapipe.pipeline.assess import assess

pytestmark = pytest.mark.recordings


@pytest.mark.parametrize("name", list(expected()))
def test_a_recording_is_told_as_the_table_tells_it(name: str, recordings: Path, tmp_path: Path) -> None:
    if name not in list(expected())[::5] and os.environ.get("RLX_TEST_ASSESS") != "all":
        pytest.skip("every fifth is enough each time; RLX_TEST_ASSESS=all reads all of them")
    (one,) = assess(SETS[name](recordings, tmp_path))
    assert told(name, one) == expected()[name]
