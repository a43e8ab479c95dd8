"""`rlx replay --market` by its door: a market served or written, and one sentence for what makes no sense."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.door import rlx
from tests.cli.test_replay import received, started

TEXT = 'duration_s = 3\n[[episodes]]\nkind = "iceberg"\nat_s = 1.0\nduration_ms = 1000\n'


def file_of(folder: Path, text: str = TEXT) -> Path:
    path = folder / "market.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_market_is_written_with_its_truth(tmp_path: Path) -> None:
    done = rlx("replay", "--market", file_of(tmp_path), "--out", tmp_path / "out", "--json")
    assert done.status == 0, done.err
    told = done.json()
    assert told["messages"] > 100
    assert told["episodes"] == 1
    assert (Path(told["truth"]) / "truth.json").is_file()
    assert Path(told["capture"]).is_file()


def test_a_market_is_served(tmp_path: Path) -> None:
    place = ["--serve", "127.0.0.1:0", "--at-end", "close", "--json"]
    server, url = started("--market", str(file_of(tmp_path)), *place)
    count = asyncio.run(received(f"{url}/ws/btcusdt@depth@100ms"))
    stdout, _ = server.communicate(timeout=60)
    told: dict[str, Any] = json.loads(stdout)
    assert server.returncode == 0
    assert told["messages_sent"] == count == 30


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "nothing to replay"),
        (["--market", "FILE"], "nowhere to listen"),
        (["some.gz", "--out", "out"], "only a market is written"),
        (["some.gz"], "nowhere to listen"),
        (["some.gz", "--market", "FILE", "--out", "out"], "a market is played alone"),
        (["--market", "none.toml", "--out", "out"], "No such file"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(options: list[str], sentence: str, tmp_path: Path) -> None:
    file = str(file_of(tmp_path))
    done = rlx("replay", *[file if option == "FILE" else option for option in options])
    assert done.status == 2
    assert sentence in done.sentence()


def test_a_flow_that_is_not_stationary_is_one_sentence(tmp_path: Path) -> None:
    file = file_of(tmp_path, "[flow.branching.limit]\nlimit = [1.5, 0.0]")
    done = rlx("replay", "--market", file, "--out", tmp_path / "out")
    assert done.status == 2
    assert "spectral radius" in done.sentence()
