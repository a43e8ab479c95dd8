"""What an exchange plays: channels of listed symbols, and the timed messages that pass through them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from rlx_datapipe.core.instrument import Instrument, plain_symbol
from rlx_datapipe.simulation.exchange.books import BookSource
from rlx_datapipe.simulation.exchange.rules import RULES, MarketRules
from rlx_datapipe.venues.binance_streams import SNAPSHOT_CHANNEL, depth_symbol

if TYPE_CHECKING:
    from rlx_datapipe.simulation.exchange.session import Session


class Content(IntEnum):
    """What the messages of a channel do to the exchange itself."""

    OTHER = 0
    """Nothing: they are sent, that is all."""
    DEPTH = 1
    """They move the book when they are sent."""
    SNAPSHOT = 2
    """They state the book, and are never sent: clients ask for them by REST."""


@dataclass(eq=False)
class Listing:
    """One symbol of one market: what is known of it, and its book.

    ``depth`` is the channel that moves the book: the first one of whole depth updates that was seen.
    ``asked`` and ``answered`` count the depth requests that have come, and those that a snapshot was sent to.
    """

    rules: MarketRules
    instrument: Instrument
    book: BookSource
    depth: Channel | None = None
    asked: int = 0
    answered: int = 0

    @property
    def symbol(self) -> str:
        """The symbol in capitals, as REST requests name it."""
        return self.instrument.symbol.replace("-", "").upper()


@dataclass(eq=False, slots=True)
class Channel:
    """One stream of one market; ``routes`` are those who have it now, None when not looked up yet."""

    name: str
    content: Content
    rules: MarketRules
    listing: Listing | None
    routes: list[Route] | None = None


Route: TypeAlias = "tuple[Session, bytes, Callable[[bytes], bytes] | None]"
"""Who has a channel, what stands before its messages (nothing: raw), and what rescales their times."""
Timed: TypeAlias = tuple[int, Channel, bytes]
"""Time in ns UTC, channel, and the message without any envelope."""
Batches: TypeAlias = Callable[[], Iterator[list[Timed]]]
"""Begins the recording, or market, anew: timed messages in order, some at a time."""


@dataclass(eq=False)
class Floor:
    """Everything that is listed, and every channel there is so far."""

    listings: dict[tuple[str, str], Listing] = field(default_factory=dict)
    channels: dict[tuple[str, str], Channel] = field(default_factory=dict)

    def enlist(self, format: str, instrument: Instrument, book: BookSource) -> Listing:
        """List a symbol in the market of a format."""
        listing = Listing(RULES[format], instrument, book)
        self.listings[format, plain_symbol(instrument.symbol)] = listing
        return listing

    def channel(self, format: str, stream: str) -> Channel:
        """The channel of a stream of a market, made when it is met first."""
        found = self.channels.get((format, stream))
        if found is None:
            symbol, _, kind = stream.partition("@")
            listing = self.listings.get((format, plain_symbol(symbol)))
            content = Content.OTHER
            if listing is not None and kind == SNAPSHOT_CHANNEL:
                content = Content.SNAPSHOT
            elif listing is not None and depth_symbol(stream):
                content = Content.DEPTH
            found = Channel(stream, content, RULES[format], listing)
            if listing is not None and content is Content.DEPTH and listing.depth is None:
                listing.depth = found
            self.channels[format, stream] = found
        return found

    def formats(self) -> list[str]:
        """Markets that are served, in the order of the rules."""
        held = {format for format, _ in self.listings}
        return [format for format in RULES if format in held]

    def carries(self, channel: Channel, wanted: str) -> bool:
        """Whether a subscription gets a channel: by its name; a depth stream also by another cadence's name.

        A recording holds a depth stream at one cadence as a rule. Whoever asks for another one gets that.
        """
        if channel.name == wanted:
            return True
        listing = channel.listing
        if listing is None or listing.depth is not channel or not depth_symbol(wanted):
            return False
        is_same = depth_symbol(wanted) == depth_symbol(channel.name)
        return is_same and (channel.rules.format, wanted) not in self.channels
