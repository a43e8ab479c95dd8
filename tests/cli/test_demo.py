"""`rlx demo` to its end: the fidelity report, and what is said where its packages are missing."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.cli.door import rlx
from tests.depth import thinned

from rlx_datapipe.pipeline.demo import DURATION_S, demo

LACKING = {
    "fidelity": ("arch.py", "a fidelity report", "fidelity"),
    "report": ("jinja2.py", "pages of it", "report"),
}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo of three seconds, and what it told."""
    folder: Path = tmp_path_factory.mktemp("demo")
    told = rlx("demo", "--out", folder / "rlx demo", "--duration-s", "3", "--json").json()
    (folder / "told.json").write_text(json.dumps(told), "utf-8")
    return folder


@pytest.fixture
def told(short: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((short / "told.json").read_text("utf-8"))
    return loaded


def test_it_ends_with_a_report_that_names_what_lies_there(short: Path, told: dict[str, Any]) -> None:
    page = Path(told["fidelity"]["report"])
    assert page == short / "rlx demo" / "fidelity" / "fidelity.html"
    assert page.is_file()
    result = json.loads(page.with_suffix(".json").read_text("utf-8"))
    sides = [result["header"][name] for name in ("dataset", "golden")]
    assert [side["source"] for side in sides] == [told["dataset"], str(Path(told["capture"]).parent)]
    assert sides[0]["digest"] == sides[1]["digest"] != ""
    assert "Both hold the same rows, digest for digest" in page.read_text("utf-8")
    assert "unfinished" not in page.read_text("utf-8")


def test_its_verdict_is_told_and_is_honest_about_three_seconds(told: dict[str, Any]) -> None:
    assert told["fidelity"]["verdict"] == "INCONCLUSIVE"
    assert "too little data" in told["fidelity"]["reason"]
    assert told["fidelity"]["missing_extras"] == []


def test_the_default_is_long_enough_for_the_tail_of_returns() -> None:
    assert inspect.signature(demo).parameters["duration_s"].default == DURATION_S > 600 + 60


@pytest.mark.parametrize(("extra", "uv"), thinned(product(LACKING, [False, True]), 3))
def test_without_an_extra_it_works_and_says_in_one_line_how_to_get_it(
    extra: str, uv: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, what, name = LACKING[extra]
    program = (
        "import sys, importlib.util as util\n"
        f"absent = {module.removesuffix('.py')!r}\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == absent: raise ModuleNotFoundError(name, name=name)\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == absent else found(name, *more)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from rlx_datapipe.cli.main import main\n"
        "main(['demo', '--out', 'out', '--duration-s', '2'])"
    )
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1") if uv else monkeypatch.delenv(
        "UV_RUN_RECURSION_DEPTH", raising=False
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (line,) = (one for one in done.stdout.splitlines() if one.startswith("For "))
    install = f"uv run --extra {name} rlx" if uv else f"pip install 'rlx-datapipe[{name}]' && rlx"
    sides = "out/dataset --golden out/capture --report out/fidelity"
    assert line == f"For {what}: {install} fidelity {sides}"
    assert (tmp_path / "out" / "fidelity" / "fidelity.json").exists() == (extra == "report")
