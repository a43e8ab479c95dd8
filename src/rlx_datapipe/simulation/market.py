"""The seeded market as a venue's capture: book, order flow, update ids, streams and snapshots."""

from collections.abc import Iterator

import numpy as np

from rlx_datapipe.simulation.config import NS_PER_MS, NS_PER_S, MarketConfig
from rlx_datapipe.simulation.draws import uniforms
from rlx_datapipe.simulation.flow import OrderFlow
from rlx_datapipe.simulation.orders import BID, OrderBook
from rlx_datapipe.simulation.outbox import DEPTH, TICKER, TRADE, Outbox
from rlx_datapipe.simulation.wire import Sides, messages_of

_REST_NS = 25 * NS_PER_MS
_WINDOW_PHASE_NS = 8 * NS_PER_MS


def simulate(config: MarketConfig) -> Iterator[bytes]:
    """Lines of a capture, without line ends, in the order of their receive times.

    The same config gives the same bytes. Memory is bounded by the book and by the messages under way,
    whatever the duration.

    Parameters
    ----------
    config
        The market; see ``MarketConfig``.

    Yields
    ------
    ``<receive time, 19-digit ns> <raw JSON>``, as the recorders of the real feeds write it.
    """
    market = _Market(config)
    flow = market.flow
    end_ns = config.start_ns + config.duration_s * NS_PER_S
    while True:
        flow.advance()
        now_ns = flow.now_ns
        market.close_windows(min(now_ns, end_ns))
        if now_ns >= end_ns:
            break
        flow.act()
        market.take_snapshot(now_ns)
        yield from market.outbox.arrived(now_ns)
    market.finish(end_ns)
    yield from market.outbox.arrived()


class _Market:
    """One venue at work: turns changes of the book into messages on their way."""

    def __init__(self, config: MarketConfig) -> None:
        seeds = np.random.SeedSequence(config.seed).spawn(3)
        flow_rng, path_rng, wire_rng = (np.random.Generator(np.random.PCG64(seed)) for seed in seeds)
        self.book = OrderBook(lambda *_change: None)
        self.flow = OrderFlow(config, self.book, flow_rng)
        self.flow.fill_book()
        self.book.on_change = self._publish
        self.outbox = Outbox(config.skew_ns, path_rng)
        self._config = config
        self._wire = config.wire
        self._messages = messages_of(config)
        self._uniform = uniforms(wire_rng).__next__
        self._update_id = self._wire.first_update_id - 1
        self._first_id = 0
        self._previous_id = self._update_id
        self._trade_id = self._wire.first_trade_id
        self._changed: Sides = ({}, {})
        self._changed_ns = config.start_ns
        self._best = (0, 0, 0, 0)
        self._note_best()
        self._window_end_ns = config.start_ns + _WINDOW_PHASE_NS
        self._snapshot_due_ns: int | None = config.start_ns + config.snapshot_after_ms * NS_PER_MS
        self._snapshots: list[tuple[int, str]] = []

    def _note_best(self) -> bool:
        """Remember the best quotes; whether they have changed."""
        book = self.book
        bid, ask = book.best
        best = (bid, book.sizes[0][bid], ask, book.sizes[1][ask])
        if best == self._best:
            return False
        self._best = best
        return True

    def _publish(self, side: int, price: int, lots: int, filled: int) -> None:
        """Give one change its update id; send a ticker if the best quotes changed, a trade if it was one."""
        now_ns = self.flow.now_ns
        stride = self._wire.update_id_stride
        self._update_id += 1 if stride == 1 else 1 + int(self._uniform() * 2 * (stride - 1))
        if not any(self._changed):
            self._first_id = self._update_id
        self._changed[side][price] = lots
        self._changed_ns = now_ns
        sent_ns = now_ns + int(self._uniform() * 600_000)
        matched_ms, sent_ms = now_ns // NS_PER_MS, sent_ns // NS_PER_MS
        if self._note_best():
            ticker = self._messages.ticker(
                sent_ms=sent_ms, matched_ms=matched_ms, update_id=self._update_id, book=self.book
            )
            self.outbox.send(TICKER, sent_ns, ticker)
        if filled:
            trade = self._messages.trade(
                sent_ms=sent_ms,
                matched_ms=matched_ms,
                trade_id=self._trade_id,
                price=price,
                lots=filled,
                sold=side == BID,
            )
            self._trade_id += 1
            self.outbox.send(TRADE, sent_ns, trade)

    def close_windows(self, now_ns: int) -> None:
        """End each depth window that is over by now; a window without a change sends nothing."""
        while self._window_end_ns <= now_ns:
            end_ns = self._window_end_ns
            self._window_end_ns += self._wire.depth_interval_ms * NS_PER_MS
            if self._wire.update_id_stride > 1:
                self._window_end_ns += int(self._uniform() * 3) * NS_PER_MS
            if any(self._changed):
                self._send_depth(end_ns)

    def _send_depth(self, now_ns: int) -> None:
        """Send the changed levels, and after them each snapshot that they have overtaken."""
        depth = self._messages.depth(
            sent_ms=now_ns // NS_PER_MS,
            matched_ms=self._changed_ns // NS_PER_MS,
            ids=(self._first_id, self._update_id, self._previous_id),
            sides=self._changed,
        )
        arrival_ns = self.outbox.send(DEPTH, now_ns, depth)
        self._previous_id = self._update_id
        self._changed = ({}, {})
        waiting = self._snapshots
        for update_id, snapshot in [one for one in waiting if one[0] < self._update_id]:
            self.outbox.deliver(arrival_ns + _REST_NS + int(self._uniform() * _REST_NS), snapshot)
            waiting.remove((update_id, snapshot))

    def take_snapshot(self, now_ns: int) -> None:
        """Ask for a snapshot when one is due; its answer arrives after the delta that straddles it.

        For a second it waits to fall inside a window with changes before it; a sleepy market must do without.
        """
        due_ns = self._snapshot_due_ns
        if due_ns is None or now_ns < due_ns or self._update_id < self._wire.first_update_id:
            return
        inside = any(self._changed) and self._update_id > self._first_id
        if not inside and now_ns < due_ns + NS_PER_S:
            return
        snapshot = self._messages.snapshot(
            sent_ms=now_ns // NS_PER_MS,
            matched_ms=self._changed_ns // NS_PER_MS,
            update_id=self._update_id,
            book=self.book,
            levels=self._config.snapshot_levels,
        )
        self._snapshots.append((self._update_id, snapshot))
        every_s = self._config.snapshot_every_s
        self._snapshot_due_ns = None if every_s is None else due_ns + every_s * NS_PER_S

    def finish(self, now_ns: int) -> None:
        """Send what is still open at the end: the last window, then the snapshots that wait for it."""
        if any(self._changed):
            self._send_depth(now_ns)
        for _, snapshot in self._snapshots:
            self.outbox.deliver(now_ns + _REST_NS, snapshot)
        self._snapshots.clear()
