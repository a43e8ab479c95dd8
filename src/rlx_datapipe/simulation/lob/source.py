"""A market as a source: its timed messages for an exchange server, and as the lines of a recorder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Protocol

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.config import NS_PER_MS, NS_PER_S
from rlx_datapipe.simulation.lob.feed import Feed, TimedMessage, envelope
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import MarketParameters
from rlx_datapipe.simulation.outbox import DEPTH, TICKER, TRADE, Outbox

_STREAMS = {"trade": TRADE, "aggTrade": TRADE, "bookTicker": TICKER}


class Witness(Protocol):
    """Who is told the truth beside the feed."""

    def open(self, market: LobMarket) -> None:
        """The market as it opens."""

    def events(self, rows: Int64Array, update_ids: Int64Array) -> None:
        """Order events, shape (n, COLUMNS), and the update id that each left the venue at, shape (n,)."""

    def book(self, market: LobMarket, now_ns: int) -> None:
        """It is time to look at the book."""

    def close(self, market: LobMarket) -> None:
        """The market has ended."""


def play(market: LobMarket, witness: Witness | None = None) -> Iterator[list[TimedMessage]]:
    """All messages of a market that has just opened, in the order of their times, some at a time.

    The first snapshot comes at once with the first messages, by ``snapshot_after_ms``; from it and the depth
    messages that overlap it, a book that follows the venue's rules is the true one (within the levels that
    the snapshot shows). Memory is bounded. The same parameters give the same messages, however many come at a
    time.

    Parameters
    ----------
    market
        Nothing has been asked of it yet.
    witness
        Told the truth meanwhile.
    """
    parameters, feed = market.parameters, Feed(market)
    levels = parameters.snapshot_levels
    if witness is not None:
        witness.open(market)
    for now_ns, is_snapshot in _cuts(parameters):
        for rows in market.advance(now_ns):
            messages = feed.add(rows)
            if witness is not None:
                witness.events(rows, feed.last_update_ids)
            yield messages
        if is_snapshot:
            feed.snapshot(now_ns, market.ladder(0, levels), market.ladder(1, levels))
        elif witness is not None:
            witness.book(market, now_ns)
    yield feed.finish(parameters.end_ns)
    if witness is not None:
        witness.close(market)


def _cuts(parameters: MarketParameters) -> Iterator[tuple[int, bool]]:
    """Times at which the market is looked at, and whether for a snapshot; the last is its end."""
    every_ns = parameters.truth.book_every_ms * NS_PER_MS
    # The end comes last and once, whether or not a book falls due there.
    looks = ((now_ns, False) for now_ns in range(parameters.start_ns + every_ns, parameters.end_ns, every_ns))
    yield from merge(looks, ((now_ns, True) for now_ns in _snapshot_times(parameters)))
    yield parameters.end_ns, False


def _snapshot_times(parameters: MarketParameters) -> Iterator[int]:
    """In the middle of a depth window each, so that changes come before and after it in that window."""
    interval_ns = parameters.depth_interval_ms * NS_PER_MS
    asked_ns = parameters.snapshot_after_ms * NS_PER_MS
    length_ns = parameters.duration_s * NS_PER_S
    while asked_ns < length_ns:
        middle_ns = asked_ns // interval_ns * interval_ns + interval_ns // 2
        yield parameters.start_ns + min(middle_ns, length_ns - 1)
        if not parameters.snapshot_every_s:
            return
        asked_ns += parameters.snapshot_every_s * NS_PER_S


def market_messages(parameters: MarketParameters) -> Iterator[list[TimedMessage]]:
    """All messages of the market of these parameters, from its beginning: what an exchange server plays."""
    return play(LobMarket(parameters))


def recorded(batches: Iterable[list[TimedMessage]], market: LobMarket) -> Iterator[bytes]:
    """Messages as a recorder writes them: ``<receive time, 19-digit ns> <raw JSON>``, without line ends.

    They take their way through `Outbox`: latency, stalls, and the skew of the recorder's clock.
    """
    outbox = Outbox(market.parameters.skew_ns, np.random.Generator(np.random.PCG64(market.path_seed)))
    for batch in batches:
        for message in batch:
            name = message.stream.partition("@")[2]
            text = envelope(message).decode()
            if name == "snapshot":
                outbox.deliver(message.time_ns, text)
            else:
                outbox.send(_STREAMS.get(name, DEPTH), message.time_ns, text)
        if batch:
            yield from outbox.arrived(batch[-1].time_ns)
    yield from outbox.arrived()
