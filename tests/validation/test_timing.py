"""Clocks and gaps: lags, resolutions, silences and steps as planted; a share of gaps that may pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.validation.harness import Change, market, measures, rebuilt, tamper, weighty

from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.simulation import faults
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.validation import sequence

_SECOND_NS = 10**9


def _received(change: Change) -> Change:
    """A change of the receive times alone."""

    def changed(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index("received_time")
        return rows.set_column(at, rows.schema.field(at), change(rows))

    return changed


def _spread_out(rows: pa.Table) -> pa.Table:
    """Five seconds become five minutes: both clocks, in whole milliseconds, with a lag of 7 ms."""
    origin = rows["origin_time"].to_numpy()
    origin = origin[0] // 60_000_000_000 * 60_000_000_000 + (origin - origin[0]) // 10**6 * 60 * 10**6
    for name, times in (("origin_time", origin), ("received_time", origin + 7 * 10**6)):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(times))
    return rows


def test_lags_are_those_of_the_events(tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market())
    told = measures(validate(dataset), "timing")
    events = open_dataset(dataset).events.collect()
    lags = np.sort(
        (events["received_time"].dt.timestamp("ns") - events["origin_time"].dt.timestamp("ns")).to_numpy()
    )
    assert told["lags"] == len(lags)
    assert told["lag_ns_max"] == lags[-1]
    for name, share in (("lag_ns_p50", 0.5), ("lag_ns_p99", 0.99)):
        assert told[name] == pytest.approx(lags[int(np.ceil(share * len(lags))) - 1], rel=0.002)
    assert told["clock_steps"] == 0
    assert 0 < told["longest_silence_ns"] < _SECOND_NS


def test_resolutions_are_read_off_the_stamps(tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market())
    tamper(dataset, "events", _spread_out)
    told = measures(validate(dataset), "timing")
    assert told["origin_time_resolution_ns"] == 60 * 10**6
    assert told["lag_ns_p50"] == pytest.approx(7 * 10**6, rel=0.002)
    assert told["lag_ns_max"] == 7 * 10**6


@pytest.mark.parametrize(("step_ms", "steps"), [(200, 0), (300, 1), (-400, 1)])
def test_a_clock_that_was_set_is_a_warning(step_ms: int, steps: int, tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market())
    tamper(dataset, "events", _spread_out)

    def stepped(rows: pa.Table) -> pa.Array:
        received, origin = (rows[name].to_numpy() for name in ("received_time", "origin_time"))
        later = origin >= origin[0] + 120 * _SECOND_NS
        return pa.array(received + np.where(later, step_ms * 10**6, 0))

    tamper(dataset, "events", _received(stepped))
    report = validate(dataset)
    told = measures(report, "timing")
    assert told["clock_steps"] == steps
    assert told["largest_clock_step_ns"] == abs(step_ms) * 10**6
    assert ("timing" in weighty(report, "warn")) == bool(steps)
    assert "timing" not in weighty(report)


def test_a_silence_is_as_long_as_it_is(tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market())

    def with_a_pause(rows: pa.Table) -> pa.Table:
        late = pc.greater_equal(rows["event_id"], rows.num_rows // 2).to_numpy(zero_copy_only=False)
        for name in ("origin_time", "received_time"):
            at = rows.schema.get_field_index(name)
            times = rows[name].to_numpy() + np.where(late, 100 * _SECOND_NS, 0)
            rows = rows.set_column(at, rows.schema.field(at), pa.array(times))
        return rows

    before = measures(validate(dataset), "timing")["longest_silence_ns"]
    tamper(dataset, "events", with_a_pause)
    found = measures(validate(dataset), "timing")["longest_silence_ns"]
    assert 100 * _SECOND_NS <= found <= 100 * _SECOND_NS + before


@pytest.mark.parametrize("venue", ["binance-spot", "binance-usdm"])
@pytest.mark.parametrize("dropped", [1, 3])
def test_the_messages_that_gaps_lost_are_told(
    venue: str, dropped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = market(venue)
    for _ in range(dropped):
        lines = tuple(faults.drop_depth(lines, 20))
    dataset = rebuilt(tmp_path, lines)
    report = validate(dataset)
    told = measures(report, "sequence")
    assert told["gaps"] == 1
    # By the ids that a message takes on average: messages of a busy moment take more.
    assert 1 <= told["messages_missing"] <= 3 * dropped
    assert told["messages_missing_share"] == pytest.approx(
        told["messages_missing"] / (told["messages_missing"] + told["messages"]), abs=1e-6
    )
    assert weighty(report) == {"sequence"}
    # The same gap, were it a small enough part of all, asks for a look and no more.
    monkeypatch.setattr(sequence, "MISSING_SHARE_MAX", 0.5)
    few = validate(dataset)
    assert few.gaps == 1
    assert weighty(few) == set()
    assert "sequence" in weighty(few, "warn")


def test_the_share_that_may_be_missing_is_a_hundredth_of_a_per_cent() -> None:
    assert sequence.MISSING_SHARE_MAX == 0.0001
