"""A small market told in files of Tardis's layout, made by ourselves."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

L2, TRADES, QUOTES, BOOK = "incremental_book_L2", "trades", "quotes", "book_snapshot_5"
HEAD = "exchange,symbol,timestamp,local_timestamp"
HEADERS = {
    L2: f"{HEAD},is_snapshot,side,price,amount",
    TRADES: f"{HEAD},id,side,price,amount",
    QUOTES: f"{HEAD},ask_amount,ask_price,bid_price,bid_amount",
    BOOK: ",".join(
        [HEAD, *(f"{s}[{i}].{w}" for i in range(5) for s in ("asks", "bids") for w in ("price", "amount"))]
    ),
}
START_US = 1_723_161_600_000_000
"""2024-08-09 00:00 UTC."""
EXCHANGE, SYMBOL = "binance-futures", "BTCUSDT"


def text(units: int, decimals: int) -> str:
    """A number as JavaScript writes it: no zeros behind, and an exponent below a millionth."""
    whole, part = divmod(units, 10**decimals)
    if whole or not units or part * 10**6 >= 10**decimals:
        return f"{whole}.{part:0{decimals}d}".rstrip("0").rstrip(".") if decimals else str(whole)
    digits = str(part).rstrip("0")
    power = decimals - len(str(part)) + 1
    return (digits[0] + ("." + digits[1:] if digits[1:] else "")) + f"e-{power}"


@dataclass
class Tape:
    """A seeded market: rows of each table as they come, prices in cents and amounts in 1e-8."""

    seed: int = 1
    lag_us: int = 40_000
    time_us: int = START_US
    rows: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in HEADERS})
    book: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.trade_id, self.last_best, self.last_top = 1_000, "", ""

    @property
    def head(self) -> str:
        return f"{EXCHANGE},{SYMBOL},{self.time_us},{self.time_us + self.lag_us}"

    def snapshot(self, *, clock_is_ours: bool = False) -> None:
        """State the whole book, asks first, as Tardis does."""
        self.step()
        if not self.book[0]:
            for away in range(1, 30):
                self.book[0][6_000_000 - away * 10] = self.random.randrange(1, 10**9)
                self.book[1][6_000_000 + away * 10] = self.random.randrange(1, 10**9)
        head = self.head
        if clock_is_ours:
            received = self.time_us + self.lag_us
            head = f"{EXCHANGE},{SYMBOL},{received},{received}"
        for side, name in ((1, "ask"), (0, "bid")):
            for price in sorted(self.book[side]):
                level = f"{text(price, 2)},{text(self.book[side][price], 8)}"
                self.rows[L2].append(f"{head},true,{name},{level}")
        self.tell()

    def change(self) -> None:
        """Change some levels by one message."""
        self.step()
        for _ in range(self.random.randrange(1, 6)):
            side = self.random.randrange(2)
            away = 10 * self.random.randrange(1, 40)
            price = 6_000_000 + (away if side else -away)
            amount = self.random.choice((0, 7, 150, self.random.randrange(1, 10**9)))
            self.book[side].pop(price, None)
            if amount:
                self.book[side][price] = amount
            name = "ask" if side else "bid"
            self.rows[L2].append(f"{self.head},false,{name},{text(price, 2)},{text(amount, 8)}")
        self.tell()

    def trade(self) -> None:
        """One trade at the touch."""
        self.time_us += 1
        self.trade_id += 1
        side = self.random.randrange(2)
        price = max(self.book[0]) if side else min(self.book[1])
        word = "sell" if side else "buy"
        amount = self.random.choice((9, self.random.randrange(1, 10**8)))
        self.rows[TRADES].append(f"{self.head},{self.trade_id},{word},{text(price, 2)},{text(amount, 8)}")

    def tell(self) -> None:
        """Rows of quotes and of book snapshots, where those levels have changed."""
        best = [sorted(self.book[0], reverse=True)[:5], sorted(self.book[1])[:5]]
        bid, ask = (
            (text(prices[0], 2), text(self.book[side][prices[0]], 8)) if prices else ("", "")
            for side, prices in enumerate(best)
        )
        quote = f"{ask[1]},{ask[0]},{bid[0]},{bid[1]}"
        if quote != self.last_best:
            self.rows[QUOTES].append(f"{self.head},{quote}")
        cells = []
        for level in range(5):
            for side in (1, 0):
                prices = best[side]
                known = level < len(prices)
                cells += (
                    [text(prices[level], 2), text(self.book[side][prices[level]], 8)] if known else ["", ""]
                )
        if ",".join(cells) != self.last_top:
            self.rows[BOOK].append(f"{self.head},{','.join(cells)}")
        self.last_best, self.last_top = quote, ",".join(cells)

    def step(self) -> None:
        self.time_us += self.random.randrange(20_000, 130_000)

    def play(self, messages: int) -> Tape:
        """A snapshot, then changes and trades."""
        self.snapshot()
        for _ in range(messages):
            self.change()
            for _ in range(self.random.randrange(3)):
                self.trade()
        return self

    def write(self, folder: Path, tables: Iterable[str] = tuple(HEADERS), *, packed: bool = True) -> Path:
        """Files of some tables, named as Tardis names them."""
        folder.mkdir(parents=True, exist_ok=True)
        for table in tables:
            save(
                folder / f"{EXCHANGE}_{table}_2024-08-09_{SYMBOL}.csv", table, self.rows[table], packed=packed
            )
        return folder


def save(path: Path, table: str, rows: Sequence[str], *, packed: bool = False, header: str = "") -> Path:
    """One file of a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = "\n".join([header or HEADERS[table], *rows, ""]).encode()
    path = path.with_name(path.name + ".gz") if packed else path
    path.write_bytes(gzip.compress(whole, mtime=0) if packed else whole)
    return path
