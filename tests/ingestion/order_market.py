"""A small seeded market of single orders, told as LOBSTER files and as a log of Bitstamp's feed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rlx_datapipe.venues.lobster import NO_ASK, NO_BID

BID, ASK = 0, 1
DAY = "2012-06-21"
OPEN_NS = 34_200 * 10**9
CENT = 100
FEW = 20
"""With fewer orders than these one comes."""
Levels = list[tuple[int, int]]


@dataclass
class OrderMarket:
    """Orders by id with side, price and size; each deed changes them and tells what it did."""

    random: Random
    orders: dict[int, list[int]] = field(default_factory=dict)
    last_id: int = 0
    mid: int = 10_000

    def levels(self, side: int) -> Levels:
        """Price and total of each level, best first."""
        totals: dict[int, int] = {}
        for of, price, size in self.orders.values():
            if of == side:
                totals[price] = totals.get(price, 0) + size
        return sorted(totals.items(), reverse=side == BID)

    def rest(self) -> tuple[int, int, int, int]:
        """A new order that does not cross: id, side, price, size."""
        side, size = self.random.randrange(2), self.random.randrange(1, 9) * 10
        self.last_id += self.random.randrange(1, 4)
        away = 1 + int(self.random.expovariate(0.1))
        other = self.levels(1 - side)
        touch = other[0][0] if other else self.mid
        price = max(1, touch - away if side == BID else touch + away)
        self.orders[self.last_id] = [side, price, size]
        return self.last_id, side, price, size

    def take(self, order: int, size: int) -> tuple[int, int, int, int]:
        """Take so much from an order: id, side, price, size taken."""
        side, price, held = self.orders[order]
        self.orders[order][2] -= size
        if size == held:
            del self.orders[order]
        return order, side, price, size

    def any_order(self) -> int:
        """The id of some order."""
        return self.random.choice(list(self.orders))

    def first_in_queue(self, side: int) -> int:
        """The id of the order that is executed next on a side."""
        best = self.levels(side)[0][0]
        return min(order for order, (of, price, _) in self.orders.items() if (of, price) == (side, best))


def lobster_rows(seed: int, messages: int, levels: int) -> tuple[list[str], list[str]]:
    """Lines of a message file and of its orderbook file; what happens out of view is not told."""
    market = OrderMarket(Random(seed))
    for _ in range(30):
        market.rest()
    told: list[str] = []
    rows: list[str] = []
    time_ns, before = OPEN_NS, _row(market, levels)
    while len(told) < messages:
        time_ns += int(market.random.expovariate(1e-8)) * market.random.randrange(2)
        kind, order, side, price, size = _deed(market)
        row = _row(market, levels)
        if row != before or kind in (5, 7):
            direction = -1 if kind == 7 or side == ASK else 1
            seconds = f"{time_ns // 10**9}.{time_ns % 10**9:09d}".rstrip("0").rstrip(".")
            dollars = price if kind == 7 else price * CENT
            told.append(f"{seconds},{kind},{order},{size},{dollars},{direction}")
            rows.append(row)
        before = row
    return told, rows


def _deed(market: OrderMarket) -> tuple[int, int, int, int, int]:
    """Something happens: type of message, id, side, price, size."""
    drawn = market.random.random()
    sides = {side for side, _, _ in market.orders.values()}
    if drawn < 0.4 or len(sides) < 2 or len(market.orders) < FEW:
        return 1, *market.rest()
    if drawn < 0.5:
        order = market.any_order()
        held = market.orders[order][2]
        return (2, *market.take(order, held // 2)) if held > 1 else (3, *market.take(order, held))
    if drawn < 0.8:
        order = market.any_order()
        return 3, *market.take(order, market.orders[order][2])
    if drawn < 0.92:
        order = market.first_in_queue(market.random.randrange(2))
        return 4, *market.take(order, market.random.randrange(1, market.orders[order][2] + 1))
    if drawn < 0.99:
        return 5, 0, market.random.randrange(2), market.mid, 7
    return 7, 0, ASK, market.random.randrange(-1, 2), 0


def _row(market: OrderMarket, levels: int) -> str:
    cells: list[int] = []
    sides = market.levels(ASK), market.levels(BID)
    for level in range(levels):
        for side, none in zip(sides, (NO_ASK, NO_BID), strict=True):
            price, size = side[level] if level < len(side) else (none, 0)
            cells += [price * CENT if size else price, size]
    return ",".join(map(str, cells))


def lobster_name(kind: str, levels: int, ticker: str = "TEST", day: str = DAY) -> str:
    """The name of a file."""
    return f"{ticker}_{day}_34200000_57600000_{kind}_{levels}.csv"


def write_lobster(
    folder: Path, told: list[str], rows: list[str], levels: int, day: str = DAY
) -> tuple[Path, Path]:
    """Write a pair; where both files lie."""
    paths = tuple(folder / lobster_name(kind, levels, day=day) for kind in ("message", "orderbook"))
    for path, lines in zip(paths, (told, rows), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines))
    return paths[0], paths[1]


@dataclass
class Log:
    """Lines of a log of Bitstamp's feed, and bids and asks of the true book after each.

    There is none between the two messages on the orders of one trade.
    """

    lines: list[str] = field(default_factory=list)
    books: list[list[dict[int, int]] | None] = field(default_factory=list)


def bitstamp_log(
    seed: int, messages: int, levels: int = 500, every: int = 25, *, typed: bool = False, whole: bool = True
) -> Log:
    """A log of orders and trades, and a snapshot of so many levels about every so many lines.

    Prices are in cents, sizes in tenths; trades tell their aggressor if ``typed``. Unless it is ``whole``
    sixty orders had been there before.
    """
    market, log = OrderMarket(Random(seed)), Log()
    first_orders = [market.rest() for _ in range(60)]
    time_ms, trade = 1_430_438_404_000, 8_000_000

    def tell(event: str, **facts: object) -> None:
        nonlocal time_ms
        time_ms += market.random.randrange(1, 60)
        log.lines.append(f"{time_ms} {event} {json.dumps(facts)}")
        log.books.append([dict(market.levels(side)) for side in (BID, ASK)])

    def tell_order(event: str, order: int, side: int, price: int, amount: int) -> None:
        facts = {"price": f"{price / 100:.2f}", "amount": f"{amount / 10:.8f}", "datetime": "0"}
        tell(event, **facts, id=order, order_type=side)

    def tell_book() -> None:
        sides = {
            name: [[f"{price / 100:.2f}", f"{size / 10:.8f}"] for price, size in market.levels(side)[:levels]]
            for name, side in (("bids", BID), ("asks", ASK))
        }
        tell("order_book", **sides)

    def cross(side: int, size: int) -> None:
        """An order comes that trades with a side; either order of a trade is told first, the trade last."""
        nonlocal trade
        market.last_id += 1
        taker, limit = market.last_id, market.levels(side)[0][0] + (-3 if side == BID else 3)
        tell_order("order_created", taker, 1 - side, limit, size)
        while size and market.levels(side) and _meets(side, market.levels(side)[0][0], limit):
            order = market.first_in_queue(side)
            filled = min(size, market.orders[order][2])
            size -= filled
            _, _, price, _ = market.take(order, filled)
            left = market.orders[order][2] if order in market.orders else 0
            if size and not (market.levels(side) and _meets(side, market.levels(side)[0][0], limit)):
                market.orders[taker] = [1 - side, limit, size]
            of_both = [(taker, 1 - side, limit, size), (order, side, price, left)]
            market.random.shuffle(of_both)
            for of_one in of_both:
                tell_order("order_changed" if of_one[3] else "order_deleted", *of_one)
            log.books[-2] = None
            trade += 1
            aggressor = {"type": 1 - side} if typed else {}
            tell("trade", price=price / 100, amount=filled / 10, id=trade, **aggressor)

    for first in first_orders if whole else ():
        tell_order("order_created", *first)
    next_book = len(log.lines)
    while len(log.lines) < messages:
        if len(log.lines) >= next_book:
            next_book += every
            tell_book()
        drawn = market.random.random()
        sides = {side for side, _, _ in market.orders.values()}
        if drawn < 0.45 or len(sides) < 2 or len(market.orders) < FEW:
            tell_order("order_created", *market.rest())
        elif drawn < 0.85:
            order = market.any_order()
            tell_order("order_deleted", *market.take(order, market.orders[order][2]))
        else:
            cross(market.random.randrange(2), market.random.randrange(1, 12) * 10)
    return log


def write_log(path: Path, lines: list[str]) -> Path:
    """Write a log; where it lies."""
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def _meets(side: int, price: int, limit: int) -> bool:
    return price >= limit if side == BID else price <= limit
