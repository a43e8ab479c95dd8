"""What verdicts are tried on: stretches of a simulated market, and of a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.fidelity.market import Window, stamp_resolution
from rlx_datapipe.fidelity.reading import read_whole
from rlx_datapipe.fidelity.rebuilt import rebuilt
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.simulation.lob.layout import Action, Column
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import Flow, MarketParameters
from rlx_datapipe.store.dataset import open_dataset

DEPTH = 20
SAMPLES_PER_S = 2
INSTRUMENT = Instrument(
    exchange="SIMULATED", symbol="BTC-USDT", price_decimals=2, quantity_decimals=5, price_step=1
)
"""Tick and lot of the simulated venue, counted in themselves."""
_CHANGES = (Action.ADD, Action.FILL, Action.CANCEL, Action.REFILL, Action.EXPIRE)


def simulated(seed: int, seconds: int, speed: float) -> Window:
    """A market of known laws as a perfect capture would have it, from its opening on.

    Every order event is an atomic group at its own nanosecond; tops are sampled twice a second.
    """
    parameters = MarketParameters(seed=seed, duration_s=seconds, flow=Flow(speed=speed))
    market = LobMarket(parameters)
    rows = np.concatenate([market.opening, *market.advance(parameters.end_ns)])
    events = _events(rows)
    step = 1_000_000_000 // SAMPLES_PER_S
    start, end = parameters.start_ns, parameters.end_ns
    whole = Window(
        instrument=INSTRUMENT,
        start_ns=start,
        end_ns=end,
        events=events,
        best=np.full((4, events.shape[1]), NONE, dtype=np.int64),
        resolution_ns=stamp_resolution(events[Field.ORIGIN_TIME]),
    )
    return rebuilt(whole, sample_times=np.arange(start + step, end, step, dtype=np.int64), depth=DEPTH)


def recorded(recording: Path, dataset: Path) -> Window:
    """A recording of one symbol, reconstructed into a new dataset and read whole; gaps must not be in it."""
    reconstruct(recording, dataset, Settings())
    whole, _ = read_whole(dataset, open_dataset(dataset).manifest.chain(None).instrument)
    return whole


def _events(rows: Int64Array) -> Int64Array:
    """Order events as the venue tells them: a trade for each fill, then the level as it is afterwards."""
    action = rows[:, Column.ACTION]
    is_fill = action == Action.FILL
    each = np.isin(action, _CHANGES).astype(np.int64) + is_fill
    at = np.repeat(np.arange(len(rows)), each)
    is_trade = is_fill[at] & np.append(at[1:] == at[:-1], False)
    told = rows[at]
    events = empty_events(len(at))
    for name in (Field.ORDER_TIME, Field.ORIGIN_TIME, Field.RECEIVED_TIME):
        events[name] = told[:, Column.TIME]
    side = told[:, Column.SIDE]
    events[Field.KIND] = np.where(is_trade, Kind.TRADE, Kind.BOOK_DELTA)
    events[Field.SIDE] = np.where(is_trade, 1 - side, side)
    events[Field.PRICE] = told[:, Column.PRICE]
    events[Field.QUANTITY] = np.where(is_trade, told[:, Column.LOTS], told[:, Column.LEVEL_LOTS])
    ends = np.append(np.diff(told[:, Column.TIME]) != 0, True)
    events[Field.FLAGS] = np.where(is_trade | ends, Flag.GROUP_END, 0)
    return events
