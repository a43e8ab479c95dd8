"""The real level-3 sets: what messages determine of the book, and how far it equals what the source states.

By default the excerpt of AAPL, ten levels, and Bitstamp's log; all pairs with ``RLX_TEST_LOBSTER=all``.
``-s`` prints the figures that docs/mapping.md has.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tests.ingestion.order_reading import books, drifts, read, source_of

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Field, Flag, Int64Array, Kind
from rlx_datapipe.ingestion.bitstamp import BitstampReader
from rlx_datapipe.ingestion.lobster import LobsterReader, zipped_pair
from rlx_datapipe.ingestion.reader import Task
from rlx_datapipe.venues.lobster import NO_ASK, NO_BID

pytestmark = pytest.mark.recordings


class Counts(NamedTuple):
    """Rows held against messages, those of them in which nothing came into view, and levels that did."""

    rows: int
    alone: int
    revealed: int


SETS = {
    "AAPL_2012-06-21_34200000_57600000_*.csv": Counts(998, 680, 318),
    "LOBSTER_SampleFile_AAPL_2012-06-21_1.zip": Counts(118_496, 88_425, 30_071),
    "LOBSTER_SampleFile_AMZN_2012-06-21_1.zip": Counts(57_514, 43_561, 13_953),
    "LOBSTER_SampleFile_AMZN_2012-06-21_5.zip": Counts(155_934, 122_094, 33_840),
}


def stated_rows(files: list[Path]) -> list[list[int]]:
    """The orderbook rows as Python reads them."""
    if len(files) == 2:
        text = next(path for path in files if "orderbook" in path.name).read_text()
    else:
        with zipfile.ZipFile(files[0]) as archive:
            text = archive.read(zipped_pair(files[0]).members[1]).decode()
    return [list(map(int, line.split(","))) for line in text.splitlines()]


def sides_of(row: list[int]) -> list[dict[int, int]]:
    """Bids and asks of a row, best first."""
    return [
        {price: size for price, size in zip(row[at::4], row[at + 1 :: 4], strict=True) if price != none}
        for at, none in ((2, NO_BID), (0, NO_ASK))
    ]


def contradictions(events: Int64Array, rows: list[list[int]]) -> int:
    """How many REVEALED changes tell of prices that messages had determined.

    Those are prices as good as the worst one in view before the message, on a side with all its levels; and
    all of a side with fewer. What goes out of view must be worse than all that stays.
    """
    is_change = (events[Field.KIND] == Kind.BOOK_DELTA) & (events[Field.FLAGS] & Flag.REVEALED != 0)
    fields = [Field.MESSAGE, Field.SIDE, Field.PRICE, Field.QUANTITY]
    levels, wrong = len(rows[0]) // 4, 0
    for row, side, price, size in events[fields][:, is_change].T.tolist():
        view = sides_of(rows[row - 2 if size else row - 1])[side]
        worst = list(view)[-1] if len(view) == levels else None
        is_beyond = worst is not None and (price < worst if side == 0 else price > worst)
        wrong += not is_beyond
    return wrong


@pytest.mark.parametrize("name", SETS)
def test_the_book_equals_the_orderbook_row_after_each_message(name: str, recordings: Path) -> None:
    if name.endswith("zip") and os.environ.get("RLX_TEST_LOBSTER") != "all":
        pytest.skip("takes a minute; RLX_TEST_LOBSTER=all reads it")
    files = sorted((recordings / "lobster").glob(name))
    source, rows = source_of(files), stated_rows(files)
    events, rejects = read(source)
    assert not rejects
    equal = sum(book == sides_of(rows[row - 1]) for row, book in books(events))
    assert equal == len(rows)
    assert contradictions(events, rows) == 0
    reader = LobsterReader(source, Task(Settings()))
    for _ in reader.steps(0, 0, 0):
        pass
    told = reader.told
    print(f"\n{name}: {told}")  # noqa: T201 (figures for docs/mapping.md)
    assert told["rows"] == told["rows_equal"] == len(rows) - 1
    assert told["levels"] == told["levels_equal"]
    assert told["orders_unlike"] == 0
    assert Counts(told["rows"], told["rows_alone"], told["revealed"]) == SETS[name]
    assert not drifts(source)


def test_bitstamp_equals_its_snapshots_when_anchored_and_not_without(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of([recordings / "bitstamp" / "2015-05-01.log.xz"])
    shares = {}
    for anchors in (True, False):
        monkeypatch.setattr(BitstampReader, "anchors", anchors)
        reader = BitstampReader(source, Task(Settings()))
        for _ in reader.steps(0, 0, 0):
            pass
        told = reader.told
        found = len(drifts(source))
        print(f"\nanchored {anchors}: {told}, {found} drift records")  # noqa: T201
        shares[anchors] = (told["best_equal"] / told["snapshots"], told["levels_equal"] / told["levels"])
        assert found < 0.03 * told["snapshots"] if anchors else found > 0.4 * told["snapshots"]
    assert shares[True][0] >= 0.99
    assert shares[True][1] >= 0.999
    assert shares[False][0] < 0.3


def test_the_real_log_loses_no_line(recordings: Path) -> None:
    source = source_of([recordings / "bitstamp" / "2015-05-01.log.xz"])
    events, rejects = read(source)
    rows = {*events[Field.MESSAGE].tolist(), *(reject.row for reject in rejects)}
    assert rows == set(range(1, 56_001))
    assert not rejects
    trades = events[Field.SIDE, events[Field.KIND] == Kind.TRADE]
    assert np.count_nonzero(trades >= 0) > 0.95 * len(trades)
