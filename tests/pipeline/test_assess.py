"""An assessment of whole sources: what is planted is found, and nothing else is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.ingestion.tardis_market import L2, TRADES, Tape
from tests.pipeline.captures import CUT, SPOT, USDM, capture, lines_of

from rlx_datapipe.assessment.result import Assessment, Contiguity, Grade
from rlx_datapipe.assessment.strategy import Strategy
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.pipeline.assess import assess
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive
from rlx_datapipe.simulation.faults import drop_depth, duplicate_depth, is_depth, remove_snapshots

MS, S = 1_000_000, 1_000_000_000
SMALL = ArchiveConfig(rows=20_000, levels=300)
TIMES = re.compile(rb'"([ET])":(\d+)')
Column = Any


def assessed(source: Path | list[Path], settings: Settings | None = None) -> Assessment:
    (one,) = assess(source, settings)
    return one


def rules(one: Assessment) -> dict[str, str]:
    """Findings that are more than a note."""
    return {found.rule: found.severity.value for found in one.findings if found.severity.value != "note"}


def notes(one: Assessment) -> set[str]:
    return {found.rule for found in one.findings if found.severity.value == "note"}


def depth_ids(lines: Iterable[bytes]) -> list[tuple[int, int]]:
    """First and last id of each depth message."""
    read = (json.loads(line.partition(b" ")[2])["data"] for line in lines if is_depth(line))
    return [(data["U"], data["u"]) for data in read]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(SMALL, tmp_path_factory.mktemp("lake"))


@pytest.fixture
def changed(archive: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the archive in which a function has changed each table named."""

    def change(
        how: Callable[[pa.Table], pa.Table],
        *named: str,
        tables: Iterable[str] = ("book", "book_delta_v2", "trades"),
    ) -> Path:
        for path in sorted(archive.rglob("*.parquet")):
            table = next(part for part in path.parts if part in {"book", "book_delta_v2", "trades"})
            if table not in tables:
                continue
            to = tmp_path / "changed" / path.relative_to(archive)
            to.parent.mkdir(parents=True, exist_ok=True)
            rows = pq.read_table(path, partitioning=None)
            pq.write_table(how(rows) if table in named else rows, to)
        return tmp_path / "changed"

    return change


def with_column(name: str, value: Callable[[Column], Column]) -> Callable[[pa.Table], pa.Table]:
    """Change one column."""

    def change(rows: pa.Table) -> pa.Table:
        at = rows.column_names.index(name)
        return rows.set_column(at, name, pa.array(value(rows[name].to_numpy())))

    return change


# What is whole, and what may be taken for a fault but is none


@pytest.mark.parametrize("config", [SPOT, USDM], ids=["spot", "futures"])
def test_a_whole_capture_is_ready_and_proven(config: Any, tmp_path: Path) -> None:
    one = assessed(capture(tmp_path / "a.gz", config))
    assert (one.grade, rules(one)) == (Grade.READY, {})
    assert one.advice.strategy is Strategy.FULL
    assert (one.depth.contiguity, one.trades.contiguity) == (Contiguity.PROVEN, Contiguity.PROVEN)
    assert one.verdict.startswith("Ready, reconstruct it with --strategy full: no message of the depth feed")
    assert one.depth.messages == len(depth_ids(lines_of(config)))


def test_its_counts_are_those_of_its_dataset(tmp_path: Path) -> None:
    source = capture(tmp_path / "a.gz")
    one = assessed(source)
    summary = reconstruct(source, tmp_path / "out")
    (chain,) = summary["chains"]
    assert sum(one.rows.values()) == chain["events"] == summary["events"]
    assert one.messages == chain["messages"]


def test_batches_change_nothing_but_the_time_that_it_took(tmp_path: Path) -> None:
    source = capture(tmp_path / "a.gz")
    by_size = []
    for rows in (97, 16_384):
        told = assessed(source, Settings(batch_rows=rows)).told()
        # Levels held are looked at once a batch, and what is in flight depends on it.
        del told["cost"], told["book"]["levels_mean"], told["book"]["levels_most"]
        by_size.append(told)
    assert by_size[0] == by_size[1]


def test_a_recorders_clock_that_is_behind_is_a_note(tmp_path: Path) -> None:
    one = assessed(capture(tmp_path / "a.gz"))
    lag_ns = one.clocks["deltas"].lag_ns["p50"]
    assert lag_ns is not None
    assert -1.3 * S < lag_ns < -1.2 * S
    assert one.clocks["deltas"].ahead == one.clocks["deltas"].messages
    assert "recorder_clock_behind" in notes(one)
    assert one.grade is Grade.READY


def test_a_quiet_market_is_a_note(tmp_path: Path) -> None:
    one = assessed(capture(tmp_path / "a.gz", SPOT, partial(_pause, seconds=45)))
    assert (one.grade, one.depth.contiguity, one.quiet) == (Grade.READY, Contiguity.PROVEN, 1)
    assert "quiet" in notes(one)
    assert "no gap" in next(found.message for found in one.findings if found.rule == "quiet")


def test_deletes_of_unknown_levels_are_a_note(tmp_path: Path) -> None:
    one = assessed(capture(tmp_path / "a.gz", CUT))
    assert one.book.unknown_deletes > 0
    assert (one.grade, "unknown_deletes" in notes(one)) == (Grade.READY, True)


def test_an_archive_whose_ids_prove_nothing_is_ready_and_says_so(archive: Path) -> None:
    one = assessed(archive)
    assert (one.grade, one.advice.strategy, rules(one)) == (Grade.READY, Strategy.FULL, {})
    assert one.depth.contiguity is Contiguity.UNKNOWABLE
    assert one.depth.gaps == 0
    assert any("can't be seen" in reason for reason in one.advice.reasons)
    assert one.book.stated == "sampled"
    assert one.book.bid_levels["p50"] == one.book.ask_levels["p50"] == 20


def test_tardis_files_are_assessed_like_others(tmp_path: Path) -> None:
    one = assessed(Tape(seed=3).play(150).write(tmp_path / "in"))
    assert (one.grade, one.format, one.advice.strategy) == (Grade.READY, "tardis", Strategy.FULL)
    assert one.depth.contiguity is Contiguity.UNKNOWABLE
    assert one.trades.contiguity is Contiguity.PROVEN


# Which strategy


@pytest.mark.parametrize(
    ("tables", "strategy"),
    [
        (["book", "trades"], Strategy.SNAPSHOT),
        (["book"], Strategy.SNAPSHOT),
        (["trades"], Strategy.ORIGIN_TIME_SORT),
        (["book_delta_v2", "book"], Strategy.FULL),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else str(value),
)
def test_the_tables_that_are_there_decide(
    changed: Callable[..., Path], tables: list[str], strategy: Strategy
) -> None:
    one = assessed(changed(lambda rows: rows, tables=tables))
    assert (one.advice.strategy, one.grade) == (strategy, Grade.READY)


def test_deltas_without_a_book_are_unfit(tmp_path: Path) -> None:
    one = assessed(capture(tmp_path / "a.gz", SPOT, remove_snapshots))
    assert (one.grade, rules(one)) == (Grade.UNFIT, {"no_snapshot": "gate"})
    assert one.advice.strategy is Strategy.ORIGIN_TIME_SORT


# Planted faults


def test_dropped_messages_are_told_by_their_ids(tmp_path: Path) -> None:
    ids = depth_ids(lines_of())
    one = assessed(capture(tmp_path / "a.gz", SPOT, partial(drop_depth, k=100), partial(drop_depth, k=50)))
    assert one.depth.contiguity is Contiguity.GAPS
    named = [(gap.after_id, gap.before_id, gap.missing) for gap in one.depth.gaps_named]
    assert named == [(ids[at][0] - 1, ids[at][1] + 1, ids[at][1] - ids[at][0] + 1) for at in (50, 100)]
    assert one.grade is Grade.USABLE
    assert str(ids[50][0] - 1) in one.verdict
    assert one.advice.strategy is Strategy.FULL


def test_dropped_trades_are_told_by_their_ids(tmp_path: Path) -> None:
    def drop(lines: Iterable[bytes]) -> Iterator[bytes]:
        trades = 0
        for line in lines:
            trades += b'"e":"trade"' in line
            if b'"e":"trade"' not in line or trades not in (40, 41):
                yield line

    numbers = [int(found[1]) for line in lines_of() if (found := re.search(rb'"trade".*"t":(\d+)', line))]
    one = assessed(capture(tmp_path / "a.gz", SPOT, drop))
    (gap,) = one.trades.gaps_named
    assert (gap.after_id, gap.before_id, gap.missing) == (numbers[38], numbers[41], 2)
    assert rules(one) == {"trades_gaps": "warn"}


def test_messages_that_come_twice_are_counted(tmp_path: Path) -> None:
    one = assessed(capture(tmp_path / "a.gz", SPOT, partial(duplicate_depth, k=30)))
    assert (one.depth.duplicates, one.depth.gaps) == (1, 0)
    assert one.grade is Grade.READY


@pytest.mark.parametrize(("factor", "unit"), [(10**6, "ms"), (10**9, "s"), (10**3, "us")])
def test_times_in_another_unit_are_told_by_their_unit(
    factor: int, unit: str, changed: Callable[..., Path]
) -> None:
    one = assessed(changed(with_column("timestamp", lambda times: times // factor), "book_delta_v2"))
    assert rules(one)["time_unit"] == "gate"
    assert f"sound in {unit}: their unit is mistaken" in one.verdict
    assert one.grade is Grade.UNFIT


def test_clocks_that_are_swapped_are_told(changed: Callable[..., Path]) -> None:
    def swap(rows: pa.Table) -> pa.Table:
        other = {"timestamp": "receipt_timestamp", "receipt_timestamp": "timestamp"}
        return rows.rename_columns([other.get(name, name) for name in rows.column_names])

    one = assessed(changed(swap, "book", "book_delta_v2", "trades"))
    assert rules(one) == {"clocks_swapped": "gate"}
    assert "look swapped" in one.verdict


@pytest.mark.parametrize(("every", "severity"), [(20, "gate"), (5_000, "warn")])
def test_missing_times_weigh_by_how_many_they_are(
    every: int, severity: str, archive: Path, changed: Callable[..., Path]
) -> None:
    (deltas,) = archive.rglob("book_delta_v2/**/*.parquet")
    one = assessed(changed(with_column("timestamp", lambda times: _zeroed(times, every)), "book_delta_v2"))
    assert rules(one)["time_unusable"] == severity
    assert one.refused_times == {"zero": len(range(every // 2, pq.read_metadata(deltas).num_rows, every))}


def test_a_recorders_clock_that_was_set_back_is_a_warning(tmp_path: Path) -> None:
    def set_back(lines: Iterable[bytes]) -> Iterator[bytes]:
        for at, line in enumerate(lines):
            received, _, rest = line.partition(b" ")
            yield b"%d " % (int(received) - (3 * S if at > 2_500 else 0)) + rest

    one = assessed(capture(tmp_path / "a.gz", SPOT, set_back))
    assert rules(one) == {"recorder_clock_back": "warn"}


def test_a_file_that_breaks_off_is_told(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.gz")
    path.write_bytes(path.read_bytes()[:-2_000])
    one = assessed(path)
    assert rules(one) == {"breaks_off": "warn"}


def test_tardis_trades_that_are_missing_are_told(tmp_path: Path) -> None:
    tape = Tape(seed=3).play(150)
    del tape.rows[TRADES][50:53]
    one = assessed(tape.write(tmp_path / "in", [L2, TRADES]))
    assert (one.trades.contiguity, one.trades.ids_missing) == (Contiguity.GAPS, 3)


def test_a_dataset_is_no_source(tmp_path: Path) -> None:
    reconstruct(capture(tmp_path / "a.gz"), tmp_path / "out")
    with pytest.raises(OptionError, match="is a dataset, and no source any more"):
        assess(tmp_path / "out")


def _zeroed(times: Any, every: int) -> Any:
    times = times.copy()
    times[np.arange(len(times)) % every == every // 2] = 0
    return times


def _pause(lines: Iterable[bytes], seconds: int) -> Iterator[bytes]:
    """Let nothing happen for a while in the middle: all times after it are later."""
    lines = list(lines)
    half = len(lines) // 2
    yield from lines[:half]
    for line in lines[half:]:
        received, _, rest = line.partition(b" ")
        later = TIMES.sub(lambda found: b'"%s":%d' % (found[1], int(found[2]) + seconds * 1_000), rest)
        yield b"%d %s" % (int(received) + seconds * S, later)
