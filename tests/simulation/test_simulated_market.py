"""Same seed, same bytes; the wire's shape; clocks, midnight, and what a config refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from rlx_datapipe.simulation.capture_file import read_capture, write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate

MIDNIGHT_MS = 1_723_161_600_000
LINE = re.compile(rb"\d{19} \{.*\}")
PRICE, QUANTITY = (
    {"spot": r"\d+\.\d{8}", "usdm": r"\d+\.\d{2}"},
    {"spot": r"\d+\.\d{8}", "usdm": r"\d+\.\d{3}"},
)
SHAPES = {
    "spot": {
        "depth@100ms": ["e", "E", "s", "U", "u", "b", "a"],
        "trade": ["e", "E", "s", "t", "p", "q", "T", "m", "M"],
        "bookTicker": ["u", "s", "b", "B", "a", "A"],
        "snapshot": ["lastUpdateId", "bids", "asks"],
    },
    "usdm": {
        "depth@0ms": ["e", "E", "T", "s", "U", "u", "pu", "b", "a"],
        "trade": ["e", "E", "T", "s", "t", "p", "q", "X", "m"],
        "bookTicker": ["e", "u", "s", "b", "B", "a", "A", "T", "E"],
        "snapshot": ["lastUpdateId", "E", "T", "bids", "asks"],
    },
}


def small(venue: str = "spot", **changes: Any) -> MarketConfig:
    """Three seconds of a market, two of them before midnight."""
    facts = {"start_ns": (MIDNIGHT_MS - 2_000) * 1_000_000, "duration_s": 3, "orders_per_s": 1_000}
    return MarketConfig(venue=f"binance-{venue}", **(facts | changes))


def frames(lines: tuple[bytes, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind of each line (stream name without symbol, or snapshot) with its data."""
    for line in lines:
        frame = json.loads(line[20:])
        yield (frame["stream"].split("@", 1)[1], frame["data"]) if "data" in frame else ("snapshot", frame)


@pytest.fixture(scope="module", params=["spot", "usdm"])
def venue(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def lines(venue: str) -> tuple[bytes, ...]:
    return tuple(simulate(small(venue)))


def test_the_same_seed_gives_the_same_bytes(venue: str, lines: tuple[bytes, ...], tmp_path: Path) -> None:
    for name in ("one.gz", "two.gz"):
        write_capture(simulate(small(venue)), tmp_path / name)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    assert tuple(read_capture(tmp_path / "one.gz")) == lines


def test_another_seed_gives_another_market(venue: str, lines: tuple[bytes, ...]) -> None:
    other = tuple(islice(simulate(small(venue, seed=8)), 100))
    assert other != lines[:100]


def test_the_skew_moves_receive_times_and_nothing_else(venue: str, lines: tuple[bytes, ...]) -> None:
    other = list(simulate(small(venue, skew_ns=5)))
    assert [line[20:] for line in other] == [line[20:] for line in lines]
    assert {int(a[:19]) - int(b[:19]) for a, b in zip(other, lines, strict=True)} == {1_270_000_005}


def test_keys_and_numbers_are_those_of_the_wire(venue: str, lines: tuple[bytes, ...]) -> None:
    kinds = set()
    for kind, data in frames(lines):
        kinds.add(kind)
        assert list(data) == SHAPES[venue][kind]
        if kind in {"trade", "bookTicker"}:
            texts = [(data[p], data[q]) for p, q in (("p", "q"), ("b", "B"), ("a", "A")) if q in data]
        else:
            texts = [tuple(one) for side in list(data)[-2:] for one in data[side]]
        for price, quantity in texts:
            assert re.fullmatch(PRICE[venue], price)
            assert re.fullmatch(QUANTITY[venue], quantity)
    assert kinds == set(SHAPES[venue])


def test_a_line_is_compact_json_after_a_receive_time(lines: tuple[bytes, ...]) -> None:
    assert all(LINE.fullmatch(line) for line in lines)
    assert all(
        json.dumps(json.loads(line[20:]), separators=(",", ":")).encode() == line[20:] for line in lines
    )


@pytest.mark.recordings
def test_the_shape_is_that_of_the_recordings(venue: str, recordings: Path) -> None:
    real = tuple(islice(read_capture(recordings / f"binance_{venue}" / "btcusdt_20240808.gz"), 2_000))
    seen = {kind: list(data) for kind, data in frames(real)}
    assert seen == SHAPES[venue]


def test_levels_are_ordered_as_the_venue_orders_them(venue: str, lines: tuple[bytes, ...]) -> None:
    for kind, data in frames(lines):
        if kind in {"trade", "bookTicker"}:
            continue
        bids, asks = ([float(price) for price, _ in data[side]] for side in list(data)[-2:])
        falling = venue == "spot" or kind == "snapshot"
        assert bids == sorted(bids, reverse=falling)
        assert asks == sorted(asks)


def test_the_snapshot_comes_after_the_delta_that_straddles_it(lines: tuple[bytes, ...]) -> None:
    before: list[dict[str, Any]] = []
    for kind, data in frames(lines):
        if kind == "snapshot":
            assert any(one["U"] <= data["lastUpdateId"] < one["u"] for one in before)
            assert len(before) >= 2
            return
        if kind.startswith("depth"):
            before.append(data)
    pytest.fail("no snapshot")


def test_each_snapshot_asked_for_is_there() -> None:
    kinds = [kind for kind, _ in frames(tuple(simulate(small(snapshot_every_s=1))))]
    assert kinds.count("snapshot") == 3


def test_receive_times_rise_and_lie_before_the_exchanges(lines: tuple[bytes, ...]) -> None:
    received = [int(line[:19]) for line in lines]
    assert all(earlier < later for earlier, later in pairwise(received))
    lags = [
        at - data["E"] * 1_000_000
        for at, (_, data) in zip(received, frames(lines), strict=True)
        if "E" in data
    ]
    assert max(lags) < -1_100_000_000
    assert min(lags) > -1_270_000_000


def test_no_message_is_sent_before_it_is_matched(lines: tuple[bytes, ...]) -> None:
    waits = [data["E"] - data["T"] for _, data in frames(lines) if "T" in data and "E" in data]
    assert min(waits) == 0
    assert 1 <= max(waits) <= 60


def test_the_market_crosses_midnight_on_both_clocks(lines: tuple[bytes, ...]) -> None:
    sent = [data["E"] for kind, data in frames(lines) if kind.startswith("depth")]
    assert sent == sorted(sent)
    assert sent[0] < MIDNIGHT_MS < sent[-1]
    days = {datetime.fromtimestamp(int(line[:10]), UTC).date().isoformat() for line in (lines[0], lines[-1])}
    assert days == {"2024-08-08", "2024-08-09"} or int(lines[-1][:13]) < MIDNIGHT_MS


def test_the_default_starts_half_a_minute_before_midnight() -> None:
    assert MarketConfig().start_ns == (MIDNIGHT_MS - 30_000) * 1_000_000


def test_a_plain_file_holds_the_lines(lines: tuple[bytes, ...], tmp_path: Path) -> None:
    assert write_capture(lines, tmp_path / "capture.dat") == len(lines)
    assert (tmp_path / "capture.dat").read_bytes() == b"".join(line + b"\n" for line in lines)


def test_a_packed_file_names_no_file_and_no_time(tmp_path: Path) -> None:
    write_capture([b"line"], tmp_path / "capture.gz")
    header = (tmp_path / "capture.gz").read_bytes()[:10]
    assert header[3] == 0, "flags: no file name"
    assert header[4:8] == bytes(4), "no time"


def test_other_symbols_and_scales_reach_the_wire() -> None:
    config = small(
        symbol="币安USDT", price_decimals=4, tick_units=5, mid_price="100.0005", typical_size="2", levels=60
    )
    (_, data), *_ = frames(tuple(islice(simulate(config), 1)))
    assert data["s"] == "币安USDT"
    assert data["b"].split(".")[1][-1] in "05"
    assert re.fullmatch(r"\d+\.\d{4}", data["b"])


@pytest.mark.parametrize("orders_per_s", [1, 20])
def test_a_sleepy_market_still_gets_its_snapshot(venue: str, orders_per_s: int) -> None:
    kinds = [
        kind for kind, _ in frames(tuple(simulate(small(venue, orders_per_s=orders_per_s, duration_s=30))))
    ]
    assert kinds.count("snapshot") == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"venue": "nasdaq"}, "venue must be one of"),
        ({"symbol": "btcusdt"}, "symbol must be upper case"),
        ({"duration_s": 0}, "duration_s must lie in"),
        ({"orders_per_s": 0}, "orders_per_s must lie in"),
        ({"levels": 3}, "levels must lie in"),
        ({"seed": -1}, "seed must lie in"),
        ({"start_ns": 1}, "start_ns must lie in"),
        ({"mid_price": "1.005"}, "mid_price must be a whole number of steps"),
        ({"mid_price": "dear"}, "mid_price must be a decimal number"),
        ({"mid_price": "NaN"}, "mid_price must be"),
        ({"mid_price": "1.00"}, "too few for 1500 levels"),
        ({"typical_size": "0"}, "typical_size must be at least one lot"),
        ({"snapshot_every_s": 0}, "snapshot_every_s must be"),
        ({"volatility_bps": float("nan")}, "volatility_bps must lie in"),
    ],
)
def test_a_config_refuses_what_makes_no_market(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        MarketConfig(**change)
