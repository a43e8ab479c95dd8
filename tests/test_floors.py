"""The floors: import-linter keeps the package, and catches every fault planted in a skeleton of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tree

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "pyproject.toml"
LINTER = Path(sys.executable).with_name("lint-imports")
Plant = Callable[[str, str], None]


def lint(folder: Path) -> tuple[int, set[str], str]:
    """Exit status, names of the broken contracts, and the report for the package in this folder."""
    done = subprocess.run(
        [LINTER, "--config", PROJECT, "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    report = done.stdout + done.stderr
    return done.returncode, set(re.findall(r"^(.+) BROKEN(?: \(.*\))?$", report, re.MULTILINE)), report


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Write one module into a skeleton of the package, which has every folder and no fault."""

    def write(module: str, code: str) -> None:
        path = tmp_path / "rlx_datapipe" / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")

    write("__init__.py", "")
    for folder in (folder for floor in tree.floors() for folder in floor):
        write(f"{folder}/__init__.py", "")
    write(
        "cli/main.py",
        "import click\nimport rich\nfrom rich.table import Table\nimport rlx_datapipe.pipeline.line",
    )
    write("pipeline/line.py", "import rlx_datapipe.replay.stage\nimport rlx_datapipe.sink.stage")
    write(
        "replay/stage.py", "import polars\nimport rlx_datapipe.book.ladder\nimport rlx_datapipe.core.errors"
    )
    write("sink/stage.py", "import pyarrow\nimport rlx_datapipe.core.errors")
    write("book/ladder.py", "import numpy\nimport rlx_datapipe.core.errors")
    write("core/errors.py", "")
    return write


def test_the_package_keeps_its_contracts() -> None:
    status, broken, report = lint(ROOT / "src")
    assert status == 0, report
    assert not broken


def test_the_floors_list_exactly_the_folders_of_the_package() -> None:
    folders = {path.parent.name for path in tree.PACKAGE.glob("*/__init__.py")}
    assert folders == {folder for floor in tree.floors() for folder in floor}


@pytest.mark.usefixtures("plant")
def test_a_skeleton_without_faults_is_kept(tmp_path: Path) -> None:
    status, broken, report = lint(tmp_path)
    assert status == 0, report
    assert not broken


FAULTS = {
    "upward import": ({"core/fault.py": "import rlx_datapipe.store"}, "floors look down"),
    "import of the door": ({"validation/fault.py": "import rlx_datapipe.cli.main"}, "floors look down"),
    "stage imports a stage": ({"sink/fault.py": "import rlx_datapipe.replay.stage"}, "floors look down"),
    "workshop imports a workshop": ({"venues/fault.py": "import rlx_datapipe.store"}, "floors look down"),
    "circle inside core": (
        {"core/left.py": "import rlx_datapipe.core.right", "core/right.py": "import rlx_datapipe.core.left"},
        "no circles",
    ),
    "rich in a stage": ({"replay/fault.py": "import rich"}, "terminal libraries enter by the door"),
    "part of rich in a stage": (
        {"validation/fault.py": "from rich.progress import Progress"},
        "terminal libraries enter by the door",
    ),
    "click in the line": ({"pipeline/fault.py": "import click"}, "terminal libraries enter by the door"),
    "polars in book": ({"book/fault.py": "import polars"}, "book is pure compute"),
    "import hidden in a function": (
        {"book/fault.py": "def rows():\n    from polars import DataFrame\n    return DataFrame()"},
        "book is pure compute",
    ),
    "folder in no floor": ({"utils/__init__.py": "", "utils/fault.py": ""}, "floors look down"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_breaks_its_contract(fault: str, plant: Plant, tmp_path: Path) -> None:
    modules, contract = FAULTS[fault]
    for module, code in modules.items():
        plant(module, code)
    status, broken, report = lint(tmp_path)
    assert status == 1, report
    assert broken == {contract}, report
