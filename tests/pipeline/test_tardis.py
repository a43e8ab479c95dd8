"""Tardis files to a dataset, end to end: the same bytes each time, the book as its own rows state it."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from tests.ingestion.tardis_market import BOOK, HEADERS, L2, QUOTES, TRADES, Tape

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.event import Flag
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.store.dataset import open_dataset

DIGEST = "49afea46092dc9a756473f9bea66a14c524a8071dd148e6c152a26bb889e1f54"
"""Of the dataset made of `market`, as the first version made it."""


def market() -> Tape:
    """A minute of market in which the recorder lost its connection once."""
    tape = Tape(seed=3).play(150)
    tape.snapshot(clock_is_ours=True)
    for _ in range(100):
        tape.change()
        tape.trade()
    return tape


def kinds(dataset: Path) -> dict[str, int]:
    quality = open_dataset(dataset).table("quality").collect()
    return dict(quality.group_by("kind").len().sort("kind").iter_rows())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("tardis")
    summary = reconstruct(market().write(folder / "in"), folder / "out")
    return summary, folder / "out"


def test_the_dataset_is_what_it_has_always_been(made: tuple[dict[str, Any], Path]) -> None:
    summary, _ = made
    assert summary["digest"] == DIGEST


@pytest.mark.parametrize("packed", [True, False])
def test_batches_and_packing_change_no_byte(
    packed: bool, made: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    summary, _ = made
    again = reconstruct(
        market().write(tmp_path / "in", packed=packed), tmp_path / "out", Settings(batch_rows=5, threads=1)
    )
    assert again["digest"] == summary["digest"]


def test_the_book_is_what_the_rows_of_book_snapshots_state(made: tuple[dict[str, Any], Path]) -> None:
    summary, out = made
    chain = summary["chains"][0]
    assert chain["drift"]["samples"] == chain["drift"]["exact"] == len(market().rows[BOOK]) + 1
    assert (chain["gaps"], chain["crossed"], chain["quarantined"], chain["late"]) == (0, 0, 0, 0)
    assert kinds(out) == {
        "capture_boundary": 1, "check": 1, "drift": 1, "resync": 1, "sequence_unprovable": 1
    }  # fmt: skip
    oracle = validate(out).oracle
    assert oracle["compared"] == oracle["equal"] == 250


def test_a_message_that_is_missing_shows_where_a_row_of_the_book_is_compared(tmp_path: Path) -> None:
    tape = market()
    lost = tape.rows[BOOK][40].split(",")[3]
    tape.rows[L2] = [line for line in tape.rows[L2] if line.split(",")[3] != lost]
    summary = reconstruct(tape.write(tmp_path / "in"), tmp_path / "out")
    drift = summary["chains"][0]["drift"]
    assert drift["exact"] < drift["samples"]


def blocks(rows: list[str]) -> list[list[str]]:
    """Rows by message."""
    return [list(group) for _, group in groupby(rows, key=lambda line: line.split(",")[3])]


def test_a_message_told_twice_is_a_duplicate_and_two_swapped_ones_are_put_in_order(
    made: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    tape = market()
    messages = blocks(tape.rows[L2])
    messages[40], messages[41] = messages[41], messages[40]
    messages.insert(60, messages[57])
    tape.rows[L2] = [line for message in messages for line in message]
    summary = reconstruct(tape.write(tmp_path / "in"), tmp_path / "out")
    assert summary["chains"][0]["duplicates"] == 1
    same = ["event_type", "origin_time", "update_id", "side", "price", "quantity", "best_bid_price"]
    ours, theirs = (open_dataset(out).events.select(same).collect() for out in (tmp_path / "out", made[1]))
    assert ours.equals(theirs)


def test_a_snapshot_after_a_lost_connection_replaces_the_book(tmp_path: Path) -> None:
    tape = Tape(seed=3).play(20)
    lost = len(tape.rows[L2])
    for _ in range(30):
        tape.change()
    # Nothing of the last thirty messages was recorded; the snapshot states what they led to.
    del tape.rows[L2][lost:]
    tape.snapshot()
    for _ in range(20):
        tape.change()
    summary = reconstruct(tape.write(tmp_path / "in", [L2]), tmp_path / "out")
    assert summary["chains"][0]["drift"]["exact"] == 0
    last = open_dataset(tmp_path / "out").events.collect().row(-1, named=True)
    book = [(max(tape.book[0]), 0), (min(tape.book[1]), 1)]
    assert [int(last[f"best_{side}_price"] * 100) for side in ("bid", "ask")] == [price for price, _ in book]
    assert not last["flags"] & (Flag.BOOK_INVALID | Flag.CROSSED)


def test_quotes_that_differ_are_a_warning_for_they_come_by_another_connection(tmp_path: Path) -> None:
    tape = market()
    tape.rows[QUOTES] = [line.rsplit(",", 1)[0] + ",77" for line in tape.rows[QUOTES]]
    reconstruct(tape.write(tmp_path / "in"), tmp_path / "out")
    report = validate(tmp_path / "out")
    assert (report.oracle["equal"], report.verdict) == (0, "pass")
    found = {one.rule: one.severity.value for one in report.findings}
    assert found["update_id_oracle"] == "warn"


def test_inspection_tells_what_the_files_hold(tmp_path: Path) -> None:
    tape = market()
    (chain,) = inspect(tape.write(tmp_path / "in"))["chains"]
    assert (chain["format"], len(chain["files"]), chain["quarantined"]) == ("tardis", len(HEADERS), 0)
    assert chain["messages"] == {
        BOOK: len(tape.rows[BOOK]), "deltas": 250, QUOTES: len(tape.rows[QUOTES]), "snapshots": 2,
        TRADES: len(tape.rows[TRADES]),
    }  # fmt: skip


# ── without deltas ──


def test_without_deltas_the_book_after_each_snapshot_is_its_row(tmp_path: Path) -> None:
    """An own reading: the cells of `book_snapshot` against the inferred deltas, by dictionaries."""
    tape = market()
    summary = reconstruct(tape.write(tmp_path / "in", [BOOK, TRADES]), tmp_path / "out")
    [chain] = summary["chains"]
    assert chain["strategy"] == "snapshot"
    assert chain["quality"]["snapshot_met"] == len(tape.rows[BOOK]) - 1
    assert (chain["drift"]["samples"], chain["quarantined"]) == (0, 0)
    books: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "ask": {}}
    after: dict[int, list[list[tuple[Decimal, Decimal]]]] = defaultdict(list)
    events = open_dataset(tmp_path / "out").events.collect().iter_rows(named=True)
    for row in events:
        if row["event_type"] == "TRADE":
            continue
        books[row["side"]].pop(row["price"], None)
        if row["quantity"]:
            books[row["side"]][row["price"]] = row["quantity"]
        if row["update_id"] is not None and row["flags"] & Flag.GROUP_END:
            after[row["update_id"]] = [
                sorted(held.items(), reverse=name == "bid")[:5] for name, held in books.items()
            ]
    met = 0
    for line in tape.rows[BOOK]:
        cells = line.split(",")
        levels = [tuple(map(Decimal, cells[at : at + 2])) for at in range(4, len(cells), 2) if cells[at]]
        if (found := after.get(int(cells[3]) * 1_000)) is not None:
            # Level by level, asks first.
            assert [level for pair in zip(found[1], found[0], strict=True) for level in pair] == levels
            met += 1
    assert met > 60


def test_trades_without_ids_take_each_for_itself(tmp_path: Path) -> None:
    """Two that are alike are two: no id says that they are one."""
    told = []
    for name, identity in (("numbered", None), ("nameless", "")):
        tape = market()
        cells = [line.split(",") for line in tape.rows[TRADES]]
        if identity is not None:
            tape.rows[TRADES] = [",".join((*row[:4], identity, *row[5:])) for row in cells]
        [chain] = reconstruct(tape.write(tmp_path / name, [BOOK, TRADES]), tmp_path / f"{name}_out")["chains"]
        told.append((chain["events_by_type"], chain["quality"]["inferred"], chain["duplicates"]))
    assert told[0] == told[1]


def test_deltas_of_tardis_that_are_there_are_not_read_by_it(tmp_path: Path) -> None:
    alone = reconstruct(market().write(tmp_path / "few", [BOOK, TRADES, QUOTES]), tmp_path / "few_out")
    beside = reconstruct(
        market().write(tmp_path / "all"), tmp_path / "all_out", Settings(strategy="snapshot", batch_rows=5)
    )
    assert beside["digest"] == alone["digest"]


def test_deltas_of_tardis_start_from_their_own_snapshots(tmp_path: Path) -> None:
    folder = market().write(tmp_path / "in", [L2, TRADES])
    [chain] = reconstruct(folder, tmp_path / "out")["chains"]
    assert chain["strategy"] == "full"
    with pytest.raises(SourceError, match=r"has no deltas.*found book_snapshot_5, trades.*snapshot suits it"):
        reconstruct(
            market().write(tmp_path / "few", [BOOK, TRADES]),
            tmp_path / "refused",
            Settings(strategy="full"),
        )
