"""`rlx replay` by its door: an address, a result, and one sentence for what makes no sense."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.door import rlx
from tests.pipeline.captures import capture
from websockets.asyncio.client import connect

from rlx_datapipe.simulation.config import MarketConfig

MARKET = MarketConfig(duration_s=3, levels=100, orders_per_s=300)
RLX = [sys.executable, "-c", "from rlx_datapipe.cli.main import main; main()", "replay"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return capture(tmp_path_factory.mktemp("replay") / "capture.gz", MARKET)


def started(*options: str) -> tuple[subprocess.Popen[str], str]:
    server = subprocess.Popen([*RLX, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"ws://[\d.:]+", line):
            return server, found[0]
    raise AssertionError(server.wait(10))


async def received(url: str) -> int:
    async with connect(url, max_size=None, max_queue=None) as line:
        return len([message async for message in line])


def test_it_says_where_it_listens_and_at_the_end_what_it_did(recording: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    faults = ["--fault", "drop=0.1", "--seed", "4", "--truth", str(truth)]
    place = ["--serve", "127.0.0.1:0", "--at-end", "close", "--json"]
    server, url = started(str(recording), *place, *faults)
    count = asyncio.run(received(f"{url}/ws/btcusdt@trade"))
    stdout, _ = server.communicate(timeout=30)
    told: dict[str, Any] = json.loads(stdout)
    assert server.returncode == 0
    assert told["complete"] is True
    assert told["faults"]["drop"] == len(truth.read_text().splitlines()) > 0
    assert told["messages_sent"] == count + told["faults"]["drop"]


def test_stopped_before_the_end_it_says_so(recording: Path) -> None:
    server, url = started(str(recording), "--serve", "127.0.0.1:0", "--speed", "1", "--json")
    assert url.startswith("ws://127.0.0.1:")
    server.send_signal(signal.SIGINT)
    stdout, _ = server.communicate(timeout=30)
    assert server.returncode == 3
    assert json.loads(stdout)["complete"] is False


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--serve", "9443"], "no place to listen"),
        (["--serve", "127.0.0.1:99999"], "no place to listen"),
        (["--serve", "127.0.0.1:0", "--speed", "fast"], "no speed"),
        (["--serve", "127.0.0.1:0", "--speed", "-1"], "no speed"),
        (["--serve", "127.0.0.1:0", "--wait-for", "0"], "at least one"),
        (["--serve", "127.0.0.1:0", "--fault", "dropp=1"], "unknown fault"),
        (
            ["--serve", "127.0.0.1:0", "--faults", "/nowhere.toml"],
            "can't read the plan of faults (No such file",
        ),
        (["--serve", "127.0.0.1:0", "--truth", "/nowhere/truth"], "can't be written"),
        (["--serve", "127.0.0.1:0", "--symbols", "ETHUSDT"], "no such symbol"),
        (["--serve", "192.0.2.1:0"], "can't listen"),
    ],
)
def test_what_makes_no_sense_gets_one_sentence(recording: Path, options: list[str], sentence: str) -> None:
    said = rlx("replay", recording, *options)
    assert said.status == 2
    assert sentence in said.sentence()


def test_without_its_package_it_says_how_to_install_it(recording: Path) -> None:
    code = "import sys; sys.modules['websockets'] = None; from rlx_datapipe.cli.main import main; main()"
    command = [sys.executable, "-c", code, "replay", str(recording), "--serve", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'rlx-datapipe[capture]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_program_in_the_docs_runs(recording: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text("utf-8")
    program = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    command = re.findall(r"^rlx replay (\S+) --serve (\S+) (.*)$", page, re.MULTILINE)[0]
    assert len(program.strip().splitlines()) <= 12
    server, url = started(str(recording), "--serve", "127.0.0.1:0", "--speed", "max", *command[2].split()[2:])
    code = program.replace(f"ws://{command[1]}", url)
    client = [sys.executable, "-c", code]
    done = subprocess.run(client, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 100
    server.communicate(timeout=30)
    assert server.returncode == 0
