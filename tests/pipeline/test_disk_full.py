"""No room in bytes, names or the size of a file: stopped in one sentence, gone on with once there is."""

from __future__ import annotations

from collections import Counter

from tests.depth import DEEP
from tests.pipeline.conftest import Bench

SIZES = 24 if DEEP else 10
PLACES = ("rlx.json", ".parquet", ".state", "log")


def place_of(file: str) -> str:
    return next((place for place in PLACES if file.endswith(place)), "log")


def test_a_full_disk_anywhere(tmpfs: Bench) -> None:
    hit: Counter[str] = Counter()
    tables: set[str] = set()
    pages = tmpfs.full["bytes"] // 4096
    for number in range(SIZES):
        size = 4096 * (1 + number * (pages - 2) // SIZES)
        told = tmpfs.suffer(f"size={size}", threads=1 + number % 2)
        assert told["status"] == 3, (size, told)
        assert "No space left on device" in told["said"]
        assert told["said"].endswith("Make room, then go on by the same command with --resume")
        hit[place_of(told["file"])] += 1
        tables.add(told["file"].rpartition("/")[2])
    assert hit.total() == SIZES
    assert {".parquet", ".state", "log"} <= set(hit), hit


def test_no_room_for_the_manifest_is_a_place_that_is_none(tmpfs: Bench) -> None:
    told = tmpfs.suffer("size=64m,nr_inodes=3")
    assert (told["status"], told["file"].endswith("rlx.json")) == (2, True)
    assert "Choose a folder" in told["said"]


def test_no_names_left(tmpfs: Bench) -> None:
    stopped = [
        tmpfs.suffer(f"size=64m,nr_inodes={count}")
        for count in range(6, tmpfs.full["names"], 11 if DEEP else 23)
    ]
    assert {told["status"] for told in stopped} == {3}
    assert all("No space left on device" in told["said"] for told in stopped)
    assert len({place_of(told["file"]) for told in stopped}) >= 2


def test_a_limit_to_the_size_of_files_commits_nothing_short(bench: Bench) -> None:
    stopped = [bench.suffer(limits={"FSIZE": size}) for size in (1_500, 3_000, 6_000, 9_000, 12_000)]
    assert all((told["status"], "File too large" in told["said"]) == (3, True) for told in stopped), stopped
