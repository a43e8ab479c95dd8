"""Level-3 sources to a dataset, end to end: the same bytes each time, the book as its own rows state it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cli.door import rlx
from tests.ingestion.order_market import bitstamp_log, lobster_rows, write_lobster, write_log

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Flag
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.store.dataset import open_dataset

LEVELS = 3


def lobster_files(folder: Path) -> list[Path]:
    return list(write_lobster(folder, *lobster_rows(31, 400, LEVELS), LEVELS))


def bitstamp_files(folder: Path) -> list[Path]:
    return [write_log(folder / "feed.log", bitstamp_log(32, 400).lines)]


class Case(NamedTuple):
    """One kind of source: its files, the digest of its dataset as the first version made it, what is read."""

    files: Callable[[Path], list[Path]]
    digest: str
    samples: int
    symbol: str


CASES = {
    "lobster": Case(
        lobster_files, "c950ad0f97ecb7f74d9e664bc7822b0e9f068a808727359631044561e0b2a2b8", 399, "TEST"
    ),
    "bitstamp": Case(
        bitstamp_files, "a3e19fc90cb4b6558e6a0f444f23e26789a16b34393ebff1768533bb4cdf939e", 0, "BTCUSD"
    ),
}


class Made(NamedTuple):
    """A case, the summary of its reconstruction, and its dataset."""

    case: Case
    summary: dict[str, Any]
    out: Path


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    case, folder = CASES[request.param], tmp_path_factory.mktemp(request.param)
    return Made(case, reconstruct(case.files(folder), folder / "out"), folder / "out")


def test_the_dataset_is_what_it_has_always_been(made: Made) -> None:
    assert made.summary["digest"] == made.case.digest


def test_batches_change_no_byte(made: Made, tmp_path: Path) -> None:
    again = reconstruct(made.case.files(tmp_path), tmp_path / "out", Settings(batch_rows=60, threads=1))
    assert again["digest"] == made.summary["digest"]


def test_the_book_is_what_the_source_states(made: Made) -> None:
    (chain,) = made.summary["chains"]
    assert chain["drift"]["samples"] == chain["drift"]["exact"] >= max(made.case.samples, 10)
    assert (chain["gaps"], chain["crossed"], chain["quarantined"], chain["late"]) == (0, 0, 0, 0)
    report = validate(made.out)
    assert report.verdict == "pass"


def test_any_state_is_told_as_the_source_states_it(tmp_path: Path) -> None:
    _, rows = lobster_rows(31, 400, LEVELS)
    reconstruct(lobster_files(tmp_path), tmp_path / "out")
    events = open_dataset(tmp_path / "out").events.collect()
    ends = events.filter((events["flags"] & Flag.GROUP_END != 0) & (events["event_type"] == "BOOK_DELTA"))
    for event, row in ends.select("event_id", "update_id").rows()[50::60]:
        found = rlx("book", tmp_path / "out", "--symbol", "TEST", "--event", str(event), "--json").json()
        cells = list(map(int, rows[row - 1].split(",")))
        for side, first in (("asks", 0), ("bids", 2)):
            told = [(round(float(price) * 10_000), int(float(size))) for price, size in found[side]]
            stated = list(zip(cells[first::4], cells[first + 1 :: 4], strict=True))
            assert told == [level for level in stated if level[1]]


def test_a_message_dropped_or_altered_is_a_mismatch_in_what_is_said(tmp_path: Path) -> None:
    told, rows = lobster_rows(31, 400, LEVELS)
    at = next(at for at in range(100, 400) if told[at].split(",")[1] == "1")
    cells = told[at].split(",")
    told[at] = ",".join([*cells[:3], str(int(cells[3]) + 1), *cells[4:]])
    summary = reconstruct(write_lobster(tmp_path, told, rows, LEVELS), tmp_path / "out")
    drift = summary["chains"][0]["drift"]
    assert drift["exact"] == drift["samples"] - 1


def test_inspection_tells_what_the_files_hold(tmp_path: Path) -> None:
    (chain,) = inspect(lobster_files(tmp_path))["chains"]
    assert (chain["format"], len(chain["files"]), chain["quarantined"]) == ("lobster", 2, 0)
    assert sum(chain["messages"].values()) == 400


def test_bad_rows_are_in_the_quarantine_with_their_reasons(tmp_path: Path) -> None:
    told, rows = lobster_rows(33, 200, LEVELS)
    told[50], rows[80] = "34200,1,x,5,100,1", "nothing"
    summary = reconstruct(write_lobster(tmp_path, told, rows, LEVELS), tmp_path / "out")
    assert summary["chains"][0]["quarantined"] == 2
    log = bitstamp_log(34, 200).lines
    log[90] = log[90].replace('"price": "', '"price": "x')
    summary = reconstruct([write_log(tmp_path / "feed.log", log)], tmp_path / "out2")
    assert summary["chains"][0]["quarantined"] == 1
