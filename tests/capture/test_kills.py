"""A recorder that is killed anywhere, any number of times: nothing lost, nothing doubled, no nonce twice."""

from __future__ import annotations

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.capture.scripted import RING, lines, record_all, recorder, trade, trades
from tests.depth import DEEP, deep

from rlx_datapipe.capture import sealing as sealing_module
from rlx_datapipe.core.crash import CAPTURE_POINTS, arm, reached
from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.pipeline.proofs.scene import RunFailedError, in_child
from rlx_datapipe.store import segment_recovery
from rlx_datapipe.store import segment_writer as writer_module
from rlx_datapipe.store.capture_manifest import entry_paths, read_entry
from rlx_datapipe.store.encryption import FileKey
from rlx_datapipe.store.keys import KeyRing

sealing: Any = sealing_module
segment_writer: Any = writer_module
COUNT = 24
POINTS = ("file written", "file published", *CAPTURE_POINTS)
Plan = list[tuple[str, int]]
Mutate = Callable[[], None]


class Bench:
    """Runs of one recorder in children, killed as planned; each goes on behind the last id that it finds."""

    def __init__(self, work: Path, keys: KeyRing | None, mutate: Mutate | None = None) -> None:
        self.work, self.keys, self.mutate = work, keys, mutate
        self.landed: Counter[str] = Counter()
        self.sealed = work / "sealed.log"

    def run(self, folder: Path, kill: tuple[str, int] | None) -> dict[str, int] | None:
        told = self.work / "acknowledged"
        told.write_bytes(b"")

        def work() -> dict[str, int]:
            log = os.open(self.sealed, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            seal = FileKey.seal

            def watched(
                key: FileKey, number: int, plain: bytes, context: bytes, *, is_last: bool = False
            ) -> bytes:
                os.write(log, b"%b %d %d\n" % (key.lock.hex().encode(), number, is_last))
                return seal(key, number, plain, context, is_last=is_last)

            FileKey.seal = watched  # type: ignore[method-assign, assignment]
            if self.mutate:
                self.mutate()
            before = reached(POINTS)
            if kill:
                arm(*kill)
            into = recorder(folder, self.keys)
            begin = into.last_ids.get("btcusdt@trade", -1) + 1
            acknowledged = os.open(told, os.O_WRONLY | os.O_APPEND)
            for count in record_all(into, [trade(number) for number in range(begin, COUNT)]):
                os.write(acknowledged, b"%d\n" % (begin + count))
            into.close()
            return {point: count - before[point] for point, count in reached(POINTS).items()}

        outcome = in_child(work, self.work / "told.json")
        if outcome is None and kill:
            self.landed[kill[0]] += 1
        self.acknowledged = int((told.read_bytes().split() or [b"0"])[-1])
        return outcome

    def survive(self, plan: Plan) -> str:
        """What is wrong after a plan of kills and one whole run; empty if nothing is."""
        folder = self.work / "capture"
        shutil.rmtree(folder, ignore_errors=True)
        for kill in plan:
            if self.run(folder, kill) is not None or not (folder / "capture.json").exists():
                continue
            # What was acknowledged is there already, before anything is recovered.
            found = trades(folder, self.keys)
            if found != list(range(len(found))) or len(found) < self.acknowledged:
                return f"after {kill}: {found} of {self.acknowledged} acknowledged"
        if self.run(folder, None) is None:
            return "died by itself"
        return self.wrong(folder)

    def wrong(self, folder: Path) -> str:
        found = trades(folder, self.keys)
        if found != list(range(COUNT)):
            return f"trades {found}"
        entries = [read_entry(path).entry for path in entry_paths(folder)]
        if sum(entry.records for entry in entries) != len(lines(folder, self.keys)):
            return "the manifest counts other records"
        if [path.name for path in (folder / "open").iterdir()] != [".lock"]:
            return "the log is not removed"
        there = {path.name for path in (folder / "segments").iterdir()}
        if there != {Path(entry.file).name for entry in entries}:
            return f"segments {there}"
        return ""

    def repeated_nonces(self) -> int:
        seen = Counter(self.sealed.read_text().splitlines())
        return sum(count - 1 for count in seen.values())


def plans(golden: dict[str, int]) -> list[Plan]:
    """Every passing of every point, kills in recovery behind a kill, and chains of kills."""
    singles = [[(point, n + 1)] for point in POINTS for n in range(golden[point])]
    in_recovery = [
        [(first, 2), (second, n)]
        for first in ("file written", "log sealed", "segment published", "segment counted", "log removed")
        for second in ("file written", "file published", "half-made removed", "log removed")
        for n in (1, 2)
    ]
    chains = [
        [
            (point, 1 + (start + n) % 3)
            for n, point in enumerate(itertools.islice(itertools.cycle(POINTS), start, start + 5))
        ]
        for start in range(len(POINTS))
    ]
    return singles + in_recovery + chains


def test_killed_at_every_point_nothing_is_lost_or_doubled(work: Path) -> None:
    bench = Bench(work, RING)
    golden = bench.run(work / "golden", None)
    assert golden is not None
    assert bench.wrong(work / "golden") == ""
    assert {point for point in POINTS if not golden[point]} == {"half-made removed"}
    chosen = [
        plan for n, plan in enumerate(plans(golden)) if DEEP or n % 2 or "half-made removed" in dict(plan)
    ]
    wrong = {str(plan): found for plan in chosen if (found := bench.survive(plan))}
    assert wrong == {}
    assert set(bench.landed) == set(POINTS), "each point has killed"
    assert bench.landed.total() > (140 if DEEP else 65)
    assert bench.repeated_nonces() == 0, "F69"
    assert len(bench.sealed.read_text().splitlines()) > (1_000 if DEEP else 450)


@deep
def test_so_it_is_without_encryption(work: Path) -> None:
    bench = Bench(work, None)
    golden = bench.run(work / "golden", None)
    assert golden is not None
    assert {str(plan): found for plan in plans(golden)[::4] if (found := bench.survive(plan))} == {}
    assert bench.landed.total() > 30
    assert not bench.sealed.read_text()


def _log_removed_first() -> None:
    real = sealing.publish_entry

    def late(folder: Path, entry: object) -> object:
        for path in (folder / "open").glob("*.raw"):
            path.unlink()
        sealing.crash_point("log removed")
        return real(folder, entry)

    sealing.publish_entry = late
    sealing._unlink = lambda path: path.unlink(missing_ok=True)


def _log_counts_beside_its_segment() -> None:
    sealing.newest_entry = lambda folder: None


def _one_salt() -> None:
    for module in (segment_writer, sealing):
        module.new_file_key = lambda keys, purpose, **_: FileKey(keys.newest, bytes(16), purpose)


def _torn_tail_kept() -> None:
    segment_writer.recover = lambda folder: segment_recovery.Recovered(0, 0)


@pytest.mark.parametrize(
    ("mutate", "plan"),
    [
        (_log_removed_first, [("log removed", 3)]),
        (_log_counts_beside_its_segment, [("segment counted", 2)]),
        (_torn_tail_kept, [("log written", 12)]),
        (_one_salt, [("log written", 7)]),
    ],
)
def test_planted_faults_are_found(work: Path, mutate: Mutate, plan: Plan) -> None:
    """A sweep that stays green when the recorder is wrong proves nothing."""
    bench = Bench(work, RING, mutate)
    try:
        wrong = bench.survive(plan)
    except (RunFailedError, DatapipeError) as error:
        wrong = str(error)
    assert bench.landed.total() == 1
    assert wrong or bench.repeated_nonces()
