"""What one tradable thing is: exchange, symbol, and the scales of its prices and quantities."""

from __future__ import annotations

import re

import msgspec

from rlx_datapipe.core.errors import OptionError

MAX_DECIMALS = 18


class Instrument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One symbol on one exchange and how its numbers are scaled to int64.

    A price of ``p`` is held as the integer ``p * 10**price_decimals``; a quantity likewise. ``price_step``
    is the tick in those integer units, known or guessed: a wrong guess costs speed, never exactness.

    Raises
    ------
    OptionError
        When a scale lies outside 0 to 18 decimals, or a step is not positive.
    """

    exchange: str
    symbol: str
    price_decimals: int = 8
    quantity_decimals: int = 8
    price_step: int = 1

    def __post_init__(self) -> None:
        for name in ("price_decimals", "quantity_decimals"):
            if not 0 <= getattr(self, name) <= MAX_DECIMALS:
                raise OptionError(
                    "scale out of range",
                    field=name,
                    found=getattr(self, name),
                    expected="0 to 18 decimals",
                )
        if self.price_step < 1:
            raise OptionError("step must be positive", field="price_step", found=self.price_step)


def same_symbol(left: str, right: str) -> bool:
    """Whether two spellings name one symbol: ``BTC-USDT``, ``btcusdt`` and ``BTCUSDT`` are the same."""
    return plain_symbol(left) == plain_symbol(right)


def plain_symbol(symbol: str) -> str:
    """The symbol in capitals without separators, for comparing only."""
    return re.sub(r"[-/_:\s]", "", symbol).upper()
