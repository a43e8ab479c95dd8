"""A source: all files of one chain, how they are laid out, and the scales of its numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.feed import Probe
from rlx_datapipe.core.instrument import MAX_DECIMALS, Instrument
from rlx_datapipe.core.sequence import SequenceRule
from rlx_datapipe.core.units import Exactness, fitting_decimals, grid_step, parse_many
from rlx_datapipe.venues import binance

Decimals = tuple[int | None, int | None]
"""Decimals of prices and of quantities; found from the data where None."""


@dataclass(frozen=True)
class Source:
    """All files of one chain, in the order in which they are read.

    ``tables`` tells which table of its format each file is, nothing where a format has but one kind of file.
    ``trades`` names the message type that gives the trades where a capture has two (``trade``, ``aggTrade``).
    ``held`` has the symbols of each file that mixes several, nothing for the others; ``rate`` is the share of
    this one among the first messages. ``capture`` is the folder whose sealed segments the files are, all of
    them; with ``is_followed`` those that are sealed later come behind them. ``key_file`` has the keys of
    captures that are encrypted. ``kinds`` are the message types that captures hold, empty where too little
    was looked at to tell that there are no others.
    """

    instrument: Instrument
    format: str
    rule: SequenceRule
    files: tuple[Path, ...]
    tables: tuple[str, ...] = ()
    trades: str = "trade"
    held: tuple[tuple[str, ...], ...] = ()
    rate: float = 1.0
    capture: Path | None = None
    is_followed: bool = False
    key_file: Path | None = None
    kinds: frozenset[str] = frozenset()

    @property
    def is_mixed(self) -> bool:
        """Whether any of its files holds other symbols too."""
        return any(self.held)

    @property
    def has_messages(self) -> bool:
        """Whether its files hold the venue's own messages, line by line; others hold rows made of them."""
        return holds_messages(self.format)

    @property
    def bytes_total(self) -> int:
        """Size of all files."""
        return sum(file_bytes(path) for path in self.files)


def holds_messages(format: str) -> bool:
    """Whether files of a format hold the venue's own messages: can be played again, and judge a book."""
    return format in binance.MARKETS


def file_bytes(path: Path) -> int:
    """Size of a file that is being read.

    Raises
    ------
    SourceError
        When it can't be reached any more.
    """
    try:
        return path.stat().st_size
    except OSError as error:
        raise SourceError(f"can't be read ({error.strerror or error})", file=path) from error


def instrument_of(exchange: str, symbol: str, probes: list[Probe], decimals: Decimals) -> Instrument:
    """Scales that hold a thousand times the largest value seen; the tick that the prices share."""
    price, quantity = decimals
    if price is None:
        needed = max(probe.price_decimals for probe in probes)
        price = fitting_decimals(min(needed, MAX_DECIMALS), max(probe.price_largest for probe in probes))
    if quantity is None:
        needed = max(probe.quantity_decimals for probe in probes)
        largest = max(probe.quantity_largest for probe in probes)
        quantity = fitting_decimals(min(needed, MAX_DECIMALS), largest)
    texts = [text for probe in probes for text in probe.price_texts]
    values, status = parse_many(texts, price)
    step = grid_step(values[status == Exactness.OK])
    return Instrument(exchange, symbol, price, quantity, math.gcd(step, 10**price) if step > 1 else 1)
