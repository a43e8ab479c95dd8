"""Faults planted into the capture itself: the simulation's checks must notice every one of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.capture.exchange import Faults
from tests.capture.test_simulation import QUICK, STORM, check, lost, simulate

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.capture.budget import ConnectBudget
from rlx_datapipe.capture.chain import DenseChain, SparseChain
from rlx_datapipe.capture.handover import Feed
from rlx_datapipe.capture.intake import Intake
from rlx_datapipe.capture.rest import Gate
from rlx_datapipe.venues.binance_ids import Ids

Patch = Callable[[pytest.MonkeyPatch], None]


def small_gaps_are_tolerated(patch: pytest.MonkeyPatch) -> None:
    take = DenseChain.take

    def tolerant(self: DenseChain, ids: Ids, arrival: Arrival) -> None:
        if 0 < ids.first_id - self.last <= 5:
            self._pass(ids, arrival)
        else:
            take(self, ids, arrival)

    patch.setattr(DenseChain, "take", tolerant)


def duplicates_are_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DenseChain, "_behind", lambda self, ids, arrival: self._told.keep(arrival))


def quotes_are_not_remembered(patch: pytest.MonkeyPatch) -> None:
    take = SparseChain.take

    def forgetful(self: SparseChain, ids: Ids, arrival: Arrival) -> None:
        self._seen.clear()
        take(self, ids, arrival)

    patch.setattr(SparseChain, "take", forgetful)


def gaps_begin_one_too_late(patch: pytest.MonkeyPatch) -> None:
    miss = Intake.miss

    def short(self: Intake, stream: str, from_id: int | None, to_id: int | None, reason: str) -> None:
        miss(self, stream, None if from_id is None else from_id + 1, to_id, reason)

    patch.setattr(Intake, "miss", short)


def gaps_are_not_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Intake, "miss", lambda self, *_: None)


def what_was_held_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    release = DenseChain._release

    def forgetful(self: DenseChain) -> None:
        del self._held[1:]
        release(self)

    patch.setattr(DenseChain, "_release", forgetful)


def late_messages_do_not_withdraw_their_gap(patch: pytest.MonkeyPatch) -> None:
    note = Intake.note

    def mute(self: Intake, kind: str, **facts: object) -> None:
        if kind != "late":
            note(self, kind, **facts)

    patch.setattr(Intake, "note", mute)


def late_messages_are_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DenseChain, "_withdrawn", lambda self, ids: [])


def bans_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gate, "wait_ns", lambda self: 0)


def connections_are_opened_at_once(patch: pytest.MonkeyPatch) -> None:
    async def at_once(self: ConnectBudget) -> None:
        return None

    patch.setattr(ConnectBudget, "take", at_once)


def closes_are_not_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Intake, "closed", lambda self, session, reason: None)


IN_A_STORM: list[Patch] = [
    small_gaps_are_tolerated,
    duplicates_are_kept,
    quotes_are_not_remembered,
    gaps_begin_one_too_late,
    gaps_are_not_told,
    what_was_held_is_forgotten,
    late_messages_do_not_withdraw_their_gap,
    late_messages_are_dropped,
    bans_are_not_kept,
    connections_are_opened_at_once,
    closes_are_not_told,
]


@pytest.mark.parametrize("mutant", IN_A_STORM)
def test_a_mutant_does_not_survive_the_storm(mutant: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    def storms() -> None:
        for seed in range(4):
            check(simulate(seed, STORM, seconds=60.0))

    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        storms()


def the_new_connection_is_believed_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Feed, "_is_proven", lambda self, coming, stream: True)


def the_old_connection_is_closed_first(patch: pytest.MonkeyPatch) -> None:
    begin = Feed._begin

    def hasty(self: Feed, why: str) -> None:
        if self.active is not None:
            self._close(self.active, "handover")
            self.active = None
        begin(self, why)  # type: ignore[arg-type]

    patch.setattr(Feed, "_begin", hasty)


@pytest.mark.parametrize(
    "mutant", [the_new_connection_is_believed_at_once, the_old_connection_is_closed_first]
)
def test_a_hasty_handover_loses_messages(mutant: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    def handed_over() -> int:
        run = simulate(3, Faults(age_s=26.0), seconds=150.0, rate=100.0, settings=QUICK)
        assert run.capture.feeds[0].handovers + run.capture.feeds[0].opened > 8
        return len(lost(run))

    assert handed_over() == 0
    mutant(monkeypatch)
    assert handed_over() > 0
