"""The programs in the docs run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rlx_datapipe.pipeline.demo import demo

DOCS = Path(__file__).parent.parent / "docs"
PROGRAMS = re.findall(r"```python\n(.*?)```", (DOCS / "recipes.md").read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where: Path = tmp_path_factory.mktemp("docs")
    demo(where / "rlx-demo")
    return where


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda text: text.splitlines()[-1][:40])
def test_a_recipe_runs(program: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
