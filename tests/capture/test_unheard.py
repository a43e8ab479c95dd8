"""A symbol of which nothing comes: what the venue says of it is told, and a refusal is final."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.capture.account import ListRecorder
from tests.capture.socket_exchange import message
from tests.capture.virtual import VirtualClock, run_virtual

from rlx_datapipe.capture.intake import Intake, Session
from rlx_datapipe.capture.rest import Answer, Gate, UnansweredError
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.capture.snapshots import Snapshots
from rlx_datapipe.capture.streams import plan
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.venues.binance_endpoints import SPOT
from rlx_datapipe.venues.binance_ids import refused_symbol

SETTINGS = CaptureSettings(ntp_server="", snapshot_every_s=60)
INVALID = b'{"code":-1121,"msg":"Invalid symbol."}'
BOOK = b'{"lastUpdateId":12,"bids":[],"asks":[]}'


class Venue:
    """Knows some symbols; each answer to one that it does not know comes from a script first."""

    def __init__(self, known: set[str], first: list[Answer | Exception]) -> None:
        self.known, self.first = known, first
        self.asked: Counter[str] = Counter()

    async def fetch(self, url: str) -> Answer:
        symbol = parse_qs(urlsplit(url).query)["symbol"][0]
        self.asked[symbol] += 1
        if symbol in self.known:
            return Answer(200, {}, BOOK, 0, 0)
        if self.first and isinstance(first := self.first.pop(0), Exception):
            raise first
        return Answer(400, {}, INVALID, 0, 0)


def play(
    symbols: str, known: set[str], heard: set[str], *first: Answer | Exception, seconds: float = 600
) -> tuple[ListRecorder, Venue, Snapshots]:
    async def scene() -> tuple[ListRecorder, Venue, Snapshots]:
        clock = VirtualClock(asyncio.get_running_loop())
        listened = plan(SPOT, symbols.split(","), ["depth", "trade"])
        recorder, venue = ListRecorder(), Venue(known, list(first))
        intake = Intake(listened.streams, recorder, clock, SETTINGS)
        gate = Gate(clock, SETTINGS, random.Random(1), 6_000)
        asked = Snapshots(listened, intake, venue.fetch, gate, clock, SETTINGS)
        session = Session(1, listened.streams, 0)
        running = asyncio.create_task(asked.run())
        intake.opened(session, "ws://x", listened.streams)
        for number in range(10, 15):
            for symbol in heard:
                intake.take(session, message(f"{symbol.lower()}@depth@100ms", number))
        await asyncio.wait([running], timeout=seconds)
        if running.done():
            await running
        running.cancel()
        return recorder, venue, asked

    found: tuple[ListRecorder, Venue, Snapshots] = run_virtual(scene())
    return found


def test_a_symbol_that_the_venue_does_not_know_is_told_and_asked_for_once() -> None:
    recorder, venue, asked = play("BTCUSDT,FOOUSDT", {"BTCUSDT"}, {"BTCUSDT"})
    assert venue.asked["FOOUSDT"] == 1
    assert venue.asked["BTCUSDT"] > 5, "the snapshots of the others go on"
    (note,) = recorder.notes("symbol_refused")
    assert (note["symbol"], note["status"], note["said"]) == ("FOOUSDT", 400, "Invalid symbol.")
    assert asked.unheard.refused == {"FOOUSDT": "Invalid symbol."}
    assert asked.waiting == 0, "nothing is waited for that can't come"
    assert recorder.notes("symbol_silent") == recorder.notes("breaker") == []


def test_a_refused_snapshot_is_final_for_a_symbol_that_was_heard() -> None:
    recorder, venue, asked = play("BTCUSDT,OLDUSDT", {"BTCUSDT"}, {"BTCUSDT", "OLDUSDT"})
    assert venue.asked["OLDUSDT"] == 1
    assert asked.waiting == 0
    assert len(recorder.notes("symbol_refused")) == 1


def test_one_that_is_known_and_silent_is_told_as_such() -> None:
    recorder, venue, asked = play("BTCUSDT,SLOWUSDT", {"BTCUSDT", "SLOWUSDT"}, {"BTCUSDT"})
    assert venue.asked["SLOWUSDT"] == 1
    (note,) = recorder.notes("symbol_silent")
    assert note["symbol"] == "SLOWUSDT"
    assert asked.unheard.refused == {}
    assert asked.unheard.unheard() == ["SLOWUSDT"]


def test_where_no_answer_comes_it_is_asked_again() -> None:
    recorder, venue, _ = play("BTCUSDT,FOOUSDT", {"BTCUSDT"}, {"BTCUSDT"}, UnansweredError("timed out"))
    assert venue.asked["FOOUSDT"] == 2
    assert len(recorder.notes("symbol_refused")) == 1


def test_a_symbol_that_is_heard_costs_no_request_more() -> None:
    _, venue, _ = play("BTCUSDT", {"BTCUSDT"}, {"BTCUSDT"}, seconds=50)
    assert venue.asked["BTCUSDT"] == 1, "its snapshot alone"


def test_a_capture_of_refused_symbols_alone_ends_with_one_sentence() -> None:
    with pytest.raises(OptionError, match="binance-spot knows none of the symbols FOOUSDT, BARUSDT") as told:
        play("FOOUSDT,BARUSDT", set(), set())
    assert "Invalid symbol." in str(told.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (INVALID, "Invalid symbol."),
        (b'{"code":-1100,"msg":"Illegal characters found in parameter \'symbol\'"}', "Illegal characters"),
        (b'{"code":-1100,"msg":"Illegal characters found in parameter \'limit\'"}', None),
        (b'{"code":-1003,"msg":"Too many requests."}', None),
        (b"<html>", None),
        (b"\xff", None),
        (BOOK, None),
    ],
)
def test_only_words_about_the_symbol_refuse_it(body: bytes, said: str | None) -> None:
    found = refused_symbol(body)
    assert (found or "").startswith(said or "")
    assert (found is None) == (said is None)
