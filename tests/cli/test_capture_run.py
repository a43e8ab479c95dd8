"""`rlx capture run` as a user meets it: files, results, signals, mistakes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from tests.capture.account import account
from tests.cli.door import RLX, rlx
from tests.cli.live_exchange import STREAMS, Trading, trading
from tests.pipeline.test_capture_kills import recorded

from rlx_datapipe.capture.progress import Progress, StreamProgress
from rlx_datapipe.store.frames import RecordKind

WHAT = ["--symbols", "BTCUSDT", "--streams", "trade,depth,bookTicker"]


@pytest.fixture
def market() -> Iterator[Trading]:
    with trading() as market:
        yield market


def start(market: Trading, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [str(RLX), "capture", "run", *WHAT, "--out", str(out), *market.addresses, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until_recording(market: Trading, process: subprocess.Popen[str], seconds: float = 0.5) -> None:
    deadline = time.monotonic() + 60
    while not market.listeners:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(seconds)


def test_a_capture_of_some_time_gives_one_object_and_a_folder(market: Trading, tmp_path: Path) -> None:
    said = rlx(
        "capture", "run", *WHAT, "--out", tmp_path / "c", *market.addresses, "--duration", "3500ms", "--json"
    )
    assert said.status == 0, said.err
    told = said.json()
    assert told["stopped_by"] == "duration"
    assert told["gaps"] == 0
    assert told["snapshots"]["kept"] == 1
    assert {one["stream"] for one in told["streams"]} == set(STREAMS)
    recorder = recorded(tmp_path / "c")
    for one in told["streams"]:
        found = account(recorder, one["stream"])
        assert not found.doubled
        assert not found.unaccounted
        assert found.messages == one["messages"] > 100
    assert len(recorder.told(RecordKind.OPEN)) == len(recorder.told(RecordKind.CLOSE)) == 1
    assert list((tmp_path / "c" / "open").glob("*.open")) == []


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_it_cleanly(market: Trading, tmp_path: Path, which: signal.Signals) -> None:
    process = start(market, tmp_path / "c", "--json")
    until_recording(market, process)
    process.send_signal(which)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out)["stopped_by"] == "signal"
    assert err.count("stopping: sealing what is open ...") == 1
    assert recorded(tmp_path / "c").told(RecordKind.CLOSE)[-1]["reason"] == "stopped"


def test_a_second_signal_ends_it_at_once(market: Trading, tmp_path: Path) -> None:
    process = start(market, tmp_path / "c")
    until_recording(market, process)
    # Nobody answers a polite close any more.
    assert market.exchange
    for connection in list(market.exchange.connections):
        connection.transport.pause_reading()
    process.send_signal(signal.SIGINT)
    assert process.stderr
    assert process.stderr.readline().startswith("stopping: sealing what is open ..."), "told at once"
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 3, err
    assert time.monotonic() - begun < 2.0
    assert out == ""
    assert "what is recorded stands" in err
    assert "Traceback" not in err
    found = account(recorded(tmp_path / "c"), STREAMS[0])
    assert found.messages > 50
    assert not found.unaccounted


def test_the_same_command_goes_on_and_declares_what_was_missed(market: Trading, tmp_path: Path) -> None:
    for _ in range(2):
        said = rlx(
            "capture", "run", *WHAT, "--out", tmp_path / "c", *market.addresses, "--duration", "3", "--json"
        )
        assert said.status == 0, said.err
    recorder = recorded(tmp_path / "c")
    found = account(recorder, STREAMS[0])
    assert not found.doubled
    assert not found.unaccounted
    assert found.missing > 0
    reasons = {(gap["stream"], gap["reason"]) for gap in recorder.told(RecordKind.GAP)}
    assert reasons == {(stream, "restart") for stream in STREAMS}


def test_another_capture_is_not_mixed_in(market: Trading, tmp_path: Path) -> None:
    first = rlx(
        "capture", "run", *WHAT, "--out", tmp_path / "c", *market.addresses, "--duration", "3", "--json"
    )
    assert first.status == 0
    said = rlx("capture", "run", "--symbols", "ETHUSDT", "--out", tmp_path / "c", *market.addresses)
    assert said.status == 2
    assert "holds another capture" in said.sentence()


def test_where_nothing_comes_the_status_says_so(tmp_path: Path) -> None:
    nowhere = ["--ws-url", "ws://127.0.0.1:1", "--rest-url", "http://127.0.0.1:1", "--ntp-server", ""]
    said = rlx("capture", "run", *WHAT, "--out", tmp_path / "c", *nowhere, "--duration", "1", "--json")
    assert said.status == 1
    assert said.json()["connections"]["refused"] >= 1
    assert "nothing came from binance-spot" in said.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--symbols", "BTC/USDT"], "is no symbol"),
        (["--symbols", "BTCUSDT", "--streams", "kline_1m"], "is no stream"),
        (["--symbols", "BTCUSDT", "--ws-url", "127.0.0.1:80"], "is no address"),
        (["--symbols", "BTCUSDT", "--key-file", "/nowhere/keys"], "/nowhere/keys"),
    ],
)
def test_a_mistake_is_one_sentence(options: list[str], told: str, tmp_path: Path) -> None:
    said = rlx("capture", "run", "--out", tmp_path / "c", *options)
    assert said.status == 2
    assert told in said.sentence()
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("span", ["x", "-1", "1w", "1e3"])
def test_a_time_is_written_as_people_write_it(span: str, tmp_path: Path) -> None:
    said = rlx("capture", "run", *WHAT, "--out", tmp_path / "c", "--duration", span)
    assert said.status == 2
    assert "is no time such as 90s, 15m or 8h" in said.err or "No such option" in said.err


def test_a_missing_extra_is_told_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets", None)
    said = rlx("capture", "run", *WHAT, "--out", tmp_path / "c")
    assert said.status == 2
    assert "pip install 'rlx-datapipe[capture]'" in said.sentence()
    assert "uv run --extra capture rlx" in said.sentence()


def test_help_loads_neither_network_nor_arrow() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from rlx_datapipe.cli.main import main;"
        "said = CliRunner().invoke(main, ['capture', '--help']); assert 'run' in said.output, said.output;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"websockets", "httpx", "ntplib", "cryptography", "numba", "pyarrow"} & set(
        done.stdout.split()
    )


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_a_terminal(columns: int) -> None:
    from rich.console import Console

    from rlx_datapipe.cli.capture_trouble import trouble_text
    from rlx_datapipe.cli.capture_view import drawn_table

    lag = {"p50_ms": 4.4, "p95_ms": 149.0, "p99_ms": None}
    streams = [
        StreamProgress(f"coin{number:03d}usdt@depth@100ms", 10_000, 3, 1, 7, 0, 0, 0, 5, lag, lag)
        for number in range(40)
    ]
    links = {"open": 1, "opened": 1, "handovers": 2, "losses": 3, "refused": 0, "abandoned": 0}
    snapshots = {"kept": 4, "stale": 0, "failed": 0, "waiting": 1}
    progress = Progress(60.0, 400_000, 1, streams, {}, 40, [], 0, links, snapshots, 250, -1.25, 0, {})
    gap = {"stream": "coin000usdt@depth@100ms", "from_id": 10**12, "to_id": 10**12 + 9, "reason": "restart"}
    trouble = trouble_text("gap", gap)
    screen = Console(width=columns, record=True, file=StringIO())
    screen.print(drawn_table("binance-spot", progress, {"coin000usdt@depth@100ms": 10.4}, 5_000_000, trouble))
    lines = screen.export_text().splitlines()
    assert all(len(line) <= columns for line in lines)
    assert "coin000usdt@depth@100ms" in lines[2]
    assert lines[2].split()[1:] == ["10", "10,000", "4.4", "149.0", "1", "7"]
    assert lines[-1].startswith("gap (restart): coin000usdt@depth@100ms, ids ")
    told = "\n".join(lines)
    for words in (
        "and 16 more streams",
        "400,000 messages (6,667/s)",
        "40 gaps",
        "1 connected, 2 handed over, 3 lost, 4 snapshots, 1 due",
        "5.0 MB",
        "clock off by -1.2 ms",
        "1 due",
    ):
        assert words in told


INVALID: tuple[int, dict[str, str], bytes] = (400, {}, b'{"code":-1121,"msg":"Invalid symbol."}')
SOON = {"RLX_CAPTURE_STALL_S": "0.5", "RLX_CAPTURE_SILENCE_S": "1"}


def test_a_wrong_symbol_is_told_at_once_and_in_the_summary(
    market: Trading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SOON.items():
        monkeypatch.setenv(name, value)
    assert market.exchange
    # The first answer is the snapshot of the symbol that trades.
    market.exchange.rest.insert(1, INVALID)
    said = rlx(
        *("capture", "run", "--symbols", "BTCUSDT,FOOUSDT", "--streams", "trade,depth", "--duration", "3"),
        *market.addresses,
        "--out",
        tmp_path / "c",
    )
    assert said.status == 0, said.err
    told = 'FOOUSDT is refused: the exchange says "Invalid symbol."'
    assert told in said.err
    assert told in said.out
    assert [note["symbol"] for note in noted(tmp_path / "c", "symbol_refused")] == ["FOOUSDT"]


def test_a_capture_of_wrong_symbols_alone_ends_with_status_2(
    market: Trading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SOON.items():
        monkeypatch.setenv(name, value)
    assert market.exchange
    market.exchange.rest[:] = [INVALID]
    said = rlx(
        *("capture", "run", "--symbols", "FOOUSDT", "--duration", "20"),
        *market.addresses,
        "--out",
        tmp_path / "c",
    )
    assert said.status == 2
    assert "rlx: binance-spot knows none of the symbols FOOUSDT (said Invalid symbol.)" in said.err


def noted(capture: Path, kind: str) -> list[dict[str, object]]:
    return [note for note in recorded(capture).told(RecordKind.NOTE) if note["kind"] == kind]
