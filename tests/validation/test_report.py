"""The Markdown page: verdict first, all rules, named differences, and nothing from outside as markup."""

from __future__ import annotations

from pathlib import Path

import msgspec
from tests.validation.harness import market, rebuilt

from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.simulation import faults
from rlx_datapipe.validation.report import to_markdown
from rlx_datapipe.validation.result import combined
from rlx_datapipe.validation.validate import RULES


def test_the_page_tells_verdict_rules_and_differences(tmp_path: Path) -> None:
    report = validate(rebuilt(tmp_path, faults.corrupt_quantity(market(), 20)))
    page = to_markdown(report)
    assert page.splitlines()[2].startswith("**Verdict: ❌ fail**")
    assert all(f"| `{name}` |" in page for name in RULES)
    difference = report.oracle["differing"][0]
    assert f"| {difference['update_id']} | {difference['event_id']} |" in page
    assert "| ❌ fail | `update_id_oracle` |" in page


def test_a_whole_share_is_told_only_of_the_whole(tmp_path: Path) -> None:
    report = validate(rebuilt(tmp_path, market()))
    assert "(100 %)" in to_markdown(report)
    oracle = {**report.oracle, "compared": 10_000_001, "equal": 10_000_000}
    assert "(100 %)" not in to_markdown(msgspec.structs.replace(report, oracle=oracle))


def test_several_chains_have_an_overview_and_a_part_each(tmp_path: Path) -> None:
    one = validate(rebuilt(tmp_path, market()))
    other = msgspec.structs.replace(one, symbol="ETHUSDT", verdict="fail")
    page = to_markdown(combined([one, other]))
    assert "# BINANCE BTCUSDT" in page
    assert "# BINANCE ETHUSDT" in page
    assert page.count("## Rules") == 2


def test_names_from_outside_stay_text(tmp_path: Path) -> None:
    report = validate(rebuilt(tmp_path, market()))
    page = to_markdown(msgspec.structs.replace(report, symbol="A|B\n# <b>*x*", golden="`a`|\u2028[b](c)"))
    assert "A\\|B # \\<b\\>\\*x\\*" in page
    assert "\n# <b>" not in page
    assert "\\`a\\`\\| \\[b\\](c)" in page
