"""Reports beside a reconstruction: each batch of what is followed, one process at a time, failing nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.pipeline.capture_folders import Recording, arrivals, in_parts
from tests.pipeline.captures import SPOT, capture, lines_of

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.pipeline import fidelity_watch
from rlx_datapipe.pipeline.fidelity_told import Answer, Order, Outcome, Part, decode_order, encode
from rlx_datapipe.pipeline.fidelity_watch import GoldenWatch
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress

BTC = Instrument(exchange="BINANCE", symbol="BTCUSDT")
MARKET = replace(SPOT, duration_s=30, orders_per_s=300)
SETTINGS = Settings(epoch_events=800, batch_rows=100)


class Told:
    """In place of a process: answers what it is told to, when it is told to."""

    answers: list[Answer]
    orders: list[Order]
    is_slow = False

    def __init__(self, _command: object, job: bytes) -> None:
        self.orders.append(decode_order(job))
        self.told = 0
        self.is_killed = False

    def lines(self) -> list[bytes]:
        return [] if self.is_slow else [encode(self.answers.pop(0)).rstrip()]

    def has_ended(self) -> bool:
        return False

    def kill(self) -> None:
        self.is_killed = True

    def close(self) -> None:
        assert self.is_killed


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Settings], GoldenWatch]:
    monkeypatch.setattr(fidelity_watch, "Child", Told)
    monkeypatch.setattr(fidelity_watch, "wait", lambda *_: None)
    monkeypatch.setattr(fidelity_watch, "find_sources", lambda *_, **__: [])
    Told.answers, Told.orders, Told.is_slow = [], [], False
    return lambda settings: GoldenWatch(tmp_path / "golden", tmp_path / "out", settings)


def went(epochs: int) -> Progress:
    return Progress("BINANCE", "BTCUSDT", 0, 1, 0, epochs)


def outcome(until_ns: int) -> Answer:
    one = Outcome(
        exchange="BINANCE",
        symbol="BTCUSDT",
        verdict="PASS",
        reason="as told",
        score=1.0,
        until_ns=until_ns,
        report="x",
    )
    return Answer(outcomes=(one,))


def test_a_batch_begins_where_the_last_report_ended_and_the_whole_at_the_start(
    watch: Callable[[Settings], GoldenWatch],
) -> None:
    Told.answers = [outcome(500), outcome(900), outcome(900)]
    one = watch(Settings())
    with one.over([BTC], lambda _: None, is_live=True) as look:
        for epochs in (0, 0, 1, 1, 2, 3):
            look(went(epochs))
        told = one.finish()
    assert [(order.name, order.parts[0].since_ns) for order in Told.orders] == [
        ("batch-000001", 0),
        ("batch-000002", 500),
        ("whole", 0),
    ]
    assert [row["name"] for row in told] == ["batch-000001", "batch-000002", "whole"]


def test_while_one_is_at_work_no_other_is_begun(watch: Callable[[Settings], GoldenWatch]) -> None:
    one = watch(Settings())
    Told.is_slow = True
    with one.over([BTC], lambda _: None, is_live=True) as look:
        for epochs in range(20):
            look(went(epochs))
        assert len(Told.orders) == 1


def test_without_a_live_source_there_is_one_report(watch: Callable[[Settings], GoldenWatch]) -> None:
    Told.answers = [outcome(1)]
    one = watch(Settings())
    with one.over([BTC], lambda _: None, is_live=False) as look:
        look(went(3))
        one.finish()
    assert [order.name for order in Told.orders] == ["whole"]


def test_one_that_takes_too_long_is_ended_and_told(watch: Callable[[Settings], GoldenWatch]) -> None:
    one = watch(Settings(report_s=1))
    Told.is_slow = True
    with one.over([BTC], lambda _: None, is_live=False):
        began = time.monotonic()
        (told,) = one.finish()
        assert time.monotonic() - began < 5
    assert told == {"name": "whole", "problem": "no report within 1 s (report_s)"}


def test_an_order_survives_the_wire(tmp_path: Path) -> None:
    path = tmp_path / "d\udcff"
    order = Order(dataset=path, golden=path, parts=(Part(BTC, 5),), folder=path, name="whole", key_file=None)
    assert decode_order(encode(order)) == order


@pytest.mark.skipif("RLX_TEST_FOLLOW" not in os.environ, reason="starts processes: RLX_TEST_FOLLOW=1")
def test_a_capture_that_is_followed_gets_reports_of_its_batches(tmp_path: Path) -> None:
    """A process that is really started; golden is the recording itself, so all that is told is exact."""
    golden = capture(tmp_path / "golden.gz", MARKET)
    recording = Recording(tmp_path / "capture", ("BTCUSDT",))
    parts = iter(in_parts(arrivals(lines_of(MARKET), "BTCUSDT"), 3))
    recording.write(next(parts))
    reports = tmp_path / "out" / "fidelity" / "BINANCE+BTCUSDT"

    def record() -> None:
        gives_up_at = time.monotonic() + 5  # it may come with the next segment only
        while not (reports / "batch-000001" / "fidelity.json").exists() and time.monotonic() < gives_up_at:
            time.sleep(0.2)
        for part in parts:
            recording.write(part)
        recording.close()

    recorder = threading.Thread(target=record)
    recorder.start()
    told = reconstruct(tmp_path / "capture", tmp_path / "out", SETTINGS, follow=True, golden=golden)
    recorder.join()
    names = [one["name"] for one in told["fidelity"]]
    assert (names[0], names[-1]) == ("batch-000001", "whole")
    assert {path.name for path in reports.iterdir()} == set(names)
    assert all(one["verdict"] != "FAIL" for one in told["fidelity"])
