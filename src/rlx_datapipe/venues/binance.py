"""Binance spot, USD-M and COIN-M: markets, recognition, and raw frames to events and quotes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import NONE, Field, Int64Array, Quote
from rlx_datapipe.core.feed import Frames, Parsed, Probe, Reject
from rlx_datapipe.core.instrument import Instrument, same_symbol
from rlx_datapipe.core.sequence import Link, SequenceRule
from rlx_datapipe.venues import binance_columns as columns
from rlx_datapipe.venues import binance_probe
from rlx_datapipe.venues.binance_bytes import Usual, read_usual
from rlx_datapipe.venues.binance_messages import (
    FOUND_CHARACTERS,
    NAMES,
    AggregateTrade,
    BookTicker,
    DepthUpdate,
    Fault,
    Message,
    Snapshot,
    Trade,
    Unknown,
    decode,
)
from rlx_datapipe.venues.binance_names import NAMELESS, symbols_of
from rlx_datapipe.venues.binance_probe import is_snapshot, recognise

__all__ = ["MARKETS", "NAMELESS", "Market", "is_snapshot", "parse", "probe", "recognise", "symbols_of"]


class Market(msgspec.Struct, frozen=True):
    """One Binance market: the name of its format, its exchange, and its sequence rule."""

    format: str
    exchange: str
    rule: SequenceRule


_FUTURES_RULE = SequenceRule(
    Link.PREVIOUS_ID,
    keeps_equal=True,
    source="https://developers.binance.com/docs/derivatives/usds-margined-futures/"
    "websocket-market-streams/How-to-manage-a-local-order-book-correctly",
)
_SPOT_RULE = SequenceRule(
    Link.FIRST_ID,
    keeps_equal=False,
    source="https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md",
)
MARKETS = {
    market.format: market
    for market in (
        Market("binance-spot", "BINANCE", _SPOT_RULE),
        Market("binance-usdm", "BINANCE_FUTURES", _FUTURES_RULE),
        Market("binance-coinm", "BINANCE_DELIVERY", _FUTURES_RULE),
    )
}

_WHOLE_DEPTH = re.compile(r"depth(@.*)?")


def probe(payloads: list[bytes], market: Market) -> Probe:
    """What the head of a recording of this market says of its symbols, message types and decimals."""
    return binance_probe.probe(payloads, market.exchange)


def parse(frames: Frames, file: str, instrument: Instrument, market: Market, trades: str) -> Parsed:
    """Events and quotes of a batch of frames, in arrival order; a message is taken whole or rejected whole.

    Parameters
    ----------
    frames
        Combined stream frames, raw payloads, or answers of the REST depth request.
    file
        Name told in rejects.
    instrument
        Symbol and scales; a message of another symbol is rejected.
    market
        Where the frames come from.
    trades
        ``trade`` or ``aggTrade``: which of the two become trade events. The other kind is counted as
        ``set aside:<kind>``: both tell of the same executions.

    Returns
    -------
    Parsed, where each frame is counted once: in ``counts`` by its type, or as one of ``rejects``.

    Raises
    ------
    OptionError
        For another word in ``trades``. Nothing in the frames ever raises.
    """
    if trades not in ("trade", "aggTrade"):
        raise OptionError("unknown kind of trades", found=trades, expected="trade or aggTrade")
    aside = "aggTrade" if trades == "trade" else "trade"
    usual = read_usual(frames, instrument, market.rule.link, aside)
    batch = _Batch(frames, file, instrument, market, trades, usual)
    batch.sort()
    batch.build()
    return batch.parsed


class _Batch:
    """The general parser's part of one call of `parse`: messages by type, then columns, then rejects."""

    def __init__(
        self,
        frames: Frames,
        file: str,
        instrument: Instrument,
        market: Market,
        trades: str,
        usual: Usual,
    ) -> None:
        self.frames = frames
        self.file = file
        self.instrument = instrument
        self.market = market
        self.aside: type = AggregateTrade if trades == "trade" else Trade
        self.usual = usual
        self.parsed = Parsed(usual.events, usual.quotes)
        self.messages: dict[type, list[Any]] = {kind: [] for kind in NAMES}
        self.indices: dict[type, list[int]] = {kind: [] for kind in NAMES}
        self.faults: dict[int, Fault] = {}
        self.kept: dict[int, str] = {}

    def sort(self) -> None:
        """Decode each frame that is left and put it with its kind."""
        seen: set[tuple[str, str, type]] = set()
        for index in self.usual.refused.tolist():
            stream, message = decode(self.frames.payload(index))
            kind = type(message)
            key = (stream, message.symbol if kind is not Fault else "", kind)  # type: ignore[union-attr]
            if key not in seen:
                message = self._check(stream, message)
                if type(message) is Fault:
                    self.faults[index] = message
                    continue
                if type(message) is Unknown:
                    self.kept[index] = f"unknown:{message.name}"
                    continue
                seen.add(key)
            self.messages[kind].append(message)
            self.indices[kind].append(index)

    def _check(self, stream: str, message: Message) -> Message:
        """The message, or what is wrong with where it came from."""
        if isinstance(message, (Fault, Unknown)):
            return message
        named, _, channel = stream.partition("@")
        for symbol in (named if channel else "", message.symbol):
            if symbol and not same_symbol(symbol, self.instrument.symbol):
                found = symbol[:FOUND_CHARACTERS]
                return Fault(f"symbol {found} in a file of {self.instrument.symbol}", "symbol", found)
        if not message.symbol and not isinstance(message, Snapshot):
            return Fault("symbol is empty", "s")
        if isinstance(message, (DepthUpdate, Snapshot)) and channel.startswith(("depth", "rpiDepth")):
            # Partial books and books with RPI orders look like deltas, and would spoil the book.
            return message if _WHOLE_DEPTH.fullmatch(channel) else Unknown(channel[:FOUND_CHARACTERS])
        return message

    def build(self) -> None:
        """Turn the messages into columns, and whatever is wrong with them into rejects."""
        self._take_out_trades()
        self._check_market()
        makers: tuple[tuple[type, Callable[..., tuple[Int64Array, Int64Array]]], ...] = (
            (DepthUpdate, columns.deltas),
            (Snapshot, columns.snapshots),
            (Trade, columns.trades),
            (AggregateTrade, columns.trades),
        )
        parts = []
        for kind, maker in makers:
            faults: columns.Faults = {}
            if self.messages[kind]:
                events, owner = maker(self.messages[kind], self.instrument, faults)
                events[Field.MESSAGE] = np.array(self.indices[kind], dtype=np.int64)[owner]
                parts.append(events)
            self._count(kind, faults)
        if parts:
            events = self._finish(np.concatenate(parts, axis=1), Field)
            self.parsed.events = _merged(self.parsed.events, events, Field.MESSAGE)
        faults = {}
        if self.messages[BookTicker]:
            quotes = columns.quotes(self.messages[BookTicker], self.instrument, faults)
            quotes[Quote.MESSAGE] = self.indices[BookTicker]
        self._count(BookTicker, faults)
        if self.messages[BookTicker]:
            quotes = self._finish(quotes, Quote)
            self.parsed.quotes = _merged(self.parsed.quotes, quotes, Quote.MESSAGE)
        self._report()

    def _take_out_trades(self) -> None:
        """Set aside the other kind of trade, and keep futures' trades that have no price and no size."""
        name = NAMES[self.aside]
        aside = len(self.messages[self.aside]) + self.usual.counts.pop(name, 0)
        if aside:
            self.parsed.counts[f"set aside:{name}"] = aside
        self.messages[self.aside], self.indices[self.aside] = [], []
        pairs = list(zip(self.messages[Trade], self.indices[Trade], strict=True))
        bare = {index for message, index in pairs if _is_bare(message)}
        if bare:
            self.kept.update(dict.fromkeys(bare, "trade without price"))
            self.messages[Trade] = [message for message, index in pairs if index not in bare]
            self.indices[Trade] = [index for _, index in pairs if index not in bare]

    def _check_market(self) -> None:
        """Reject depth updates of the wrong market: their chain of ids can't be followed."""
        linked = self.market.rule.link is Link.PREVIOUS_ID
        wrong = Fault("field is missing", "pu") if linked else Fault("a futures message in a spot file", "pu")
        for message, index in zip(self.messages[DepthUpdate], self.indices[DepthUpdate], strict=True):
            if (message.previous_id != NONE) != linked:
                self.faults[index] = wrong

    def _count(self, kind: type, faults: columns.Faults) -> None:
        """Note the faults of a kind, and count its sound messages."""
        indices = self.indices[kind]
        for at, fault in faults.items():
            self.faults.setdefault(indices[at], fault)
        good = sum(index not in self.faults for index in indices) + self.usual.counts[NAMES[kind]]
        if good:
            self.parsed.counts[NAMES[kind]] = good

    def _finish(self, table: Int64Array, field: type[Field] | type[Quote]) -> Int64Array:
        """The columns of sound messages in arrival order, with their row and receive time."""
        index = table[field.MESSAGE]
        order = np.argsort(index, kind="stable")
        if self.faults:
            order = order[~np.isin(index[order], list(self.faults))]
        table = table[:, order]
        index = table[field.MESSAGE]
        table[field.RECEIVED_TIME] = self.frames.received[index]
        table[field.MESSAGE] = self.frames.rows[index]
        return table

    def _report(self) -> None:
        """Hand over rejects and kept messages, each in order of arrival."""
        for index in sorted(self.faults):
            self.parsed.rejects.append(self._reject(index, *self.faults[index]))
        for index in sorted(self.kept):
            name = self.kept[index]
            self.parsed.counts[name] += 1
            reason = "unknown message type" if name.startswith("unknown:") else name
            self.parsed.kept.append(self._reject(index, reason))

    def _reject(self, index: int, reason: str, field: str = "", found: str = "") -> Reject:
        raw = self.frames.payload(index)
        return Reject(self.file, int(self.frames.rows[index]), reason, field, found, raw)


def _merged(usual: Int64Array, others: Int64Array, message: int) -> Int64Array:
    """Columns of both in order of arrival, by the rows of their messages."""
    if not others.shape[1]:
        return usual
    both = np.concatenate([usual, others], axis=1)
    return np.ascontiguousarray(both[:, np.argsort(both[message], kind="stable")])


def _is_bare(trade: Trade) -> bool:
    """Whether a trade says nothing: futures send kind ``NA`` with price and quantity zero."""
    if trade.order_kind in ("", "MARKET") or not trade.price:
        return False
    return not trade.price.strip("0.") and not trade.quantity.strip("0.")
