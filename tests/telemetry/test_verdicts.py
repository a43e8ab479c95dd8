"""Verdicts for Prometheus: every one is told; alert rules and dashboard speak of what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rlx_datapipe.telemetry.verdicts import STANDINGS, MarketVerdict, MetricVerdict, verdict_exposition

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
RULES, TESTS, DASHBOARD = (
    FOLDER / name for name in ("fidelity-alerts.yml", "fidelity-alerts-test.yml", "fidelity-grafana.json")
)
MARKETS = (
    MarketVerdict(
        "BINANCE",
        'B"TC\n',
        "FAIL",
        0.9,
        0.8,
        1.7e9,
        (
            MetricVerdict("spread_l1", "spread", "gate", "FAIL", 0.2, 0.1, 0.5),
            MetricVerdict("kurtosis", "returns", "note", "NOT IDENTIFIABLE", None, None, None),
        ),
    ),
    MarketVerdict("BINANCE", "ETHUSDT", "INCONCLUSIVE", None, None, None, ()),
)


def samples() -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(verdict_exposition(MARKETS)):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_each_verdict_is_one_of_all_and_what_is_not_known_is_not_there() -> None:
    told = samples()
    whole = {(labels["symbol"], labels["verdict"]): value for labels, value in told["rlx_fidelity_verdict"]}
    assert {key for key, value in whole.items() if value} == {
        ('B"TC\n', "FAIL"),
        ("ETHUSDT", "INCONCLUSIVE"),
    }
    assert len(whole) == 6
    by_metric = told["rlx_fidelity_metric_verdict"]
    assert len(by_metric) == 2 * len(STANDINGS)
    assert {labels["verdict"] for labels, value in by_metric if value} == {"FAIL", "NOT IDENTIFIABLE"}
    assert [value for _, value in told["rlx_fidelity_metric_value"]] == [0.2]
    assert [value for _, value in told["rlx_fidelity_score_ratio"]] == [0.9]
    assert verdict_exposition(MARKETS) == verdict_exposition(MARKETS)


def expressions() -> list[str]:
    """All that the rules and the dashboard ask Prometheus for."""
    told = re.findall(r"^ +expr: (.+)$", RULES.read_text("utf-8"), re.MULTILINE)
    assert len(told) == 5
    panels: list[Any] = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(asked) == len(panels) == 8
    return told + asked


def test_rules_and_dashboard_ask_for_what_is_told() -> None:
    told = samples()
    for expression in expressions():
        names = re.findall(r"rlx_\w+", expression)
        assert names
        assert set(names) <= told.keys(), expression
        for verdict in re.findall(r'verdict="([^"]+)"', expression):
            assert verdict in STANDINGS
        used = set(re.findall(r'[{,] ?(\w+)=~?"', expression))
        held = set().union(*(labels.keys() for name in names for labels, _ in told[name]))
        assert used <= held, expression
        assert expression.count("(") == expression.count(")")


def test_the_dashboard_fits_on_its_grid() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)), "no two panels in one place"
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    assert {one["name"] for one in dashboard["templating"]["list"]} == {
        "source",
        "exchange",
        "symbol",
        "metric",
    }


def test_promtool_finds_nothing_wrong(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: the rules are only parsed here")
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(TESTS)]):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False, cwd=FOLDER)
        assert done.returncode == 0, done.stdout + done.stderr
    text = verdict_exposition(MARKETS[1:])
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
