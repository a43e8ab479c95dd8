"""A book kept by nobody's code but the venue's published rule, in a few lines, and a client that feeds it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
from websockets.asyncio.client import connect

Sides = dict[str, dict[Decimal, Decimal]]


class MissedError(Exception):
    """Raised where the rule says that a message was missed."""


class Twin:
    """The rule of spot, or of futures, as published."""

    def __init__(self, snapshot: dict[str, Any], *, is_futures: bool) -> None:
        self.is_futures, self.id, self.is_joined = is_futures, snapshot["lastUpdateId"], False
        self.sides: Sides = {"b": _side(snapshot["bids"]), "a": _side(snapshot["asks"])}

    def apply(self, event: dict[str, Any]) -> None:
        if event["u"] < self.id or (event["u"] == self.id and not (self.is_futures and not self.is_joined)):
            return
        if not self.is_futures:
            follows = event["U"] <= self.id + 1
        elif self.is_joined:
            follows = event["pu"] == self.id
        else:
            follows = event["U"] <= self.id
        if not follows:
            raise MissedError(f"{event['U']}..{event['u']} does not follow {self.id}")
        self.id, self.is_joined = event["u"], True
        for side in "ba":
            for price, quantity in _side(event[side]).items():
                self.sides[side][price] = quantity
                if not quantity:
                    del self.sides[side][price]

    def copy(self) -> Sides:
        return {side: dict(levels) for side, levels in self.sides.items()}


def _side(levels: list[list[str]]) -> dict[Decimal, Decimal]:
    return {Decimal(price): Decimal(quantity) for price, quantity in levels}


class Followed:
    """What a client that follows the rule came to hold: its snapshot, and its book at each update id."""

    def __init__(self) -> None:
        self.snapshot: dict[str, Any] = {}
        self.books: dict[int, Sides] = {}
        self.ended_by = ""


async def follow(
    url: str, api: str, symbol: str, *, limit: int = 1000, keep: Callable[[int], bool] = lambda _: True
) -> Followed:
    """Follow one symbol from now to the end: buffer, snapshot, then every message by the rule."""
    followed, events, is_futures = Followed(), asyncio.Queue[dict[str, Any] | None](), api != "/api/v3"

    async def receive() -> None:
        async with connect(f"{url}/ws/{symbol.lower()}@depth@100ms", max_size=None, max_queue=None) as line:
            async for message in line:
                events.put_nowait(json.loads(message))
            followed.ended_by = line.close_reason or ""
        events.put_nowait(None)

    receiver = asyncio.create_task(receive())
    first = await events.get()
    if first is None:
        return followed
    async with httpx.AsyncClient(base_url=url.replace("ws://", "http://"), timeout=30) as web:
        while followed.snapshot.get("lastUpdateId", -1) < first["U"]:
            answer = await web.get(f"{api}/depth", params={"symbol": symbol, "limit": limit})
            answer.raise_for_status()
            followed.snapshot = answer.json()
    twin = Twin(followed.snapshot, is_futures=is_futures)
    event: dict[str, Any] | None = first
    while event is not None:
        twin.apply(event)
        if twin.is_joined and keep(twin.id):
            followed.books[twin.id] = twin.copy()
        event = await events.get()
    await receiver
    return followed


def within(book: Sides, snapshot: dict[str, Any]) -> Sides:
    """The part of a book that a snapshot of limited depth lets its holder know."""
    low, high = Decimal(snapshot["bids"][-1][0]), Decimal(snapshot["asks"][-1][0])
    return {
        "b": {price: quantity for price, quantity in book["b"].items() if price >= low},
        "a": {price: quantity for price, quantity in book["a"].items() if price <= high},
    }
