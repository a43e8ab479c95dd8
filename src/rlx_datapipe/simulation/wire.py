"""Messages of Binance spot and USD-M as the venue writes them: key order, number format, stream names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from rlx_datapipe.simulation.config import MarketConfig, Wire
from rlx_datapipe.simulation.orders import ASK, BID

Levels = Iterable[tuple[int, int]]
"""Levels of one side as (ticks, lots), in the order in which they are written."""


class Quotes(Protocol):
    """A book as far as a ticker tells it: best prices in ticks, and by side the sizes of at least those."""

    @property
    def best(self) -> Sequence[int]:
        """Best bid and best ask."""

    @property
    def sizes(self) -> Sequence[Mapping[int, int]]:
        """For bids and asks: price in ticks to size in lots."""


class Ladders(Protocol):
    """A book as far as a snapshot tells it."""

    def ladder(self, side: int, levels: int) -> Levels:
        """The best levels of a side, best first."""


class Messages(Protocol):
    """What each venue's wire can say; times in ms, prices in ticks, sizes in lots."""

    def depth(self, *, sent_ms: int, matched_ms: int, ids: tuple[int, int, int], sides: "Sides") -> str:
        """One depthUpdate; ``ids`` are first, last and the previous message's last update id."""

    def trade(
        self, *, sent_ms: int, matched_ms: int, trade_id: int, price: int, lots: int, sold: bool
    ) -> str:
        """One trade; ``sold`` when the aggressor sold, that is, when the buyer was the maker."""

    def aggregate(
        self, *, sent_ms: int, matched_ms: int, ids: tuple[int, int, int], price: int, lots: int, sold: bool
    ) -> str:
        """Trades of one price and side as one; ``ids`` are its own, and those of its first and last trade."""

    def ticker(self, *, sent_ms: int, matched_ms: int, update_id: int, book: Quotes) -> str:
        """Best prices and sizes after one update id."""

    def snapshot(self, *, sent_ms: int, matched_ms: int, update_id: int, book: Ladders, levels: int) -> str:
        """Answer of the REST depth endpoint."""


Sides = tuple[dict[int, int], dict[int, int]]
"""Changed levels of bids and asks: price in ticks to new size in lots."""


class Numbers:
    """Writes ticks and lots as the venue's decimal strings, by integer arithmetic alone."""

    def __init__(self, wire: Wire) -> None:
        self._tick, self._lot = wire.tick_units, wire.lot_units
        self._price_one, self._quantity_one = 10**wire.price_decimals, 10**wire.quantity_decimals
        self._price_width, self._quantity_width = wire.price_decimals, wire.quantity_decimals

    def price(self, ticks: int) -> str:
        """Write a price: 6183763 ticks of 0.01 are '61837.63000000' on spot."""
        whole, part = divmod(ticks * self._tick, self._price_one)
        return f"{whole}.{part:0{self._price_width}d}"

    def quantity(self, lots: int) -> str:
        """Write a size: 378826 lots of 0.00001 are '3.78826000' on spot."""
        whole, part = divmod(lots * self._lot, self._quantity_one)
        return f"{whole}.{part:0{self._quantity_width}d}"

    def levels(self, levels: Levels) -> str:
        """Write levels as a JSON array of [price, quantity] pairs."""
        price, quantity = self.price, self.quantity
        return "[" + ",".join([f'["{price(ticks)}","{quantity(lots)}"]' for ticks, lots in levels]) + "]"


class SpotMessages:
    """The streams of Binance spot; a ticker has no time, a depth update no ``T`` and no ``pu``."""

    def __init__(self, config: MarketConfig) -> None:
        self._symbol = config.symbol
        self._numbers = Numbers(config.wire)
        stream = config.symbol.lower()
        self._depth = (
            f'{{"stream":"{stream}@depth@{config.wire.depth_interval_ms}ms","data":{{"e":"depthUpdate","E":'
        )
        self._trade = f'{{"stream":"{stream}@trade","data":{{"e":"trade","E":'
        self._aggregate = f'{{"stream":"{stream}@aggTrade","data":{{"e":"aggTrade","E":'
        self._ticker = f'{{"stream":"{stream}@bookTicker","data":{{"u":'

    def depth(self, *, sent_ms: int, matched_ms: int, ids: tuple[int, int, int], sides: Sides) -> str:
        """One depthUpdate, bids from the highest price down; spot shows no match time."""
        del matched_ms
        bids = self._numbers.levels(sorted(sides[BID].items(), reverse=True))
        asks = self._numbers.levels(sorted(sides[ASK].items()))
        head = f'{self._depth}{sent_ms},"s":"{self._symbol}","U":{ids[0]},"u":{ids[1]}'
        return f'{head},"b":{bids},"a":{asks}}}}}'

    def trade(
        self, *, sent_ms: int, matched_ms: int, trade_id: int, price: int, lots: int, sold: bool
    ) -> str:
        """One trade, closed by the field ``M`` that the venue says to ignore."""
        numbers = self._numbers
        return (
            f'{self._trade}{sent_ms},"s":"{self._symbol}","t":{trade_id},"p":"{numbers.price(price)}",'
            f'"q":"{numbers.quantity(lots)}","T":{matched_ms},"m":{"true" if sold else "false"},"M":true}}}}'
        )

    def aggregate(
        self, *, sent_ms: int, matched_ms: int, ids: tuple[int, int, int], price: int, lots: int, sold: bool
    ) -> str:
        """Trades of one taker at one price, as they are made."""
        numbers = self._numbers
        return (
            f'{self._aggregate}{sent_ms},"s":"{self._symbol}","a":{ids[0]},"p":"{numbers.price(price)}",'
            f'"q":"{numbers.quantity(lots)}","f":{ids[1]},"l":{ids[2]},"T":{matched_ms},'
            f'"m":{"true" if sold else "false"},"M":true}}}}'
        )

    def ticker(self, *, sent_ms: int, matched_ms: int, update_id: int, book: Quotes) -> str:
        """Best prices and sizes, without any time."""
        del sent_ms, matched_ms
        return f'{self._ticker}{update_id},"s":"{self._symbol}",{best_fields(self._numbers, book)}}}}}'

    def snapshot(self, *, sent_ms: int, matched_ms: int, update_id: int, book: Ladders, levels: int) -> str:
        """Answer of ``/api/v3/depth``, without any time."""
        del sent_ms, matched_ms
        return f'{{"lastUpdateId":{update_id},{ladder_fields(self._numbers, book, levels)}}}'


class UsdmMessages:
    """The streams of Binance USD-M; update ids are the whole venue's, so ``pu`` makes the chain."""

    def __init__(self, config: MarketConfig) -> None:
        self._symbol = config.symbol
        self._numbers = Numbers(config.wire)
        stream = config.symbol.lower()
        self._depth = f'{{"stream":"{stream}@depth@0ms","data":{{"e":"depthUpdate","E":'
        self._trade = f'{{"stream":"{stream}@trade","data":{{"e":"trade","E":'
        self._aggregate = f'{{"stream":"{stream}@aggTrade","data":{{"e":"aggTrade","E":'
        self._ticker = f'{{"stream":"{stream}@bookTicker","data":{{"e":"bookTicker","u":'

    def depth(self, *, sent_ms: int, matched_ms: int, ids: tuple[int, int, int], sides: Sides) -> str:
        """One depthUpdate, both sides from the lowest price up."""
        bids = self._numbers.levels(sorted(sides[BID].items()))
        asks = self._numbers.levels(sorted(sides[ASK].items()))
        head = f'{self._depth}{sent_ms},"T":{matched_ms},"s":"{self._symbol}","U":{ids[0]},"u":{ids[1]}'
        return f'{head},"pu":{ids[2]},"b":{bids},"a":{asks}}}}}'

    def trade(
        self, *, sent_ms: int, matched_ms: int, trade_id: int, price: int, lots: int, sold: bool
    ) -> str:
        """One trade of the market, so ``X`` is MARKET."""
        numbers = self._numbers
        return (
            f'{self._trade}{sent_ms},"T":{matched_ms},"s":"{self._symbol}","t":{trade_id},'
            f'"p":"{numbers.price(price)}","q":"{numbers.quantity(lots)}","X":"MARKET",'
            f'"m":{"true" if sold else "false"}}}}}'
        )

    def aggregate(
        self, *, sent_ms: int, matched_ms: int, ids: tuple[int, int, int], price: int, lots: int, sold: bool
    ) -> str:
        """Trades of one price and side within 100 ms."""
        numbers = self._numbers
        return (
            f'{self._aggregate}{sent_ms},"a":{ids[0]},"s":"{self._symbol}","p":"{numbers.price(price)}",'
            f'"q":"{numbers.quantity(lots)}","f":{ids[1]},"l":{ids[2]},"T":{matched_ms},'
            f'"m":{"true" if sold else "false"}}}}}'
        )

    def ticker(self, *, sent_ms: int, matched_ms: int, update_id: int, book: Quotes) -> str:
        """Best prices and sizes with both times."""
        best = best_fields(self._numbers, book)
        return f'{self._ticker}{update_id},"s":"{self._symbol}",{best},"T":{matched_ms},"E":{sent_ms}}}}}'

    def snapshot(self, *, sent_ms: int, matched_ms: int, update_id: int, book: Ladders, levels: int) -> str:
        """Answer of ``/fapi/v1/depth``."""
        ladders = ladder_fields(self._numbers, book, levels)
        return f'{{"lastUpdateId":{update_id},"E":{sent_ms},"T":{matched_ms},{ladders}}}'


def best_fields(numbers: Numbers, book: Quotes) -> str:
    """Write the four fields of the best quotes, without braces."""
    bid, ask = book.best
    price, quantity = numbers.price, numbers.quantity
    return (
        f'"b":"{price(bid)}","B":"{quantity(book.sizes[BID][bid])}",'
        f'"a":"{price(ask)}","A":"{quantity(book.sizes[ASK][ask])}"'
    )


def ladder_fields(numbers: Numbers, book: Ladders, levels: int) -> str:
    """Write the two ladders of a snapshot, best level first, without braces."""
    bids, asks = (numbers.levels(book.ladder(side, levels)) for side in (BID, ASK))
    return f'"bids":{bids},"asks":{asks}'


def messages_of(config: MarketConfig) -> Messages:
    """The writer of a config's venue."""
    return SpotMessages(config) if config.venue == "binance-spot" else UsdmMessages(config)
