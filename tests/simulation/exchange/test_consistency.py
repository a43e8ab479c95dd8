"""A snapshot fits the stream at the moment at which it is given: whoever follows the rule holds the book."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest
from tests.depth import deep, thinned
from tests.simulation.exchange.stage import APIS, exchange_of, run, said
from tests.simulation.exchange.twin import Followed, Sides, Twin, follow, within

from rlx_datapipe.simulation.exchange.books import ServedBook, Statement
from rlx_datapipe.simulation.exchange.options import ExchangeOptions

VENUES = ["binance-spot", "binance-usdm"]
JOINS_S = (0.0, 0.1, 0.35, 0.5, 0.61)


def recorded_books(venue: str) -> dict[int, Sides]:
    """The book at each update id as the recording tells it: its snapshot and its deltas, by the rule."""
    messages = said(venue)
    snapshot = next(json.loads(data) for _, stream, data in messages if stream.endswith("@snapshot"))
    twin, books = Twin(snapshot, is_futures=venue != "binance-spot"), {}
    for _, stream, data in messages:
        if "@depth" in stream:
            twin.apply(json.loads(data))
            books[twin.id] = twin.copy()
    return books


def followed_by_several(venue: str, speed: float, limit: int) -> list[Followed]:
    """Clients that join one after the other, each asking for its own snapshot."""
    found: list[Followed] = []

    async def test() -> None:
        options = ExchangeOptions(speed=speed, at_end="close")
        async with exchange_of({venue: said(venue)}, options) as exchange:

            async def join(after_s: float) -> Followed:
                await asyncio.sleep(after_s)
                return await follow(exchange.url, APIS[venue], "BTCUSDT", limit=limit)

            found.extend(await asyncio.gather(*(join(after_s) for after_s in JOINS_S)))

    run(test)
    return found


def wrong_books(venue: str, found: list[Followed]) -> list[int]:
    """Update ids at which a client's book is not that of the recording, as far as it can know it."""
    true = recorded_books(venue)
    return [
        update_id
        for followed in found
        for update_id, book in followed.books.items()
        if within(book, followed.snapshot) != within(true[update_id], followed.snapshot)
    ]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("limit", [20, pytest.param(1000, marks=deep)])
def test_whenever_a_client_joins_its_book_is_the_recordings_own_at_every_update(
    venue: str, limit: int
) -> None:
    found = followed_by_several(venue, 2.0, limit)
    # On a busy machine those that join last may come too late for more than a few updates.
    assert sum(len(followed.books) >= 5 for followed in found) >= 2
    assert len({followed.snapshot["lastUpdateId"] for followed in found if followed.books}) >= 2
    assert wrong_books(venue, found) == []


@pytest.mark.parametrize("venue", VENUES)
def test_at_full_speed_the_recordings_own_snapshot_gives_the_book_at_every_update(venue: str) -> None:
    true = recorded_books(venue)
    options = ExchangeOptions(at_end="close", snapshots="recorded")

    async def test() -> None:
        async with exchange_of({venue: said(venue)}, options) as exchange:
            followed = await follow(exchange.url, APIS[venue], "BTCUSDT")
        assert "end of the recording" in followed.ended_by
        own = next(data for _, stream, data in said(venue) if stream.endswith("@snapshot"))
        assert followed.snapshot == json.loads(own)
        ids = [update_id for update_id in true if update_id >= min(followed.books)]
        assert list(followed.books) == ids
        assert len(ids) > 30
        assert wrong_books(venue, [followed]) == []

    run(test)


class OneMessageEarly(ServedBook):
    """Planted: levels from before the last message, under the id from after it."""

    before: Statement | None = None

    def sent(self, data: bytes) -> None:
        self.before = super().statement()
        super().sent(data)

    def statement(self) -> Statement | None:
        now = super().statement()
        return now if now is None or self.before is None else now._replace(levels=self.before.levels)


class OneMessageLate(ServedBook):
    """Planted: levels from after a message that is still to come, under the id from before it."""

    held: Statement | None = None

    def sent(self, data: bytes) -> None:
        self.held = super().statement()
        super().sent(data)

    def statement(self) -> Statement | None:
        now = super().statement()
        return now if now is None or self.held is None else now._replace(last_id=self.held.last_id)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("planted", thinned([OneMessageLate, OneMessageEarly], 2))
def test_a_snapshot_one_message_early_or_late_is_noticed(
    venue: str, planted: type[ServedBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.simulation.exchange.stage.ServedBook", planted)
    true, found = recorded_books(venue), followed_by_several(venue, 2.0, 1000)
    assert any(snapshot_is_wrong(followed, true) for followed in found if followed.snapshot)
    if venue == "binance-spot" and planted is OneMessageEarly:
        # Elsewhere the rule applies that message again, which mends it.
        assert wrong_books(venue, found)


@pytest.mark.parametrize("venue", VENUES)
def test_the_snapshot_itself_is_the_recordings_book_at_its_id(venue: str) -> None:
    true, found = recorded_books(venue), followed_by_several(venue, 2.0, 1000)
    assert not any(snapshot_is_wrong(followed, true) for followed in found if followed.snapshot)


def snapshot_is_wrong(followed: Followed, true: dict[int, Sides]) -> bool:
    snapshot = followed.snapshot
    stated = {
        side: {Decimal(price): Decimal(quantity) for price, quantity in snapshot[name]}
        for side, name in (("b", "bids"), ("a", "asks"))
    }
    return stated != within(true[snapshot["lastUpdateId"]], snapshot)
