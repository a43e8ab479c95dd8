"""Each planted fault is found by its own rule, and by no other that should stay silent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.depth import thinned
from tests.validation.harness import (
    Change,
    PlainOracle,
    capture,
    market,
    measures,
    rebuilt,
    tamper,
    weighty,
    with_value,
)

from rlx_datapipe.core.event import Flag
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.simulation import faults
from rlx_datapipe.validation.oracle import EQUAL_SHARE_MIN

Plant = Callable[[Iterable[bytes]], Iterator[bytes]]


def test_a_corrupted_quantity_is_a_changed_group_and_a_wrong_best(tmp_path: Path) -> None:
    lines = tuple(faults.corrupt_quantity(market(), 20))
    clean = capture(tmp_path, market(), "clean")
    report = validate(rebuilt(tmp_path, lines), golden=clean)
    plain = PlainOracle(lines)
    assert report.verdict == "fail"
    assert weighty(report) == {"update_id_oracle", "decimal_round_trip"}
    assert (report.oracle["compared"], report.oracle["equal"]) == (plain.compared, plain.equal)
    assert plain.equal < EQUAL_SHARE_MIN * plain.compared
    assert [one["update_id"] for one in report.oracle["differing"]] == plain.differing
    first = report.oracle["differing"][0]
    quantity = first["fields"][0]
    assert Decimal(first["found"][quantity]) - Decimal(first["expected"][quantity]) == 1
    assert measures(report, "decimal_round_trip")["update_groups"]["changed"] == 1


def test_a_dropped_message_is_a_gap_and_a_missing_group(tmp_path: Path) -> None:
    clean = capture(tmp_path, market(), "clean")
    dataset = rebuilt(tmp_path, faults.drop_depth(market(), 20))
    report = validate(dataset, golden=clean)
    assert weighty(report) == {"sequence", "decimal_round_trip"}
    assert report.gaps == 1
    assert measures(report, "decimal_round_trip")["update_groups"]["missing"] == 1
    own = validate(dataset, golden=tmp_path / "capture.gz")
    assert weighty(own) == {"sequence"}
    assert measures(own, "decimal_round_trip")["update_groups"]["missing"] == 0


@pytest.mark.parametrize("venue", ["binance-spot", "binance-usdm"])
def test_a_gap_that_the_dataset_hides_is_recounted(venue: str, tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market(venue))
    tamper(dataset, "events", _without_group(20))
    # Books of the events that moved are thrown away, so that only the lost group can speak.
    tamper(dataset, "books", lambda rows: rows.slice(0, 1))
    tamper(dataset, "keyframes", lambda rows: rows.slice(0, 1))
    assert weighty(validate(dataset)) == set()
    report = validate(dataset, golden=tmp_path / "capture.gz")
    assert weighty(report) == {"sequence", "decimal_round_trip"}
    assert report.gaps == 0
    assert measures(report, "sequence")["links_broken"] == 1


def _without_group(k: int) -> Change:
    """Remove the k-th applied update group and number the rest anew."""

    def change(rows: pa.Table) -> pa.Table:
        flags = rows["flags"].to_numpy()
        deltas = pc.equal(rows["event_type"], "BOOK_DELTA").to_numpy(zero_copy_only=False)
        ids = rows["update_id"].fill_null(-1).to_numpy()
        chosen = ids[deltas & (flags & Flag.GROUP_END != 0) & (flags & Flag.NOT_APPLIED == 0)][k]
        kept = rows.filter(pa.array(~(deltas & (ids == chosen))))
        return kept.set_column(0, rows.schema.field(0), pa.array(np.arange(len(kept))))

    return change


def test_no_snapshot_means_nothing_to_compare(tmp_path: Path) -> None:
    report = validate(rebuilt(tmp_path, faults.remove_snapshots(market())))
    assert report.verdict == "fail"
    assert weighty(report) == {"update_id_oracle"}
    assert weighty(report, "warn") == {"sequence"}
    assert report.oracle["compared"] == 0


HARMLESS: dict[str, Plant] = {
    "twice": lambda lines: faults.duplicate_depth(lines, 20),
    "swapped": lambda lines: faults.swap_depth(lines, 20),
    "late snapshot": lambda lines: faults.delay_snapshot(lines, 900),
    "garbage": lambda lines: faults.insert_garbage(lines, 50),
}


@pytest.mark.parametrize("fault", HARMLESS)
def test_what_the_replay_mends_is_no_fault(fault: str, tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, HARMLESS[fault](market()))
    for golden in (tmp_path / "capture.gz", capture(tmp_path, market(), "clean")):
        report = validate(dataset, golden=golden)
        assert report.verdict == "pass", report.findings
        assert report.oracle["equal"] == report.oracle["compared"] > 0


ROW = 4_000
FINEST = Decimal("0.000000000000000001")
TAMPERED: dict[str, tuple[str, Change, set[str]]] = {
    "a number twice": ("events", with_value("event_id", 10, 9), {"chronology"}),
    "time runs back": (
        "events",
        with_value("origin_time", -1, lambda time: time - 60 * 10**9),
        {"chronology"},
    ),
    "crossed columns": (
        "events",
        with_value("best_bid_price", ROW, lambda price: price + 1_000),
        {"crossed"},
    ),
    "crossed flag alone": (
        "events",
        with_value("flags", ROW, lambda flags: flags | Flag.CROSSED),
        {"crossed"},
    ),
    "finer than the scale": (
        "events",
        with_value("quantity", ROW, lambda value: (value or 0) + FINEST),
        {"decimal_round_trip"},
    ),
    "best of a sampled book": (
        "books",
        with_value("bid_quantities", 5, lambda values: [values[0] + 1, *values[1:]]),
        {"books_match_events"},
    ),
    "best of a full book": (
        "keyframes",
        with_value("ask_prices", 0, lambda values: values[1:]),
        {"books_match_events"},
    ),
    "book without an event": ("books", with_value("event_id", -1, 10**9), {"books_match_events"}),
}


@pytest.mark.parametrize("fault", thinned(TAMPERED, 2))
def test_a_tampered_row_is_found_by_its_rule(fault: str, tmp_path: Path) -> None:
    table, change, rules = TAMPERED[fault]
    dataset = rebuilt(tmp_path, market())
    tamper(dataset, table, change)
    report = validate(dataset)
    assert report.verdict == "fail"
    assert weighty(report) == rules, report.findings


def test_a_whole_message_may_step_back_with_the_exchanges_clock(tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market())

    def change(rows: pa.Table) -> pa.Table:
        ids, times = rows["update_id"].fill_null(-1).to_numpy(), rows["origin_time"].to_numpy().copy()
        times[ids == ids.max()] -= 10**9
        at = rows.schema.get_field_index("origin_time")
        return rows.set_column(at, rows.schema.field(at), pa.array(times))

    tamper(dataset, "events", change)
    report = validate(dataset)
    assert report.verdict == "pass"
    assert weighty(report, "warn") == {"chronology"}
    assert measures(report, "chronology")["clock_stepped_back"] > 1


def test_a_number_out_of_range_is_counted_not_fatal(tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market())
    tamper(dataset, "events", with_value("quantity", ROW, Decimal(10) ** 19))
    tamper(dataset, "events", with_value("price", ROW + 1, Decimal(-1)))
    report = validate(dataset)
    assert weighty(report) == {"decimal_round_trip"}
    assert measures(report, "decimal_round_trip")["unscaled"] == 2


def test_a_changed_trade_is_named(tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market())
    changed: list[int] = []

    def change(rows: pa.Table) -> pa.Table:
        trades = np.flatnonzero(pc.equal(rows["event_type"], "TRADE").to_numpy(zero_copy_only=False))
        row = int(trades[7])
        changed.append(rows["trade_id"][row].as_py())
        return with_value("quantity", row, lambda quantity: quantity * 2)(rows)

    tamper(dataset, "events", change)
    report = validate(dataset, golden=tmp_path / "capture.gz")
    assert weighty(report) == {"decimal_round_trip"}
    finding = next(one for one in report.findings if one.severity == "gate")
    assert finding.measures["changed_ids"] == changed


def test_a_source_must_be_there_to_its_end_but_another_capture_may_be_longer(tmp_path: Path) -> None:
    lines = market()
    cut = rebuilt(tmp_path, lines[: len(lines) * 3 // 4], "cut")
    longer = capture(tmp_path, lines, "longer")
    assert validate(cut, golden=longer).verdict == "pass"
    shorter = validate(rebuilt(tmp_path, lines, "whole"), golden=tmp_path / "cut.gz")
    assert shorter.verdict == "pass", shorter.findings
    assert 0 < shorter.oracle["compared"] == shorter.oracle["equal"]
    assert measures(shorter, "update_id_oracle")["groups_beyond_golden"] > 5
    whole = rebuilt(tmp_path, lines, "again")
    tamper(whole, "events", lambda rows: rows.slice(0, len(rows) * 3 // 4))
    tamper(whole, "books", lambda rows: rows.slice(0, 10))
    report = validate(whole, golden=tmp_path / "again.gz")
    assert weighty(report) == {"decimal_round_trip"}
    assert measures(report, "decimal_round_trip")["update_groups"]["missing"] > 5


def test_drift_against_a_later_snapshot(tmp_path: Path) -> None:
    lines = list(market(snapshot_every_s=2))
    places = [k for k, line in enumerate(lines) if faults.is_snapshot(line)]
    received, _, message = lines[places[1]].partition(b" ")
    told = json.loads(message)
    told["asks"][-300][1] = "123.00000000"
    lines[places[1]] = received + b" " + json.dumps(told, separators=(",", ":")).encode()
    report = validate(rebuilt(tmp_path, lines))
    found = measures(report, "snapshot_equality")
    # The book follows the wrong statement, and the next, right one corrects it again.
    assert found["snapshots"] - found["exact"] == 2
    assert report.verdict == "pass"
    assert weighty(report, "warn") == {"snapshot_equality"}
    assert found["levels_compared"] - found["levels_matched"] == 2
    assert found["best_price_rms_error_max"] == 0
    assert 0 < found["depth_error_max"] < 1
    assert measures(report, "books_match_events")["books"]["different"] == 0
