"""Clients that no one here wrote hold our book from a replay of real recordings.

They are no dependency: `RLX_CLIENTS_PYTHON` names an interpreter that has them (dependency group
``clients``); by default it is this one. A client that is not there is skipped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.test_serve import our_books

from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.store.dataset import Dataset, open_dataset

pytestmark = [pytest.mark.recordings, pytest.mark.clients]

PYTHON = os.environ.get("RLX_CLIENTS_PYTHON", sys.executable)
HOLD_BOOK = Path(__file__).with_name("hold_book.py")
MODULES = {
    "python-binance": "binance.ws.depthcache",
    "ccxt": "ccxt.pro",
    "unicorn-binance-local-depth-cache": "unicorn_binance_local_depth_cache",
    "cryptofeed": "cryptofeed",
}
RECORDINGS = {
    "binance-spot": ("binance_spot/btcusdt_20240808.gz", "BTCUSDT"),
    "binance-usdm": ("binance_usdm/btcusdt_20240808.gz", "BTCUSDT"),
    "binance-coinm": ("binance_coinm/ethusd_perp_20240808.gz", "ETHUSD_PERP"),
}
CASES = [
    (client, format)
    for client in MODULES
    for format in RECORDINGS
    # python-binance keeps no book of futures; UBLDC knows no COIN-M.
    if format == "binance-spot" or (client != "python-binance" and format == "binance-usdm")
] + [("ccxt", "binance-coinm"), ("cryptofeed", "binance-coinm")]
SPEED, EVERY, BOOKS = 6, 15, 8
DEPTH_LEVELS = 200
"""Levels a side that are compared: all clients know more, and the price does not leave them."""


@cache
def is_there(module: str) -> bool:
    done = subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, timeout=60, check=False)
    return done.returncode == 0


@pytest.fixture(scope="module")
def dataset(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    made: dict[str, Dataset] = {}

    def make(format: str) -> Dataset:
        if format not in made:
            folder = tmp_path_factory.mktemp("clients") / "dataset"
            reconstruct([recordings / RECORDINGS[format][0]], folder)
            made[format] = open_dataset(folder)
        return made[format]

    return make


@contextmanager
def replayed(file: Path, folder: Path) -> Iterator[str]:
    """The address of an `rlx replay` of a file."""
    code = "from rlx_datapipe.cli.main import main; main()"
    options = ["--serve", "127.0.0.1:0", "--speed", str(SPEED), "--start", "now", "--at-end", "close"]
    said = folder / "replay.txt"
    with said.open("w") as errors:
        server = subprocess.Popen([sys.executable, "-c", code, "replay", file, *options], stderr=errors)
        try:
            until_s = time.monotonic() + 180
            while not (found := re.search(r"ws://[\d.:]+", said.read_text())):
                assert server.poll() is None, said.read_text()
                assert time.monotonic() < until_s
                time.sleep(0.05)
            yield found[0]
        finally:
            server.terminate()
            server.wait(20)


def best(levels: list[list[str]], *, is_bid: bool) -> list[tuple[Decimal, Decimal]]:
    sides = sorted(((Decimal(p), Decimal(q)) for p, q in levels), reverse=is_bid)
    return sides[:DEPTH_LEVELS]


@pytest.mark.parametrize(("client", "format"), CASES)
def test_a_client_holds_our_book_at_every_update_that_it_tells(
    client: str, format: str, recordings: Path, dataset: Callable[[str], Dataset], tmp_path: Path
) -> None:
    if not is_there(MODULES[client]):
        pytest.skip(f"{client} is not installed for {PYTHON}; see the group `clients` in pyproject.toml")
    file, symbol = RECORDINGS[format]
    ours = dataset(format)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with replayed(recordings / file, tmp_path) as url:
        command = [PYTHON, str(HOLD_BOOK), client, url, format, symbol, str(EVERY), str(BOOKS)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=240, check=False, env=environment, cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr[-2000:]
    told: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
    assert len(told) == BOOKS
    books = our_books(ours, [one["u"] for one in told])
    assert len(books) == BOOKS
    for one in told:
        true = books[one["u"]]
        for side, is_bid in (("b", True), ("a", False)):
            expected = sorted(true[side].items(), reverse=is_bid)[:DEPTH_LEVELS]
            assert best(one[side], is_bid=is_bid) == expected, (one["u"], side)
