"""The answer of a depth request: a statement of the book, written as the venue writes it."""

from __future__ import annotations

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.simulation.exchange.books import Statement


def snapshot_text(statement: Statement, instrument: Instrument, limit: int, *, names_symbol: bool) -> bytes:
    """The JSON of a snapshot with up to ``limit`` levels a side.

    Times stand in it where the market's messages have them; ``names_symbol`` writes symbol and pair, as
    COIN-M does.
    """
    parts = [f'{{"lastUpdateId":{statement.last_id},']
    if statement.time != NONE:
        parts.append(f'"E":{statement.event_time},"T":{statement.time},')
    if names_symbol:
        parts.append(f'"symbol":"{instrument.symbol}","pair":"{instrument.symbol.partition("_")[0]}",')
    levels = statement.levels
    bids = _side(levels.bid_prices[:limit], levels.bid_quantities[:limit], instrument, statement.places)
    asks = _side(levels.ask_prices[:limit], levels.ask_quantities[:limit], instrument, statement.places)
    parts.append(f'"bids":[{bids}],"asks":[{asks}]}}')
    return "".join(parts).encode()


def _side(prices: Int64Array, quantities: Int64Array, instrument: Instrument, places: tuple[int, int]) -> str:
    price_texts = decimal_texts(prices.tolist(), instrument.price_decimals, places[0])
    quantity_texts = decimal_texts(quantities.tolist(), instrument.quantity_decimals, places[1])
    return ",".join(
        [f'["{price}","{lots}"]' for price, lots in zip(price_texts, quantity_texts, strict=True)]
    )


def decimal_texts(values: list[int], decimals: int, places: int) -> list[str]:
    """Scaled integers as decimal texts with so many places, more where a value needs more."""
    return [decimal_text(value, decimals, places) for value in values]


def decimal_text(value: int, decimals: int, places: int) -> str:
    """One scaled integer: 6183763 of scale 2 at 4 places is ``61837.6300``."""
    if decimals < places:
        value, decimals = value * 10 ** (places - decimals), places
    while decimals > places and value % 10 == 0:
        value, decimals = value // 10, decimals - 1
    if not decimals:
        return str(value)
    whole, part = divmod(value, 10**decimals)
    return f"{whole}.{part:0{decimals}d}"
