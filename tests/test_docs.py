"""The programs in the docs run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rlx_datapipe.pipeline.demo import demo

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("recipes.md", "assess.md", "fidelity.md")
PROGRAMS = [
    program
    for page in PAGES
    for program in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where: Path = tmp_path_factory.mktemp("docs")
    demo(where / "rlx-demo", duration_s=60)
    return where


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda text: text.splitlines()[-1][:40])
def test_a_recipe_runs(program: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_each_test_that_the_fault_table_names_is_there() -> None:
    table = (DOCS / "reliability.md").read_text("utf-8")
    tests = DOCS.parent / "tests"
    named = set(re.findall(r"(?:`|::)(test_\w+)(?:\[\w+\])?`", table))
    files = set(re.findall(r"`((?:\w+/)test_\w+\.py)", table))
    written = "\n".join(path.read_text("utf-8") for path in tests.rglob("*.py"))
    rows = re.findall(r"^\| F(\d\d)(?: to F(\d\d))? \|", table, re.MULTILINE)
    told = [number for first, last in rows for number in range(int(first), int(last or first) + 1)]
    assert told == list(range(1, 75)), "each fault of the specification has its row"
    assert {name for name in named if f"def {name}(" not in written} == set()
    assert {name for name in files if not (tests / name).is_file()} == set()
