"""Syncs that fail or take long: never tried again on the same handle, and what was not synced is redone."""

from __future__ import annotations

from tests.pipeline.conftest import Bench

STRIDE = 17


def test_a_sync_that_fails_stops_the_run(bench: Bench) -> None:
    failed = set()
    for at in range(1, bench.golden["syncs"] + 1, STRIDE):
        told = bench.suffer(fsync=at, threads=1 + at % 2)
        assert told["status"] == (2 if at <= 2 else 3), (at, told)
        assert "can't be written (Input/output error)" in told["said"]
        assert not told["retried"]
        failed.add(told["sync_failed"].rpartition(".")[2].partition("/")[0])
    assert {"partial", "json"} <= failed, failed


def test_the_first_entry_of_a_log_can_fail_too(bench: Bench) -> None:
    entries = []
    for at in range(16, 22):
        told = bench.suffer(fsync=at)
        assert told["status"] == 3, (at, told)
        entries.append(told["sync_failed"].rpartition("/")[2])
    assert {f"{0:020d}.json", f"{1:020d}.json"} <= set(entries), "each entry is synced, not the one before"


def test_slow_syncs_lose_nothing(bench: Bench) -> None:
    told = bench.suffer(slow_s=0.01)
    assert (told["status"], told["digest"]) == (0, bench.golden["digest"])
