"""Sizes and prices of a market's parameters, counted in lots and ticks."""

from __future__ import annotations

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.simulation.config import Wire, steps


def lots(name: str, text: str, wire: Wire) -> int:
    """A decimal size in lots; OptionError where it is not a whole number of them, or none."""
    try:
        found = steps(name, text, wire.quantity_decimals, wire.lot_units)
    except ValueError as error:
        raise OptionError(f"no such market: {error}") from error
    if not 1 <= found <= 1 << 50:
        raise OptionError(f"no such market: {name} must be at least one lot, at most 2^50", found=text)
    return found
