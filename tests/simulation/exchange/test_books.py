"""The served book: seeded at any place, moved by the rule, gone behind a break until the next snapshot."""

from __future__ import annotations

import json

import pytest
from tests.simulation.exchange.stage import INSTRUMENTS, said

from rlx_datapipe.simulation.exchange import books
from rlx_datapipe.simulation.exchange.books import ServedBook, Statement
from rlx_datapipe.simulation.exchange.snapshot_text import decimal_text, snapshot_text
from rlx_datapipe.venues.binance import MARKETS

VENUES = ["binance-spot", "binance-usdm"]


def parts(venue: str) -> tuple[list[bytes], bytes, int]:
    """Depth messages, the first snapshot, and how many messages come before it."""
    depth = [data for _, stream, data in said(venue) if "@depth" in stream]
    streams = [stream for _, stream, _ in said(venue) if "@depth" in stream or stream.endswith("@snapshot")]
    at = next(at for at, stream in enumerate(streams) if stream.endswith("@snapshot"))
    own = next(data for _, stream, data in said(venue) if stream.endswith("@snapshot"))
    return depth, own, at


def book_of(venue: str, **given: int) -> ServedBook:
    return ServedBook(INSTRUMENTS[venue], MARKETS[venue], **given)


def text(venue: str, statement: Statement | None) -> bytes:
    assert statement is not None
    return snapshot_text(statement, INSTRUMENTS[venue], 5000, names_symbol=False)


@pytest.mark.parametrize("venue", VENUES)
def test_wherever_the_snapshot_comes_the_book_is_the_same_from_there_on(venue: str) -> None:
    depth, own, at = parts(venue)
    ends = set()
    for place in (at, at + 1, at + 7, len(depth)):
        book = book_of(venue)
        for data in depth[:place]:
            book.sent(data)
        assert book.statement() is None
        book.stated(own)
        for data in depth[place:]:
            book.sent(data)
        ends.add(text(venue, book.statement()))
    assert len(ends) == 1


@pytest.mark.parametrize("venue", VENUES)
def test_a_snapshot_ahead_of_the_stream_is_the_book_until_the_stream_has_caught_up(venue: str) -> None:
    depth, own, at = parts(venue)
    book, usual = book_of(venue), book_of(venue)
    book.stated(own)
    statement = book.statement()
    assert statement is not None
    assert statement.last_id == json.loads(own)["lastUpdateId"]
    for one in (book, usual):
        for number, data in enumerate(depth):
            if one is usual and number == at:
                one.stated(own)
            one.sent(data)
    assert text(venue, book.statement()) == text(venue, usual.statement())


@pytest.mark.parametrize("venue", VENUES)
def test_behind_a_missing_message_there_is_no_book_until_the_next_snapshot(venue: str) -> None:
    depth, own, at = parts(venue)
    book = book_of(venue)
    for number, data in enumerate(depth[:-3]):
        if number == at:
            book.stated(own)
        if number != at + 5:
            book.sent(data)
    assert book.statement() is None
    whole = book_of(venue)
    for number, data in enumerate(depth):
        if number == at:
            whole.stated(own)
        whole.sent(data)
        if number == len(depth) - 4:
            book.stated(text(venue, whole.statement()))
    for data in depth[-3:]:
        book.sent(data)
    assert text(venue, book.statement()) == text(venue, whole.statement())


def test_a_snapshot_too_old_to_be_joined_leaves_the_book_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "RECENT_MAX", 4)
    depth, own, at = parts("binance-spot")
    book = book_of("binance-spot")
    for number, data in enumerate(depth):
        if number == at:
            book.stated(own)
        book.sent(data)
    before = text("binance-spot", book.statement())
    book.stated(own)
    assert text("binance-spot", book.statement()) == before
    assert book.recorded == own


def test_a_message_that_comes_twice_changes_nothing() -> None:
    depth, own, at = parts("binance-spot")
    once, twice = book_of("binance-spot"), book_of("binance-spot")
    for number, data in enumerate(depth):
        for book in (once, twice):
            if number == at:
                book.stated(own)
            book.sent(data)
        twice.sent(data)
    assert text("binance-spot", once.statement()) == text("binance-spot", twice.statement())


def test_what_lies_ahead_is_told_without_moving_the_book() -> None:
    depth, own, at = parts("binance-spot")
    book = book_of("binance-spot")
    for data in depth[:at]:
        book.sent(data)
    book.stated(own)
    now = text("binance-spot", book.statement())
    ahead = book.ahead(depth[at : at + 5])
    assert ahead is not None
    assert ahead.last_id == json.loads(depth[at + 4])["u"]
    assert text("binance-spot", book.statement()) == now
    for data in depth[at : at + 5]:
        book.sent(data)
    assert text("binance-spot", book.statement()) == text("binance-spot", ahead)
    assert book.ahead([depth[-1]]) is None


@pytest.mark.parametrize(
    ("value", "decimals", "places", "written"),
    [
        (6183763, 2, 8, "61837.63000000"),
        (6183763, 2, 2, "61837.63"),
        (6183760, 2, 1, "61837.6"),
        (6183763, 2, 1, "61837.63"),
        (700, 2, 0, "7"),
        (5, 8, 8, "0.00000005"),
        (123, 0, 0, "123"),
        (123, 0, 3, "123.000"),
    ],
)
def test_a_number_is_written_with_the_places_of_the_recording_and_never_cut(
    value: int, decimals: int, places: int, written: str
) -> None:
    assert decimal_text(value, decimals, places) == written
