"""Rows that are passed over by policy make no events, are kept with their reason, and cost nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.ingestion.test_lake import deltas, save, trades
from tests.pipeline.captures import SPOT, capture

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Field
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources

SETTINGS = Settings(batch_rows=200)
Told = tuple[list[int], list[tuple[int, str]], list[tuple[int, int, int]]]


def ingested(source: Source, settings: Settings, *skips: Skip) -> Told:
    """Source rows of all events, rejects by row, and the steps that were told before they began."""
    begun: list[tuple[int, int, int]] = []
    ingestion = DataIngestion(source, settings, skips=skips, begin=lambda *step: begun.append(step))
    rows: list[int] = []
    rejects: list[tuple[int, str]] = []
    for batch in ingestion:
        rows += batch.events[Field.MESSAGE].tolist()
        rejects += [(reject.row, reject.reason) for reject in batch.rejects]
    return rows, rejects, begun


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = capture(tmp_path_factory.mktemp("source") / "capture.gz", SPOT)
    [source] = find_sources([path], SETTINGS)
    return source


@pytest.mark.parametrize(("first", "last"), [(401, 600), (395, 402), (1, 10**9), (10**8, 10**9)])
def test_rows_of_a_capture_are_rejected_whole(first: int, last: int, source: Source) -> None:
    rows, nothing, begun = ingested(source, SETTINGS)
    kept, rejects, begun_too = ingested(source, SETTINGS, Skip(0, "capture.gz", first, last, "poison"))
    assert nothing == []
    assert kept == [row for row in rows if not first <= row <= last]
    assert [row for row, _ in rejects] == list(range(first, min(last, begun[-1][2]) + 1))
    assert {reason for _, reason in rejects} <= {"poison"}
    assert begun == begun_too, "what is worked on is told before anything is passed over"
    assert [step[1:] for step in begun][:3] == [(1, 200), (201, 400), (401, 600)]


def test_another_files_rows_are_not_touched(source: Source) -> None:
    assert ingested(source, SETTINGS, Skip(1, "x", 1, 10**9, "poison")) == ingested(source, SETTINGS)


@pytest.mark.parametrize("batch_rows", [2, 5, 100])
def test_rows_of_a_table_are_left_out_and_told(batch_rows: int, tmp_path: Path) -> None:
    save(tmp_path, deltas([(1 + i // 3, i % 2 == 0, 100.0 + i, 1.0) for i in range(30)]), "book_delta_v2")
    save(tmp_path, trades([("buy", 1.0, 100.0, i) for i in range(10)]), "trades")
    settings = Settings(batch_rows=batch_rows)
    [source] = find_sources([tmp_path], settings)
    number = source.tables.index("book_delta_v2")
    skip = Skip(number, "x", 7, 12, "poison")
    rows, _, _ = ingested(source, settings)
    kept, rejects, _ = ingested(source, settings, skip)
    in_table = (np.array(rows) >> 40) == number
    local = np.array(rows) & (2**40 - 1)
    assert kept == np.array(rows)[~(in_table & (local >= 7) & (local <= 12))].tolist()
    assert {reason for _, reason in rejects} == {"poison"}
    assert (rejects[0][0], len(rows) - len(kept)) == (7, 6)
