"""A process for each symbol: what befalls one is no other's business, and changes no row."""

from __future__ import annotations

import signal
import sys
import threading
import time
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.depth import deep
from tests.pipeline.captures import IN_PROCESSES as SETTINGS
from tests.pipeline.captures import SPOT, kinds, mixed

from rlx_datapipe.core.errors import DatapipeError, OptionError, OutputError, StoppedError
from rlx_datapipe.pipeline import reconstruct as line
from rlx_datapipe.pipeline.manager import ProcessManager
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.simulation.capture_file import read_capture, write_capture
from rlx_datapipe.store.dataset import open_dataset

SICK = Path(__file__).with_name("sick_worker.py")
ROOT = SICK.parents[2]


@pytest.fixture
def sicken(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let workers fall ill on some content."""

    def sicken(illness: str, content: str) -> None:
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        command = (sys.executable, str(SICK), illness, content)
        monkeypatch.setattr(line, "ProcessManager", partial(ProcessManager, command=command))

    return sicken


def run(captures: list[Path], out: Path, **options: Any) -> dict[str, Any]:
    settings = msgspec.structs.replace(SETTINGS, **options.pop("settings", {}))
    return reconstruct(captures, out, settings, workers=3, **options)


def chain_of(summary: dict[str, Any], symbol: str) -> dict[str, Any]:
    """What a chain came to, without what differs from run to run."""
    [chain] = [chain for chain in summary["chains"] if chain["symbol"] == symbol]
    return {
        name: deepcopy(value)
        for name, value in chain.items()
        if name not in ("events_per_second", "peak_memory_bytes", "pressure", "restarts", "stages")
    }


def middle_of(capture: Path) -> str:
    """Content of one depth update in the middle of a capture."""
    updates = [text for text in read_capture(capture) if b'"depthUpdate"' in text]
    text = updates[len(updates) // 2]
    return text[text.index(b'"U":') : text.index(b',"b":')].decode()


def test_three_symbols_are_what_each_is_alone(
    captures: list[Path], whole: dict[str, Any], tmp_path: Path
) -> None:
    told: list[Progress] = []
    summary = run(captures, tmp_path / "three", on_progress=told.append)
    assert summary["digest"] == whole["digest"]
    assert {progress.symbol for progress in told} == {"BTCUSDT", "ETHUSDT", "SOLUSDT"}
    for capture in captures:
        alone = reconstruct(capture, tmp_path / capture.name, SETTINGS)
        symbol = alone["chains"][0]["symbol"]
        assert chain_of(summary, symbol) == chain_of(alone, symbol)


@pytest.mark.parametrize("workers", [pytest.param(0, marks=deep), 2, pytest.param(3, marks=deep)])
def test_a_mixed_recording_gives_each_symbol_the_same_rows(
    workers: int, captures: list[Path], whole: dict[str, Any], tmp_path: Path
) -> None:
    recording = mixed(tmp_path / "mixed.gz", captures)
    summary = reconstruct(recording, tmp_path / "out", SETTINGS, workers=workers)
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        mine, alone = chain_of(summary, symbol), chain_of(whole, symbol)
        assert mine["messages"].pop("of other symbols") > 0
        mine["rows"].pop("quality"), alone["rows"].pop("quality")
        assert mine == alone
    if not workers:
        one = reconstruct(recording, tmp_path / "one", SETTINGS, symbols=["ethusdt"])
        assert chain_of(one, "ETHUSDT") == chain_of(summary, "ETHUSDT")


@deep
@deep
def test_a_worker_that_dies_again_and_again_comes_to_the_end_if_it_comes_on(
    sicken: Any, captures: list[Path], whole: dict[str, Any], tmp_path: Path
) -> None:
    sicken("mortal", "4")
    told: list[Progress] = []
    summary = run(captures, tmp_path / "out", on_progress=told.append)
    assert summary["digest"] == whole["digest"]
    assert any("killed by SIGKILL" in progress.state for progress in told)
    assert any(progress.restarts == 2 and not progress.state for progress in told)
    for chain in summary["chains"]:
        lives = [progress.restarts for progress in told if progress.symbol == chain["symbol"]]
        assert len(chain["restarts"]) == max(lives)
        assert set(chain["restarts"]) <= {"was killed by SIGKILL"}


@pytest.mark.parametrize(
    "illness", [pytest.param("crash", marks=deep), "hang", pytest.param("raise", marks=deep)]
)
def test_poison_is_skipped_after_three_tries_and_told(
    illness: str, sicken: Any, captures: list[Path], whole: dict[str, Any], tmp_path: Path
) -> None:
    sicken(illness, middle_of(captures[1]))
    out = tmp_path / "out"
    summary = run(captures, out, settings={"stall_ms": 1_500})
    for symbol in ("BTCUSDT", "SOLUSDT"):
        assert chain_of(summary, symbol) == chain_of(whole, symbol)
    chain = chain_of(summary, "ETHUSDT")
    [reason] = chain["skipped"]
    words = {"crash": "was killed by SIGSEGV", "hang": "made no progress", "raise": "a fault of ours"}
    assert words[illness] in reason
    assert chain["quarantined"] == SETTINGS.batch_rows
    assert 0 < chain["gaps"] <= 2
    assert kinds(open_dataset(out))["skipped"] == 1
    # A sound program skips the same, and so ends with the same rows.
    again = reconstruct(captures, out, SETTINGS, resume=True)
    assert again["digest"] == summary["digest"]


@deep
def test_killed_again_and_again_without_a_commit_a_chain_is_given_up_and_can_be_resumed(
    sicken: Any, captures: list[Path], whole: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line, "ProcessManager", ProcessManager)
        sicken("killed", middle_of(captures[1]))
        with pytest.raises(StoppedError, match=r"ETHUSDT is given up after 4 deaths .* SIGKILL"):
            run(captures, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "chains").iterdir()) == [
        "BINANCE+BTCUSDT.json",
        "BINANCE+SOLUSDT.json",
    ]
    assert not (tmp_path / "out" / "skipped").exists()
    again = reconstruct(captures, tmp_path / "out", SETTINGS, resume=True)
    assert again["digest"] == whole["digest"]


@deep
def test_a_worker_that_holds_too_much_memory_is_ended(
    sicken: Any, captures: list[Path], whole: dict[str, Any], tmp_path: Path
) -> None:
    sicken("grow", middle_of(captures[1]))
    with pytest.raises(StoppedError, match=r"ETHUSDT is given up .* held \d+ MB of memory, the limit is 900"):
        run(captures, tmp_path / "out", settings={"memory_max_mb": 900})
    again = reconstruct(captures, tmp_path / "out", SETTINGS, resume=True)
    assert again["digest"] == whole["digest"]


def test_a_bad_symbol_spoils_no_other(captures: list[Path], whole: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = tmp_path / captures[1].name
    write_capture(list(read_capture(captures[1]))[:-100], other)
    reconstruct(other, out, SETTINGS)
    (out / "chains" / "BINANCE+ETHUSDT.json").unlink()
    with pytest.raises(DatapipeError, match="other input"):
        run(captures, out, resume=True)
    held = {path.name for path in (out / "chains").iterdir()}
    assert held == {"BINANCE+BTCUSDT.json", "BINANCE+SOLUSDT.json"}


def test_the_number_of_workers_is_checked(captures: list[Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="workers"):
        reconstruct(captures, tmp_path / "out", SETTINGS, workers=-1)
    assert not (tmp_path / "out").exists()


def test_a_place_that_is_held_is_refused_at_once(captures: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    errors: list[BaseException] = []

    def second(_: Progress) -> None:
        if not errors:
            try:
                reconstruct(captures, out, SETTINGS, resume=True, workers=2)
            except OutputError as error:
                errors.append(error)

    run(captures, out, on_progress=second)
    assert "is being written by another process" in str(errors[0])


def test_a_run_in_another_thread_leaves_the_signals_alone(
    captures: list[Path], whole: dict[str, Any], tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    results: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: results.append(run(captures, tmp_path / "out")))
    thread.start()
    while thread.is_alive():
        assert signal.getsignal(signal.SIGTERM) is before
        time.sleep(0.2)
    assert results[0]["digest"] == whole["digest"]


def test_the_market_is_long_enough_to_commit_often(whole: dict[str, Any]) -> None:
    assert all(chain["events"] > 6 * SETTINGS.epoch_events for chain in whole["chains"]), SPOT
