"""`rlx reconstruct --strategy`: told in the summary and by --json, refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.door import rlx, rlx_process

from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Trades and snapshots of an archive without deltas."""
    archive = write_archive(ArchiveConfig(rows=3_000, levels=60), tmp_path_factory.mktemp("lake"))
    return archive / "trades", archive / "book"


def test_the_summary_says_which_strategy_and_why(sampled: tuple[Path, Path], tmp_path: Path) -> None:
    said = rlx_process(
        "reconstruct", *sampled, "--out", tmp_path / "out", "--workers", "0", env={"COLUMNS": "80"}
    )
    assert said.status == 0, said.err
    words = " ".join(said.out.split())
    assert "strategy snapshot: there are no deltas" in words
    assert "inferred" in words
    assert max(map(len, said.out.splitlines())) <= 80 or "digest" in said.out
    shown = " ".join(rlx("inspect", tmp_path / "out").out.split())
    assert "strategy snapshot: there are no deltas" in shown


def test_json_tells_it_for_each_chain(sampled: tuple[Path, Path], tmp_path: Path) -> None:
    how = ("--strategy", "origin_time_sort", "--workers", "0", "--json")
    [chain] = rlx("reconstruct", *sampled, "--out", tmp_path / "out", *how).json()["chains"]
    assert chain["strategy"] == "origin_time_sort"
    assert chain["strategy_reasons"] == ["it was asked for"]


def test_full_without_deltas_is_refused_in_one_sentence(sampled: tuple[Path, Path], tmp_path: Path) -> None:
    said = rlx("reconstruct", *sampled, "--out", tmp_path / "out", "--strategy", "full")
    assert said.status == 2
    assert said.sentence() == (
        "rlx: BINANCE BTC-USDT: has no deltas, which the strategy full is made of (found book, trades). "
        "Leave --strategy out: snapshot suits it"
    )


def test_an_unknown_strategy_is_bad_usage(sampled: tuple[Path, Path], tmp_path: Path) -> None:
    said = rlx("reconstruct", *sampled, "--out", tmp_path / "out", "--strategy", "fast")
    assert said.status == 2
    assert "origin_time_sort" in said.err
