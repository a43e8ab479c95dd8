"""The contract of the door: what goes to stdout, what to stderr, and what a terminal shows."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from tests.cli.door import RLX, rlx, rlx_process
from tests.depth import deep
from tests.pipeline.captures import SPOT, capture
from tests.pipeline.plain_reading import events_of, states_at

from rlx_datapipe.pipeline.book import book_at
from rlx_datapipe.simulation.config import MarketConfig

LONG = MarketConfig(duration_s=60, orders_per_s=2_000, levels=300)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return capture(tmp_path_factory.mktemp("door") / "capture.gz", SPOT)


@pytest.fixture(scope="module")
def dataset(source: Path) -> Path:
    assert rlx("reconstruct", source, "--out", source.parent / "dataset", "--json").status == 0
    return source.parent / "dataset"


def test_json_is_one_object_and_nothing_else(source: Path, dataset: Path, tmp_path: Path) -> None:
    commands: list[list[str | Path]] = [
        ["reconstruct", source, "--out", tmp_path / "out", "--books-every-ms", "0"],
        ["inspect", dataset],
        ["inspect", source],
        ["book", dataset, "--event", "0"],
        ["book", dataset, "--event", "3000", "--depth", "5"],
        ["export", dataset, "--out", tmp_path / "lake"],
        ["inspect", tmp_path / "lake"],
        ["reconstruct", tmp_path / "lake", "--out", tmp_path / "derived"],
        ["inspect", tmp_path / "derived"],
    ]
    for command in commands:
        said = rlx(*command, "--json")
        assert said.status == 0, said.err
        assert said.json()
        assert "rlx:" not in said.err


def test_a_process_gives_the_same_bytes(dataset: Path) -> None:
    said = rlx_process("inspect", dataset, "--json")
    assert said.err == ""
    assert said.json() == rlx("inspect", dataset, "--json").json()


def test_the_book_is_told_in_exact_decimals(source: Path, dataset: Path) -> None:
    rows = events_of([source])
    event = len(rows) * 2 // 3
    valid, bids, asks = states_at(rows, [event])[event]
    told = rlx("book", dataset, "--event", str(event), "--json").json()
    assert told["valid"] is valid is True
    for side, expected in (("bids", bids), ("asks", asks)):
        assert [(Decimal(price), Decimal(quantity)) for price, quantity in told[side]] == expected
        assert all(re.fullmatch(r"\d+(\.\d*[1-9])?", text) for level in told[side] for text in level)
    assert (told["bid_levels"], told["ask_levels"]) == (len(bids), len(asks))
    assert told["origin_time"] == rows[event].time
    by_time = rlx("book", dataset, "--at", told["time"], "--json").json()
    assert by_time["origin_time"] == told["origin_time"]
    assert rlx("book", dataset, "--at", str(told["origin_time"]), "--json").json() == by_time


def test_the_ladder_that_people_see_is_the_book(dataset: Path) -> None:
    state = book_at(dataset, event=4_000)
    shown = rlx_process("book", dataset, "--event", "4000").out
    assert f"{state.bids[0][0]:.2f}" in shown
    assert f"{state.asks[0][0]:.2f}" in shown
    assert f"{len(state.bids):,} bid and {len(state.asks):,} ask levels" in shown
    assert sum("█" in line or "▐" in line or "▌" in line for line in shown.splitlines()) >= 1
    assert len([line for line in shown.splitlines() if re.search(r"6\d{4}\.\d\d", line)]) == 20
    five = rlx_process("book", dataset, "--event", "4000", "--depth", "5").out
    assert len([line for line in five.splitlines() if re.search(r"6\d{4}\.\d\d", line)]) == 5


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    said = rlx_process("--help")
    assert said.status == 0
    for command in ("reconstruct", "inspect", "book", "validate", "export", "demo"):
        assert re.search(rf"^  {command}\s", said.out, re.MULTILINE)
    code = (
        "import sys\nfrom rlx_datapipe.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(','.join({'numba', 'polars', 'pyarrow', 'deltalake'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["reconstruct", "inspect", "book", "export"])
def test_each_command_explains_itself(command: str) -> None:
    said = rlx(command, "--help")
    assert said.status == 0
    assert "--json" in said.out


def test_a_reader_that_goes_away_is_no_error(dataset: Path) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{RLX} book {dataset} --event 3000 --json | head -c 10"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == '{"exchange'
    assert done.stderr == ""


def test_an_interrupt_says_what_is_left(tmp_path: Path) -> None:
    source = capture(tmp_path / "capture.gz", LONG)
    command: list[str | Path] = [RLX, "reconstruct", source, "--out", tmp_path / "out", "--batch-rows", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "out" / "rlx.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert out == ""
    assert err.splitlines()[-1].startswith("rlx: ")
    assert err.splitlines()[-1].endswith(
        "was stopped; what is committed stands. Go on by the same command with --resume"
    )
    assert "stopping: each symbol is brought to the end of its epoch; Ctrl-C again" in err
    assert "Traceback" not in err
    assert rlx("inspect", tmp_path / "out").status == 3
    assert not list((tmp_path / "out").rglob("*.partial"))


def in_terminal(command: list[str | Path], columns: int = 100) -> tuple[int, str]:
    """Run a command with all its streams on a pseudo terminal; exit status and everything shown."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover (the child)
        os.environ.update({"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm-256color"})
        os.execv(command[0], [str(part) for part in command])  # noqa: S606
    shown = bytearray()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_a_terminal_shows_progress_and_then_the_summary(tmp_path: Path) -> None:
    source = capture(tmp_path / "capture.gz", LONG)
    status, shown = in_terminal(
        [RLX, "reconstruct", source, "--out", tmp_path / "out", "--batch-rows", "500"]
    )
    assert status == 0, shown
    shares = [int(share) for share in re.findall(r"(\d+) %", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown))]
    assert shares == sorted(shares)
    assert len(set(shares)) > 2
    assert "events/s" in shown
    # The bar has gone when the summary comes, and the cursor is back.
    assert shown.rindex("\x1b[?25h") > shown.rindex(" %")
    after = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown[shown.rindex("\x1b[?25h") :])
    for words in ("BINANCE BTCUSDT", "trades", "gaps", "✓", "digest", "dataset"):
        assert words in after
    assert "Traceback" not in shown


def test_in_a_terminal_json_stays_json(source: Path, tmp_path: Path) -> None:
    """Progress goes to stderr, so that stdout may be piped on while a person watches."""
    leader, terminal = pty.openpty()
    done = subprocess.run(
        [RLX, "reconstruct", source, "--out", tmp_path / "out", "--json"],
        stdout=subprocess.PIPE,
        stderr=terminal,
        check=False,
        timeout=120,
    )
    os.close(terminal)
    os.close(leader)
    assert done.returncode == 0
    assert json.loads(done.stdout)["events"] > 0


def test_where_there_is_no_terminal_there_is_no_bar(source: Path, tmp_path: Path) -> None:
    said = rlx_process("reconstruct", source, "--out", tmp_path / "out")
    assert said.status == 0
    assert "\x1b" not in said.out + said.err
    assert "%" not in said.err


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", pytest.param("latin-1", marks=deep)])
def test_a_terminal_of_any_encoding_can_show_it(encoding: str, tmp_path: Path) -> None:
    config = MarketConfig(duration_s=2, orders_per_s=300, levels=60, symbol="币安人生USDT")
    source = capture(tmp_path / "capture.gz", config)
    env = {"PYTHONIOENCODING": encoding}
    said = rlx_process("reconstruct", source, "--out", tmp_path / "out", "--json", env=env)
    assert said.status == 0, said.err
    assert said.json()["chains"][0]["symbol"] == "币安人生USDT"
    shown = rlx_process("inspect", tmp_path / "out", env=env)
    assert shown.status == 0, shown.err
    assert ("✓" in shown.out) == (encoding == "utf-8")


def test_recordings_are_shown_with_their_files(source: Path) -> None:
    said = rlx("inspect", source)
    assert said.status == 0
    for words in ("capture.gz", "depthUpdate", "bookTicker", "BOOK_DELTA", "unreadable"):
        assert words in said.out


def test_a_profile_shows_the_stages_of_what_was_done(source: Path, tmp_path: Path) -> None:
    command = ("reconstruct", source, "--out", tmp_path / "out", "--profile")
    shown = rlx(*command).out
    assert all(stage in shown for stage in ("ingestion", "replay", "sink", "commit", "ns an event"))
    assert "ingestion" not in rlx(*command, "--resume").out, "nothing was done"


def test_environment_and_file_and_option_settle_a_setting_in_this_order(source: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("books_levels = 3\n")

    def levels(name: str, *options: str | Path, env: dict[str, str] | None = None) -> int:
        assert rlx("reconstruct", source, "--out", tmp_path / name, "--json", *options, env=env).status == 0
        head = json.loads((tmp_path / name / "rlx.json").read_text())
        return int(head["settings"]["books_levels"])

    assert levels("default") == 20
    assert levels("file", "--config", config) == 3
    assert levels("environment", "--config", config, env={"RLX_BOOKS_LEVELS": "4"}) == 4
    assert levels("option", "--config", config, "--books-levels", "5", env={"RLX_BOOKS_LEVELS": "4"}) == 5
