"""Syncs that fail or take long: never tried again on the same handle, and what was not synced is redone."""

from __future__ import annotations

from tests.pipeline.conftest import Bench

STRIDE = 17


def first_of_the_tables(bench: Bench) -> int:
    """The sync before which nothing is begun: of the dataset's folder, those above it, and its manifest."""
    return len((bench.disk / "out").parents) + 4


def test_a_sync_that_fails_stops_the_run(bench: Bench) -> None:
    failed = set()
    first = first_of_the_tables(bench)
    for at in range(1, bench.golden["syncs"] + 1, STRIDE):
        told = bench.suffer(fsync=at, threads=1 + at % 2)
        assert told["status"] == (3 if at >= first else 2), (at, told)
        assert "can't be written (Input/output error)" in told["said"]
        assert not told["retried"]
        failed.add(told["sync_failed"].rpartition("/")[2].rpartition(".")[2])
    assert "partial" in failed, "files"
    assert {"_delta_log", "date=2024-08-08"} & failed, f"folders: {failed}"


def test_the_first_entry_of_a_log_can_fail_too(bench: Bench) -> None:
    first = first_of_the_tables(bench)
    failed = [bench.suffer(fsync=at) for at in range(first, first + 6)]
    assert {told["status"] for told in failed} == {3}
    places = [told["sync_failed"] for told in failed]
    assert any("/_delta_log/." in place for place in places), "an entry, before it is named"
    assert any(place.endswith("/_delta_log") for place in places), "its name"


def test_slow_syncs_lose_nothing(bench: Bench) -> None:
    told = bench.suffer(slow_s=0.01)
    assert (told["status"], told["digest"]) == (0, bench.golden["digest"])
