"""A gap of any size is a gap: a replay that tolerates a few missing update ids publishes wrong prices."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from tests.pipeline.captures import capture

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Flag, Kind
from rlx_datapipe.ingestion.ingest import ingest
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.replay.replayer import EventReplayer
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.faults import drop_depth

SEEDS, TOLERATED = 12, 5
Best = tuple[int, ...]


def published(path: Path, tolerated: int) -> dict[int, Best]:
    """The best prices that a replay publishes after each update id; none where it says that it knows none.

    To let a first id be so much later is to take it for so much earlier.
    """
    settings = Settings(threads=1)
    [source] = find_sources([path], settings)
    replayer, found = EventReplayer(source.instrument, source.rule, settings), {}
    for batch in ingest(source, settings):
        deltas = batch.events[Field.KIND] == Kind.BOOK_DELTA
        batch.events[Field.FIRST_ID, deltas] -= tolerated
        for replayed in replayer.replay(batch.events):
            for at in np.flatnonzero(replayed.flags & Flag.GROUP_END):
                best = tuple(replayed.best[:, at].tolist())
                if replayed.events[Field.KIND, at] == Kind.BOOK_DELTA and NONE not in best:
                    found[int(replayed.events[Field.UPDATE_ID, at])] = best
    return found


def test_tolerating_a_small_gap_is_noticed(tmp_path: Path) -> None:
    states = {0: 0, TOLERATED: 0}
    wrong = {0: 0, TOLERATED: 0}
    for seed in range(SEEDS):
        market = MarketConfig(seed=seed, duration_s=6, levels=60, orders_per_s=25, snapshot_every_s=3)
        truth = published(capture(tmp_path / f"whole{seed}.gz", market), 0)
        holed = capture(
            tmp_path / f"holed{seed}.gz", market, partial(drop_depth, k=12), partial(drop_depth, k=20)
        )
        for tolerated in states:
            found = published(holed, tolerated)
            states[tolerated] += len(found)
            wrong[tolerated] += sum(truth[update] != best for update, best in found.items())
    assert wrong[0] == 0, "strict"
    assert states[0] > SEEDS * 10
    assert wrong[TOLERATED] > 0, "the mutant lives"
    assert states[TOLERATED] > states[0]
