"""A book rebuilt from the deltas of a dataset is the one that it tells; without some, it is another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Field, Flag, Kind
from rlx_datapipe.fidelity.market import Window
from rlx_datapipe.fidelity.planting import deltas_dropped
from rlx_datapipe.fidelity.reading import read_whole
from rlx_datapipe.fidelity.rebuilt import rebuilt, without
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate
from rlx_datapipe.store.dataset import open_dataset


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Window:
    where: Path = tmp_path_factory.mktemp("rebuilt")
    lines = simulate(MarketConfig(venue="binance-spot", duration_s=12, orders_per_s=1_500, seed=12))
    write_capture(lines, where / "capture.gz")
    reconstruct(where / "capture.gz", where / "dataset", Settings())
    opened = open_dataset(where / "dataset")
    return read_whole(opened.path, opened.manifest.chains[0].instrument)[0]


def test_best_prices_and_tops_are_those_of_the_dataset(whole: Window) -> None:
    again = rebuilt(whole)
    known = whole.events[Field.FLAGS] & Flag.BOOK_INVALID == 0
    assert known.mean() > 0.8
    assert np.array_equal(again.best, whole.best)
    assert np.array_equal(again.samples, whole.samples)


def test_without_a_delta_its_level_stays_as_it_was(whole: Window) -> None:
    rows = np.flatnonzero((whole.events[Field.KIND] == Kind.BOOK_DELTA) & (whole.best[0] > 0))
    prices = whole.events[Field.PRICE, rows]
    sizes = np.where(whole.events[Field.SIDE, rows] == 0, whole.best[0, rows], whole.best[2, rows])
    touch = rows[(prices == sizes) & (whole.events[Field.QUANTITY, rows] > 0)][40]
    gone = np.zeros(whole.events.shape[1], dtype=np.bool_)
    gone[touch] = True
    less = without(whole, gone)
    assert less.events.shape[1] == whole.events.shape[1] - 1
    assert not np.array_equal(less.best[:, touch:], whole.best[:, touch + 1 :])
    assert np.array_equal(less.best[:, : touch - 50], whole.best[:, : touch - 50])


def test_groups_keep_their_end_when_rows_of_them_go(whole: Window) -> None:
    less = deltas_dropped(whole, np.random.default_rng(1), 0.5)

    def ends(one: Window) -> int:
        is_delta = one.events[Field.KIND] == Kind.BOOK_DELTA
        return int((is_delta & (one.events[Field.FLAGS] & Flag.GROUP_END != 0)).sum())

    assert less.events.shape[1] < 0.7 * whole.events.shape[1]
    assert ends(less) > 0.6 * ends(whole), "a group is gone only when all of it is"
    assert len(less.quotes.time_ns) > 0.6 * len(whole.quotes.time_ns)
    nothing = deltas_dropped(whole, np.random.default_rng(1), 0.0)
    assert np.array_equal(nothing.events, whole.events)
