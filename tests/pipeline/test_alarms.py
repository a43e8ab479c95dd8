"""Alarms speak when drift or gaps are above their threshold, and are counted once; else they are silent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.cli.door import rlx
from tests.pipeline.captures import SPOT, capture, lines_of

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.replayed import Quality, Replayed
from rlx_datapipe.core.state import State
from rlx_datapipe.pipeline.alarms import Alarms
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.tally import Tally
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.telemetry.counters import alarms_counted

NS_PER_S = 1_000_000_000
START_NS = 1_700_000_000 * NS_PER_S
BTC = Instrument("BINANCE", "ALARMUSDT", 2, 8)
NO_MESSAGES = np.zeros((0, 4, 1), dtype=np.int64)
NO_HEADS = np.zeros((0, 4), dtype=np.int64)


def events(
    seconds: list[float], lags_ms: list[float], ids: list[int] | None = None, kind: Kind = Kind.BOOK_DELTA
) -> Int64Array:
    made = empty_events(len(seconds))
    made[Field.KIND] = kind
    made[Field.ORIGIN_TIME] = START_NS + (np.array(seconds) * NS_PER_S).astype(np.int64)
    made[Field.RECEIVED_TIME] = made[Field.ORIGIN_TIME] + (np.array(lags_ms) * 1e6).astype(np.int64)
    made[Field.UPDATE_ID] = ids or range(1, len(seconds) + 1)
    return made


def replayed(rows: Int64Array, quality: list[Quality] | None = None, invalid: int = 0) -> Replayed:
    count = rows.shape[1]
    flags = np.zeros(count, dtype=np.int64)
    flags[count - invalid :] = Flag.BOOK_INVALID
    best = np.zeros((4, count), dtype=np.int64)
    return Replayed(0, rows, best, flags, NO_MESSAGES, NO_HEADS, [], quality or [])


def quality(kind: str, **measures: Any) -> Quality:
    return Quality(kind=kind, severity=Severity.WARN, detail="", from_time=START_NS, measures=measures)


class Watched:
    """A chain as the line watches it: its events are measured, then judged."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.tally = Tally()
        self.alarms = Alarms(BTC, settings or Settings(), self.tally.measures)

    def add(self, stretch: Replayed) -> None:
        self.tally.add_events(stretch)
        self.alarms.add(stretch.quality)

    def resumed(self) -> Watched:
        """Another that goes on from its states as they are stored."""
        other = Watched()
        for name in ("tally", "alarms"):
            state = getattr(self, name).state()
            stored = msgspec.json.decode(msgspec.json.encode(state.values))
            getattr(other, name).restore(State(stored, state.arrays))
        return other


def told(*stretches: Replayed, settings: Settings | None = None) -> dict[str, dict[str, Any]]:
    chain = Watched(settings)
    for stretch in stretches:
        chain.add(stretch)
    return {finding["rule"]: finding for finding in chain.alarms.finish()}


def minutes(lags_ms: list[float]) -> Replayed:
    """Ten events a window of ten seconds, each lag for one window, with noise that only adds."""
    seconds = [10.0 * w + s for w in range(len(lags_ms)) for s in range(10)]
    noisy = [lag + 300 * (s % 3) for lag in lags_ms for s in range(10)]
    return replayed(events(seconds, noisy))


@pytest.mark.parametrize("offset_ms", [0, -1_270, 90_000])
def test_a_constant_offset_and_a_slow_network_are_no_drift(offset_ms: float) -> None:
    assert told(minutes([offset_ms] * 5)) == {}
    stalled = [offset_ms + (0 if s % 10 else 9_000) for s in range(60)]
    assert told(replayed(events(list(range(60)), stalled))) == {}


@pytest.mark.parametrize(("step_ms", "speaks"), [(999, False), (1_000, False), (1_001, True), (-1_500, True)])
def test_a_clock_that_steps_is_drift(step_ms: float, *, speaks: bool) -> None:
    found = told(minutes([-50, -50, -50 + step_ms, -50 + step_ms]))
    assert bool(found) == speaks
    if speaks:
        assert found["time_drift"]["measures"]["drift_ms"] == abs(step_ms)
        assert found["time_drift"]["measures"]["threshold"] == 1_000
        assert "2023-11-14T22:13:20" in found["time_drift"]["message"]


def test_times_of_snapshots_are_not_asked() -> None:
    odd = replayed(events([20, 30, 40], [-50_000, -50_000, -50_000], kind=Kind.BOOK_SNAPSHOT))
    assert told(minutes([0, 0]), odd, minutes([0, 0])) == {}


@pytest.mark.parametrize(("missing", "speaks"), [(1, False), (3, True)])
def test_missing_update_ids_are_a_gap(missing: int, *, speaks: bool) -> None:
    ids = [*range(1, 1_001), *range(1_001 + missing, 2_001 + missing)]
    gap = quality("gap", expected_id=1_001, found_id=1_001 + missing)
    found = told(replayed(events([0.0] * 2_000, [0.0] * 2_000, ids), [gap]))
    assert set(found) == ({"gap"} if speaks else set())
    if speaks:
        assert found["gap"]["measures"]["share"] == missing / (2_000 + missing)
        assert "3 of 2,003 update ids missing" in found["gap"]["message"]


def test_events_without_a_book_are_a_gap_but_not_before_the_first_book() -> None:
    row = events([0.0] * 2_000, [0.0] * 2_000)
    assert told(replayed(row[:, :100], invalid=100), replayed(row[:, 100:], invalid=1)) == {}
    found = told(replayed(row[:, :100], invalid=100), replayed(row[:, 100:], invalid=19))
    assert found["gap"]["measures"]["share"] == 19 / 1_900


def test_best_price_errors_are_weighed_by_all_comparisons() -> None:
    def drifts(*errors: float, equal: int = 0) -> Replayed:
        said = [quality("drift", depth_error=0.0, best_price_rms_error=error) for error in errors]
        return replayed(empty_events(), [*said, quality("check", count=equal)])

    assert told(drifts(0.0015, equal=2), drifts(float("nan"))) == {}
    found = told(drifts(0.0015, 0.0015, equal=1))["best_price"]
    assert found["measures"]["error"] == pytest.approx(0.0015 * np.sqrt(2 / 3))
    assert (found["measures"]["compared"], found["measures"]["worst"]) == (3, 0.0015)
    assert told(drifts(0.0015), settings=Settings(alarm_best_price_error=0.002)) == {}


def test_how_events_are_cut_changes_nothing_nor_does_a_resume() -> None:
    whole = minutes([0, 100, 2_000, 400, -700])
    expected = told(whole)
    assert expected["time_drift"]["measures"]["drift_ms"] == 2_700
    chain = Watched()
    for at in range(0, whole.events.shape[1], 7):
        chain.add(replayed(np.ascontiguousarray(whole.events[:, at : at + 7])))
        chain = chain.resumed()
    assert {finding["rule"]: finding for finding in chain.alarms.finish()} == expected


def test_a_foreign_state_is_refused() -> None:
    with pytest.raises(ValueError, match="not a state of alarms"):
        Watched().alarms.restore(State({"events": 3}))


def test_an_alarm_is_counted_once_and_told_with_what_it_came_to() -> None:
    before = alarms_counted(BTC.exchange, BTC.symbol, "gap")
    chain = Watched()
    row = events([0.0] * 100, [0.0] * 100)
    chain.add(replayed(row, invalid=50))
    chain.alarms.judge()
    chain.alarms.judge()
    assert alarms_counted(BTC.exchange, BTC.symbol, "gap") == before + 1
    resumed = chain.resumed()
    for _ in range(9):
        resumed.add(replayed(row))
    [finding] = resumed.alarms.finish()
    assert finding["measures"]["share"] == 0.05, "of all events, wherever it was judged before"
    assert alarms_counted(BTC.exchange, BTC.symbol, "gap") == before + 1


def stepping(lines: list[bytes]) -> Iterator[bytes]:
    """The recorder's clock jumps ahead by two seconds, half way."""
    for number, line in enumerate(lines):
        stamp, _, rest = line.partition(b" ")
        yield b"%d %s" % (int(stamp) + (number > len(lines) // 2) * 2 * NS_PER_S, rest)


def test_a_run_tells_its_alarms_and_thresholds_change_no_table(tmp_path: Path) -> None:
    clean = reconstruct(capture(tmp_path / "clean.gz", SPOT), tmp_path / "clean")
    assert clean["findings"] == []
    spoilt = tmp_path / "spoilt.gz"
    write_capture(stepping(lines_of(SPOT)), spoilt)
    before = alarms_counted("BINANCE", "BTCUSDT", "time_drift")
    said = reconstruct(spoilt, tmp_path / "spoilt")
    assert alarms_counted("BINANCE", "BTCUSDT", "time_drift") == before + 1
    [finding] = said["findings"]
    assert (finding["symbol"], finding["rule"], finding["severity"]) == ("BTCUSDT", "time_drift", "warn")
    screen = rlx("inspect", tmp_path / "spoilt").out
    assert screen.count("time_drift: the clocks moved by") == 1
    assert "time_drift" not in rlx("inspect", tmp_path / "clean").out
    assert 1_900 < finding["measures"]["drift_ms"] < 2_100
    quiet = reconstruct(spoilt, tmp_path / "quiet", Settings(alarm_drift_ms=3_000))
    assert (quiet["findings"], quiet["digest"]) == ([], said["digest"])


def test_alarms_survive_a_stop(tmp_path: Path) -> None:
    spoilt, settings = tmp_path / "spoilt.gz", Settings(batch_rows=100, epoch_events=500)
    write_capture(stepping(lines_of(SPOT)), spoilt)

    def stop(progress: Progress) -> None:
        if progress.events > 6_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct(spoilt, tmp_path / "cut", settings, on_progress=stop)
    expected = reconstruct(spoilt, tmp_path / "whole", settings)["findings"]
    assert reconstruct(spoilt, tmp_path / "cut", settings, resume=True)["findings"] == expected != []
