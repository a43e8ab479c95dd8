"""From a faulty exchange to the dataset: no book state called valid is wrong, every trade is accounted for.

``RLX_TEST_SEEDS`` sets the number of seeds of each market (1 by default).
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.depth import deep
from tests.pipeline.captures import capture as simulated

from rlx_datapipe.capture.progress import Progress
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.core.event import Flag
from rlx_datapipe.pipeline.capture import capture
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.serve import exchange_of
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.exchange.fault_plan import (
    AfterTime,
    Corrupt,
    Delay,
    Displaced,
    FaultPlan,
    OnMessages,
    Oversize,
    Refusal,
    Stall,
)
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.store.capture_files import CaptureFolder
from rlx_datapipe.store.dataset import open_dataset

SEEDS = int(os.environ.get("RLX_TEST_SEEDS", "1"))
SPEED = 6.0
BEST = ("best_bid_price", "best_bid_quantity", "best_ask_price", "best_ask_quantity")
QUICK = CaptureSettings(
    ntp_server="",
    microseconds=False,
    stall_s=0.4,
    pong_s=0.2,
    silence_s=1.5,
    lost_s=1.0,
    lost_messages=20,
    backoff_s=0.1,
    backoff_max_s=0.5,
    connects_per_s=10.0,
    hold_ms=100,
    snapshot_every_s=1.0,
    message_bytes_max=1 << 20,
)


def plan(seed: int) -> FaultPlan:
    return FaultPlan(
        seed=seed,
        drop=OnMessages(rate=0.002),
        duplicate=OnMessages(rate=0.005),
        reorder=OnMessages(rate=0.002),
        delay=Delay(rate=0.002, delay_ms=40.0),
        corrupt=Corrupt(rate=0.001),
        wrong_symbol=OnMessages(rate=0.001),
        oversized=Oversize(rate=0.0005, size_bytes=2 << 20),
        stall=Stall(rate=0.0005, stall_ms=900.0),
        half_open=OnMessages(rate=0.0003),
        disconnect=OnMessages(rate=0.0005),
        cut=AfterTime(after_s=1.5, warn_s=0.4),
        http_429=Refusal(rate=0.1, retry_after_s=1),
        stale_snapshot=Displaced(rate=0.2, messages=5),
        new_snapshot=Displaced(rate=0.2, messages=3),
    )


class Served:
    """An exchange in a thread of its own, with faults."""

    def __init__(self, recording: Path, seed: int) -> None:
        options = ExchangeOptions(speed=SPEED, has_limits=False, at_end="hold", book_wait_s=1.0)
        self.exchange = exchange_of([recording], options, plan=plan(seed))
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        async with self.exchange:
            self._ready.set()
            await asyncio.get_running_loop().run_in_executor(None, self._stop.wait)

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def record(served: Served, folder: Path, venue: str) -> Counter[str]:
    """Capture the replay to its end; the faults that happened."""
    quiet = [0]

    def look(_progress: Progress, _disk_bytes: int) -> None:
        quiet[0] += served.exchange.playhead.is_ended
        if quiet[0] == 2:
            signal.raise_signal(signal.SIGINT)

    url = served.exchange.url
    settings = msgspec.structs.replace(QUICK, ws_url=url, rest_url=url.replace("ws:", "http:"))
    capture(
        ["BTCUSDT"],
        folder,
        venue=venue,
        streams=["trade", "depth@100ms" if venue == "binance-spot" else "depth@0ms", "bookTicker"],
        settings=settings,
        duration_s=60,
        on_progress=look,
    )
    return served.exchange.truth.counts


def states(dataset: Path) -> dict[int, tuple[object, ...]]:
    """Best prices and quantities after each update group whose book is called valid, by update id."""
    events = open_dataset(dataset).events.filter(
        (pl.col("event_type") == "BOOK_DELTA")
        & (pl.col("flags") & int(Flag.GROUP_END) != 0)
        & (pl.col("flags") & int(Flag.BOOK_INVALID | Flag.NOT_APPLIED) == 0)
    )
    return {row[0]: row[1:] for row in events.select("update_id", *BEST).collect().iter_rows()}


def trade_ids(dataset: Path) -> list[int]:
    events = open_dataset(dataset).events.filter(pl.col("event_type") == "TRADE")
    return events.select("trade_id").collect().to_series().to_list()


def declared(folder: Path) -> set[int]:
    """Trade ids that the capture says it lacks."""
    gaps = [gap for file in CaptureFolder(folder).files() if file.entry for gap in file.entry.gaps]
    return {
        number
        for gap in gaps
        if gap.stream == "btcusdt@trade" and gap.from_id is not None and gap.to_id is not None
        for number in range(gap.from_id, gap.to_id + 1)
    }


@pytest.mark.parametrize("venue", [pytest.param("binance-spot", marks=deep), "binance-usdm"])
def test_no_valid_state_is_wrong_and_no_trade_is_lost_without_a_word(venue: str, tmp_path: Path) -> None:
    config = MarketConfig(venue=venue, duration_s=15, orders_per_s=400, levels=200, snapshot_every_s=5)
    recording = simulated(tmp_path / "recording.gz", config)
    reconstruct(recording, tmp_path / "true")
    true, all_trades = states(tmp_path / "true"), trade_ids(tmp_path / "true")
    faults, compared = Counter[str](), 0
    for seed in range(SEEDS):
        folder, out = tmp_path / f"capture-{seed}", tmp_path / f"out-{seed}"
        with Served(recording, seed) as served:
            faults += record(served, folder, venue)
        reconstruct(folder, out)
        found = states(out)
        wrong = {update_id for update_id, state in found.items() if true.get(update_id) != state}
        assert not wrong, (seed, sorted(wrong)[:5])
        compared += len(found)
        counted = Counter(trade_ids(out))
        assert max(counted.values()) == 1, seed
        between = range(min(counted), max(counted) + 1)
        lost = set(all_trades).intersection(between) - set(counted) - declared(folder)
        assert not lost, (seed, sorted(lost)[:5])
    assert compared > 20 * SEEDS
    assert len(faults) >= 8, faults
