"""A chain of ids: once each, in order, and what is missing is told exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.capture.chain import RESET_NS, DenseChain, SparseChain
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.venues.binance_ids import Ids

NAME = "btcusdt@depth@100ms"
HOLD_NS = 500


class Told:
    """Takes what a chain decides."""

    def __init__(self) -> None:
        self.order: list[object] = []

    def keep(self, arrival: Arrival) -> None:
        self.order.append(
            arrival.last_id if arrival.first_id == arrival.last_id else (arrival.first_id, arrival.last_id)
        )

    def miss(self, stream: str, from_id: int | None, to_id: int | None, reason: str) -> None:
        assert stream == NAME
        self.order.append(f"{reason} {from_id}..{to_id}")

    def note(self, kind: str, **facts: object) -> None:
        self.order.append(f"{kind} {facts['from_id']}..{facts['to_id']}")


class Chained:
    """A dense chain and what it has decided."""

    def __init__(self, hold_messages: int = 100) -> None:
        self.told, self.at_ns = Told(), 0
        self.chain = DenseChain(NAME, self.told, hold_ns=HOLD_NS, hold_messages=hold_messages)

    def take(self, first: int, last: int | None = None, *, previous: int = -1, event_ns: int = 1) -> None:
        last = first if last is None else last
        ids = Ids(NAME.encode(), "depth", first, last, previous, event_ns)
        self.chain.take(ids, Arrival(RecordKind.MESSAGE, 1, NAME, b"", 0, self.at_ns, first, last))

    def pass_ns(self, ns: int) -> None:
        self.at_ns += ns
        self.chain.settle(self.at_ns)

    @property
    def order(self) -> list[object]:
        return self.told.order


def test_messages_that_follow_each_other_are_kept_at_once() -> None:
    one = Chained()
    for first, last in ((5, 7), (8, 8), (9, 12)):
        one.take(first, last)
    assert one.order == [(5, 7), 8, (9, 12)]


def test_futures_follow_by_the_previous_id_whatever_lies_between() -> None:
    one = Chained()
    one.take(100, 110, previous=90)
    one.take(150, 160, previous=110)
    one.take(170, 180, previous=165)
    one.pass_ns(HOLD_NS)
    # From 161 on; that the next message begins at 170 says nothing of 166 to 169.
    assert one.order == [(100, 110), (150, 160), "missing 161..165", (170, 180)]
    assert one.chain.counts.missing == 5


def test_a_missing_message_is_a_gap_only_after_the_hold() -> None:
    one = Chained()
    one.take(1)
    one.take(3)
    one.take(4)
    one.pass_ns(HOLD_NS - 1)
    assert one.order == [1]
    one.pass_ns(1)
    assert one.order == [1, "missing 2..2", 3, 4]
    assert one.chain.held == 0


def test_what_comes_within_the_hold_is_put_in_its_place() -> None:
    one = Chained()
    for number in (1, 4, 3, 2, 5):
        one.take(number)
    one.pass_ns(10 * HOLD_NS)
    assert one.order == [1, 2, 3, 4, 5]


def test_two_gaps_are_told_apart() -> None:
    one = Chained()
    for number in (1, 6, 3):
        one.take(number)
    one.pass_ns(HOLD_NS)
    assert one.order == [1, "missing 2..2", 3, "missing 4..5", 6]


def test_duplicates_are_dropped_and_counted() -> None:
    one = Chained()
    for number in (1, 2, 2, 1, 4, 4, 3):
        one.take(number)
    assert one.order == [1, 2, 3, 4]
    assert one.chain.counts.duplicates == 3


def test_a_late_message_is_kept_and_withdraws_its_part_of_the_gap() -> None:
    one = Chained()
    one.take(1)
    one.take(7)
    one.pass_ns(HOLD_NS)
    one.take(3, 4)
    one.take(3, 4)
    assert one.order == [1, "missing 2..6", 7, "late 3..4", (3, 4)]
    assert one.chain.counts.missing == 3
    one.take(2)
    assert one.order[-2:] == ["late 2..2", 2]


def test_a_message_that_straddles_is_kept() -> None:
    one = Chained()
    one.take(1, 5)
    one.take(4, 8)
    one.take(9)
    assert one.order == [(1, 5), (4, 8), 9]
    assert one.chain.counts.straddling == 1


def test_too_many_waiting_end_the_hold_at_once() -> None:
    one = Chained(hold_messages=3)
    for number in (1, 3, 4, 5, 6):
        one.take(number)
    assert one.order == [1, "missing 2..2", 3, 4, 5, 6]


def test_as_long_as_somebody_brings_what_is_between_nothing_is_declared() -> None:
    one = Chained()
    for number in (1, 50, 51):
        one.take(number)
    for number in range(2, 40):
        one.pass_ns(HOLD_NS - 1)
        one.take(number)
    assert one.order == list(range(1, 40))
    one.pass_ns(HOLD_NS)
    assert one.order[-3:] == ["missing 40..49", 50, 51]


def test_too_many_bytes_waiting_end_the_hold_as_well() -> None:
    told = Told()
    chain = DenseChain(NAME, told, hold_ns=HOLD_NS, hold_messages=100, hold_bytes=25)
    for number in (1, 3, 4, 5):
        arrival = Arrival(RecordKind.MESSAGE, 1, NAME, bytes(10), 0, 0, number, number)
        chain.take(Ids(NAME.encode(), "depth", number, number), arrival)
    assert told.order == [1, "missing 2..2", 3, 4, 5]
    assert chain._held_bytes == 0


def test_ids_that_fall_while_time_goes_on_are_a_new_count() -> None:
    one = Chained()
    one.take(1_000, event_ns=10)
    one.take(1_002, event_ns=11)
    one.take(5, event_ns=12 + RESET_NS)
    one.take(6, event_ns=13 + RESET_NS)
    # What was held is not lost by it.
    assert one.order == [1_000, "missing 1001..1001", 1_002, "reset None..None", 5, 6]
    assert one.chain.span_first == 5


def test_a_copy_from_a_slower_server_is_no_new_count() -> None:
    one = Chained()
    one.take(1_000, event_ns=10)
    one.take(1_000, event_ns=10 + RESET_NS)
    assert one.order == [1_000]


def test_what_lies_before_the_beginning_is_kept_once_and_moves_it() -> None:
    one = Chained()
    for number in (10, 8, 8, 11, 9):
        one.take(number)
    assert one.order == [10, "missing 9..9", 8, 11, "late 9..9", 9]
    assert one.chain.counts.early == 1


def test_gaps_that_are_no_longer_remembered_cost_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlx_datapipe.capture.chain.GAPS_REMEMBERED", 2)
    one = Chained()
    for number in (1, 3, 5, 7):
        one.take(number)
        one.pass_ns(HOLD_NS)
    one.take(2)
    one.take(4)
    assert one.order == [1, "missing 2..2", 3, "missing 4..4", 5, "missing 6..6", 7, 2, "late 4..4", 4]


def test_a_new_process_declares_what_it_has_missed() -> None:
    one = Chained()
    one.chain.resume(10, "restart")
    one.take(14)
    assert one.order == ["restart 11..13", 14], "a kill must not find it in memory"
    one.take(16)
    one.pass_ns(HOLD_NS)
    assert one.order == ["restart 11..13", 14, "missing 15..15", 16]
    assert one.chain.span_first == 16


def test_after_a_break_the_reason_is_told_once() -> None:
    one = Chained()
    one.take(1)
    one.chain.broken("disconnected")
    one.take(3)
    assert one.order == [1, "disconnected 2..2", 3]
    one.take(5)
    one.pass_ns(HOLD_NS)
    assert one.order == [1, "disconnected 2..2", 3, "missing 4..4", 5]


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=80),
    st.lists(st.booleans(), min_size=80, max_size=80),
)
def test_whatever_comes_each_id_is_in_one_message_or_one_gap(numbers: list[int], waits: list[bool]) -> None:
    one = Chained()
    for number, waits_here in zip(numbers, waits, strict=False):
        one.take(number)
        if waits_here:
            one.pass_ns(HOLD_NS)
    one.chain.settle(0, at_once=True)
    kept = [told for told in one.order if isinstance(told, int)]
    assert sorted(kept) == sorted(set(numbers))
    missing: set[int] = set()
    for told in one.order:
        if isinstance(told, str):
            kind, _, ids = told.partition(" ")
            first, last = (int(each) for each in ids.split(".."))
            change = set(range(first, last + 1))
            if kind == "late":
                assert change <= missing
                missing -= change
            else:
                assert not change & missing
                missing |= change
    assert not missing & set(kept)
    assert missing == {n for n in range(min(numbers), max(numbers)) if n not in kept}
    assert one.chain.counts.missing == len(missing)


def quotes(remembered: int = 1_000) -> tuple[SparseChain, Told]:
    told = Told()
    return SparseChain(NAME, told, remembered=remembered), told


def quote(chain: SparseChain, number: int) -> None:
    arrival = Arrival(RecordKind.MESSAGE, 1, NAME, b"", 0, 0, number, number)
    chain.take(Ids(NAME.encode(), "bookTicker", number, number), arrival)


def test_quotes_are_kept_once_each_and_in_the_order_of_arrival() -> None:
    chain, told = quotes()
    for number in (5, 9, 9, 7, 5, 12):
        quote(chain, number)
    assert told.order == [5, 9, 7, 12]
    assert chain.counts.duplicates == 2


def test_quotes_missed_while_nobody_listened_are_a_gap_without_ids() -> None:
    chain, told = quotes()
    quote(chain, 5)
    chain.broken("disconnected")
    quote(chain, 9)
    quote(chain, 10)
    assert told.order == [5, "disconnected None..None", 9, 10]


def test_what_is_remembered_of_quotes_is_bounded() -> None:
    chain, told = quotes(remembered=10)
    for number in range(1_000):
        quote(chain, number)
    assert len(chain._seen) == 10
    quote(chain, 995)
    assert len(told.order) == 1_000
