"""What a chain passes over is kept for every later run, and never replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.store.skips import add_skip, read_skips

FIRST = Skip(0, "btc.gz", 10, 20, "it crashed")
SECOND = Skip(3, "btc.gz", 1, 1, "it hung")


def test_what_is_added_is_read_in_its_order(tmp_path: Path) -> None:
    assert read_skips(tmp_path, "BINANCE", "BTCUSDT") == ()
    add_skip(tmp_path, "BINANCE", "BTCUSDT", FIRST)
    add_skip(tmp_path, "BINANCE", "BTCUSDT", SECOND)
    add_skip(tmp_path, "BINANCE", "../ETH", FIRST)
    assert read_skips(tmp_path, "BINANCE", "BTCUSDT") == (FIRST, SECOND)
    assert read_skips(tmp_path, "BINANCE", "../ETH") == (FIRST,)
    assert all(tmp_path in path.parents for path in tmp_path.rglob("skip-*.json"))


def test_a_strange_file_is_not_read_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    add_skip(tmp_path, "BINANCE", "BTCUSDT", FIRST)
    [path] = tmp_path.rglob("skip-*.json")
    path.with_name("skip-mine.json").write_text("mine")
    assert read_skips(tmp_path, "BINANCE", "BTCUSDT") == (FIRST,)
    path.write_text('{"file": 0}')
    with pytest.raises(DatasetError, match=r"skip-000000\.json: can't be read"):
        read_skips(tmp_path, "BINANCE", "BTCUSDT")
