"""Metrics from outside, by the docs alone: the files of docs/fidelity.md, discovered by entry point."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.fidelity.catalogue import standard_registry

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of the docs, as an installer leaves it: modules, and metadata beside them."""
    folder: Path = tmp_path_factory.mktemp("outside")
    shown = re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert [name for name, _ in shown] == ["my_metrics.py", "pyproject.toml"]
    for name, content in shown:
        (folder / name).write_text(content, "utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    installed = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    installed.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (installed / "METADATA").write_text(head, "utf-8")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (installed / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def run(outside: Path, *arguments: str) -> str:
    """What a program says that has the package on its path."""
    path = os.pathsep.join([str(outside), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_keep_the_contract_by_the_program_of_the_docs(outside: Path) -> None:
    assert run(outside, str(outside / "my_metrics.py")).splitlines() == [
        "ask_size keeps the contract",
        "mean_trade keeps the contract",
    ]


def test_both_are_found_and_measured_beside_ours(outside: Path) -> None:
    program = (
        "import json\n"
        "from rlx_datapipe.fidelity.catalogue import standard_registry\n"
        "from rlx_datapipe.fidelity.decision import DecisionSettings\n"
        "from rlx_datapipe.fidelity.reporter import FidelityReporter, Named\n"
        "from rlx_datapipe.fidelity.synthetic import synthetic_comparison\n"
        "registry = standard_registry()\n"
        "reporter = FidelityReporter(registry, decision=DecisionSettings(permutations=99, rounds=99))\n"
        "told = {}\n"
        "for noise in (0.0, 0.7):\n"
        "    data = synthetic_comparison(3, noise=noise)\n"
        "    names = ['ask_size', 'mean_trade', 'trade_size']\n"
        "    side = Named('here')\n"
        "    report = reporter.report(data, names, dataset=side, golden=side, window_ns=60 * 10**9)\n"
        "    told[noise] = {one.name: one.verdict for one in report.metrics}\n"
        "print(json.dumps([told, [one.message for one in registry.problems]]))"
    )
    told, problems = json.loads(run(outside, "-c", program))
    assert problems == []
    assert told["0.0"] == dict.fromkeys(["ask_size", "mean_trade", "trade_size"], "PASS")
    assert told["0.7"]["ask_size"] == told["0.7"]["trade_size"] == "FAIL"
    assert told["0.7"]["mean_trade"] == "INCONCLUSIVE", "one number of both sides: its noise is not known"


def test_the_command_explains_them(outside: Path) -> None:
    rlx = "import sys; from rlx_datapipe.cli.main import main; main(sys.argv[1:])"
    told = json.loads(run(outside, "-c", rlx, "fidelity", "--explain", "ask_size", "--json"))
    assert told["formula"].startswith("x = q_ask; D = max")


def test_a_plugin_that_cannot_be_loaded_or_takes_a_name_is_told_and_others_work() -> None:
    registry = standard_registry(with_plugins=False)
    before = list(registry)
    group = "rlx_datapipe.metrics"
    registry.load_entry_points(
        [
            EntryPoint("gone", "no_such_module_of_anyone", group),
            EntryPoint("no_metric", "json", group),
            EntryPoint("again", "rlx_datapipe.fidelity.metrics.spread", group),
        ]
    )
    assert list(registry) == before
    assert [one.rule for one in registry.problems] == ["gone", "no_metric"]
    with pytest.raises(OptionError, match="Did you mean spread_l1"):
        registry.get("spread_11")
