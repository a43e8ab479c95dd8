"""Strategies end to end: what is chosen, what is refused, what is written, and that kills change nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.depth import deep

from rlx_datapipe.assessment.strategy import Strategy
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError, SourceError
from rlx_datapipe.core.event import Flag
from rlx_datapipe.ingestion import recognise
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.export import export
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.serve import exchange_of
from rlx_datapipe.pipeline.strategy import choose_strategy, facts_of
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.replay.rebuild import rebuild
from rlx_datapipe.replay.strategies import STRATEGIES
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.store.dataset import dataset_digest, open_dataset
from rlx_datapipe.store.manifest import read_manifest
from rlx_datapipe.venues.crypto_lake import LEVELS

ROOT = Path(__file__).parents[2]
PROOFS = Path(__file__).with_name("snapshot_proofs.py")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tables of one symbol; some seconds of a busy market."""
    return write_archive(ArchiveConfig(rows=12_000, levels=200), tmp_path_factory.mktemp("lake"))


def without_deltas(archive: Path) -> list[Path]:
    return [archive / "trades", archive / "book"]


@pytest.fixture(scope="module")
def dataset(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `auto` makes of trades and snapshots alone."""
    out = tmp_path_factory.mktemp("out") / "snapshot"
    reconstruct(without_deltas(archive), out)
    return out


def test_a_rebuilt_book_says_what_the_last_snapshot_covered(dataset: Path) -> None:
    """Not what the last keyframe did: the market may have left that range long ago."""
    held = open_dataset(dataset)
    [chain] = held.manifest.chains
    events = held.events.select("event_id", "update_id", "flags").collect()
    ended = Flag.INFERRED | Flag.GROUP_END
    stated = [
        event
        for event, update_id, flags in events.iter_rows()
        if flags & ended == ended and update_id is not None
    ]
    assert len(stated) > 50
    moved = set()
    for event in stated[:: len(stated) // 25]:
        book = rebuild(held, chain, event)
        bids, asks = book.levels.bid_prices, book.levels.ask_prices
        assert ((bids >= book.known_low).sum(), (asks <= book.known_high).sum()) == (LEVELS, LEVELS)
        later = rebuild(held, chain, min(event + 3, len(events) - 1))
        assert (later.levels.bid_prices >= later.known_low).sum() <= LEVELS
        moved.add((book.known_low, book.known_high))
    assert len(moved) > 10


# ── which one it is ──


def test_all_agree_on_the_names() -> None:
    assert list(STRATEGIES) == [one.value for one in Strategy]
    for name in STRATEGIES:
        assert Settings(strategy=name).strategy == name  # type: ignore[arg-type]


def test_what_there_is_tells_which_strategy(archive: Path) -> None:
    for tables, expected in (
        (("trades", "book", "book_delta_v2"), "full"),
        (("trades", "book"), "snapshot"),
        (("book",), "snapshot"),
        (("trades",), "origin_time_sort"),
        (("trades", "book_delta_v2"), "origin_time_sort"),
    ):
        [source] = find_sources([archive / table for table in tables], Settings())
        chosen = choose_strategy(source, Settings())
        assert chosen.name == expected, tables
        assert all(chosen.reasons)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (("depthUpdate", "trade", "snapshot"), "full"),
        (("depthUpdate", "trade"), "full"),
        (("trade", "snapshot"), "snapshot"),
        (("trade", "bookTicker"), "origin_time_sort"),
    ],
)
def test_a_long_head_of_a_recording_tells_what_is_not_in_it(
    kinds: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A depth update that is not among the first messages is nowhere; a snapshot may still come."""
    monkeypatch.setattr(recognise, "_TELLING_MESSAGES", 20)
    market = MarketConfig(duration_s=3, orders_per_s=300, levels=50, snapshot_levels=20, snapshot_every_s=1)
    marks = {
        "depthUpdate": b"@depth",
        "trade": b"@trade",
        "bookTicker": b"@bookTicker",
        "snapshot": b"lastUp",
    }
    wanted = [marks[kind] for kind in kinds]
    path = tmp_path / "capture.gz"
    write_capture((line for line in simulate(market) if any(mark in line for mark in wanted)), path)
    [source] = find_sources([path], Settings())
    assert choose_strategy(source, Settings()).name == expected


def test_a_short_head_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "capture.gz"
    lines = [line for line in simulate(MarketConfig(duration_s=2)) if b"@trade" in line]
    write_capture(lines[:50], path)
    [source] = find_sources([path], Settings())
    assert source.kinds == frozenset()
    assert facts_of(source).has_deltas
    assert choose_strategy(source, Settings()).name == "full"


@pytest.mark.parametrize(
    ("tables", "asked", "lacks"),
    [(("trades", "book"), "full", "deltas"), (("trades", "book_delta_v2"), "snapshot", "snapshots")],
)
def test_what_a_source_has_not_can_not_be_asked_of_it(
    tables: tuple[str, ...], asked: Any, lacks: str, archive: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=f"has no {lacks}") as caught:
        reconstruct([archive / table for table in tables], tmp_path / "out", Settings(strategy=asked))
    assert "suits it" in str(caught.value)
    assert not (tmp_path / "out").exists()


# ── what it leaves in the dataset ──


def test_a_dataset_says_how_its_events_got_their_book(dataset: Path) -> None:
    [chain] = read_manifest(dataset).chains
    assert chain.strategy == "snapshot"
    [told] = inspect(dataset)["chains"]
    assert told["strategy"] == "snapshot"
    assert "no deltas" in told["strategy_reasons"][0]
    first = open_dataset(dataset).quality.collect().row(0, named=True)
    assert (first["kind"], first["severity"]) == ("strategy", "warn")


def test_each_snapshot_is_the_book_that_its_rows_in_the_dataset_make(archive: Path, dataset: Path) -> None:
    """An own reading: Parquet rows of `book` against the deltas of `events`, by two dictionaries."""
    [path] = (archive / "book").rglob("*.parquet")
    stated = {row["sequence_number"]: row for row in pq.read_table(path).to_pylist()}
    sides: dict[str, dict[float, float]] = {"bid": {}, "ask": {}}
    compared = 0
    events = open_dataset(dataset).events.select(
        "event_type", "update_id", "side", "price", "quantity", "flags"
    )
    for kind, update, side, price, quantity, flags in events.collect().iter_rows():
        if kind == "TRADE":
            continue
        assert kind == "BOOK_SNAPSHOT" or flags & Flag.INFERRED
        sides[side].pop(float(price), None)
        if quantity:
            sides[side][float(price)] = float(quantity)
        if flags & Flag.GROUP_END and update is not None:
            row = stated.pop(update)
            for name, held in sides.items():
                best = sorted(held.items(), reverse=name == "bid")[:LEVELS]
                assert best == [(row[f"{name}_{i}_price"], row[f"{name}_{i}_size"]) for i in range(LEVELS)]
            compared += 1
    # A snapshot that says what trades had made of the book already needs no change.
    assert compared > 50
    [told] = inspect(dataset)["chains"]
    assert told["quality"]["snapshot_met"] == pq.read_metadata(path).num_rows - 1
    assert told["drift"]["samples"] == 0


def test_what_was_inferred_is_not_handed_on_as_if_a_venue_had_sent_it(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no deltas but inferred ones"):
        export(dataset, tmp_path / "lake")
    assert not (tmp_path / "lake").exists()
    with pytest.raises(DatasetError, match="BTC-USDT, strategy snapshot"):
        exchange_of([dataset])


def test_the_answer_does_not_depend_on_batches_threads_or_processes(
    archive: Path, dataset: Path, tmp_path: Path
) -> None:
    expected = dataset_digest(open_dataset(dataset))
    for number, (settings, workers) in enumerate(
        [(Settings(batch_rows=50, threads=1), 0), (Settings(batch_rows=1_000), 1)]
    ):
        told = reconstruct(without_deltas(archive), tmp_path / str(number), settings, workers=workers)
        assert told["digest"] == expected


def test_deltas_that_are_there_make_no_difference_to_it(archive: Path, dataset: Path, tmp_path: Path) -> None:
    told = reconstruct(archive, tmp_path / "out", Settings(strategy="snapshot"))
    assert told["digest"] == dataset_digest(open_dataset(dataset))


def test_full_is_the_same_whether_it_was_asked_for_or_chosen(archive: Path, tmp_path: Path) -> None:
    chosen, asked = (
        reconstruct(archive, tmp_path / name, Settings(strategy=name)) for name in ("auto", "full")
    )
    assert chosen["digest"] == asked["digest"]
    assert [one["chains"][0]["strategy"] for one in (chosen, asked)] == ["full", "full"]
    assert "strategy" not in chosen["chains"][0]["quality"], "its rows are those of earlier versions"


def test_a_merge_keeps_every_event_and_no_book(archive: Path, tmp_path: Path) -> None:
    told = reconstruct(archive, tmp_path / "out", Settings(strategy="origin_time_sort"))
    [chain] = told["chains"]
    rows = {
        table: sum(pq.read_metadata(path).num_rows for path in (archive / table).rglob("*.parquet"))
        for table in ("trades", "book", "book_delta_v2")
    }
    assert chain["events_by_type"] == {
        "TRADE": rows["trades"],
        "BOOK_SNAPSHOT": rows["book"] * 2 * LEVELS,
        "BOOK_DELTA": rows["book_delta_v2"],
    }
    assert chain["events_without_book"] == chain["events"]
    assert chain["rows"]["books"] == chain["rows"]["keyframes"] == 0
    best = open_dataset(tmp_path / "out").events.select("best_bid_price").collect()["best_bid_price"]
    assert best.null_count() < len(best) / 10, "the last snapshot's prices stand all the same"


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_rule_of_validation_understands_it(name: Any, archive: Path, tmp_path: Path) -> None:
    reconstruct(archive, tmp_path / "out", Settings(strategy=name))
    report = validate(tmp_path / "out")
    failed = [rule.name for rule in report.rules if rule.verdict == "fail"]
    assert failed == []
    verdicts = {rule.name: rule.verdict for rule in report.rules}
    assert (verdicts["snapshot_equality"] == "skipped") == (name != "full"), "by construction proves nothing"


# ── going on ──


def test_another_strategy_does_not_go_on_with_a_dataset(archive: Path, dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    with pytest.raises(DatasetError, match="other settings"):
        reconstruct(without_deltas(archive), copy, Settings(strategy="origin_time_sort"), resume=True)


def test_a_dataset_of_an_earlier_version_is_one_of_full(archive: Path, tmp_path: Path) -> None:
    """There was no choice then: no setting, no word of it in the record of the chain."""
    out = tmp_path / "out"
    reconstruct(archive, out)
    head = json.loads((out / "rlx.json").read_text())
    del head["settings"]["strategy"]
    (out / "rlx.json").write_text(json.dumps(head))
    [record] = (out / "chains").glob("*.json")
    told = json.loads(record.read_text())
    del told["strategy"]
    record.write_text(json.dumps(told))
    assert reconstruct(archive, out, resume=True)["chains"][0]["was_complete"]
    assert inspect(out)["chains"][0]["strategy"] == "full"


@deep
def test_killed_anywhere_it_ends_the_same(tmp_path: Path) -> None:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, PROOFS, tmp_path],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["wrong"] == []
    assert told["epochs"] >= 3
    assert told["inferred"] > 100
    assert told["kills"] >= 12
