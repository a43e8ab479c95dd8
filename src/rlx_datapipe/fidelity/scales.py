"""One scale for two sides: their integers made to mean the same, exactly."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import NONE, Field, Int64Array
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.units import INT64_MAX
from rlx_datapipe.fidelity.market import MarketSide, Window


def in_one_scale(golden: MarketSide, recon: MarketSide) -> tuple[MarketSide, MarketSide]:
    """Both sides with the finer decimals of the two, and golden's tick.

    Scales and ticks are guessed from the head of a source, so two datasets of one market may differ in them.

    Raises
    ------
    OptionError
        When a number of a side does not fit the finer scale.
    """
    first, second = common_scale(golden.instrument, recon.instrument)
    return _side(golden, first), _side(recon, second)


def common_scale(golden: Instrument, recon: Instrument) -> tuple[Instrument, Instrument]:
    """Both instruments with the finer decimals of the two, and golden's tick."""
    prices = max(one.price_decimals for one in (golden, recon))
    quantities = max(one.quantity_decimals for one in (golden, recon))
    scales = {
        "price_decimals": prices,
        "quantity_decimals": quantities,
        "price_step": golden.price_step * 10 ** (prices - golden.price_decimals),
    }
    return msgspec.structs.replace(golden, **scales), msgspec.structs.replace(recon, **scales)


def _side(side: MarketSide, new: Instrument) -> MarketSide:
    old = side.instrument
    if new == old:
        return side
    factors = (
        10 ** (new.price_decimals - old.price_decimals),
        10 ** (new.quantity_decimals - old.quantity_decimals),
    )
    windows = tuple(_window(window, new, factors) for window in side.windows)
    return replace(side, instrument=new, windows=windows)


def _window(window: Window, instrument: Instrument, factors: tuple[int, int]) -> Window:
    events = window.events.copy()
    events[Field.PRICE] = _times(events[Field.PRICE], factors[0])
    events[Field.QUANTITY] = _times(events[Field.QUANTITY], factors[1])
    best, opening, samples = window.best.copy(), window.opening.copy(), window.samples.copy()
    for row in range(4):
        factor = factors[row % 2]
        best[row] = _times(best[row], factor)
        opening[row : row + 1] = _times(opening[row : row + 1], factor)
        samples[:, row] = _times(samples[:, row], factor)
    return replace(window, instrument=instrument, events=events, best=best, opening=opening, samples=samples)


def _times(values: Int64Array, factor: int) -> Int64Array:
    """Values times a factor, NONE as it is."""
    if values.size and int(values.max()) > INT64_MAX // factor:
        raise OptionError("a number does not fit the scale of the other side", found=int(values.max()))
    return np.where(values == NONE, NONE, values * factor)
