"""The self-test: crash proofs on a small seeded capture, played in warm processes and counted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import msgspec

from rlx_datapipe.core.crash import POINTS
from rlx_datapipe.core.errors import DatapipeError, OptionError
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.pipeline.proofs.kills import planned
from rlx_datapipe.pipeline.proofs.worker import Order

WORKERS_MAX = 8
CHAINS, STATES, KILLS_BEFORE = 15, 150, 6
SOAK_CHAINS, SOAK_STATES, SOAK_KILLS_BEFORE = 50, 1_000, 40
SECONDS_PER_HOUR = 3_600
_ONLY = re.compile(r"kill:[a-z-]+#[0-9]+(\+[a-z-]+#[0-9]+)*|power:[0-9]+(:kill:[0-9]+)?:[a-z]+[0-9]*")
_SUMMED = ("lost", "doubled", "differing", "acknowledged_lost", "stuck")

OnProgress = Callable[[int, int, int], None]
"""Called with the scenarios played and to be played in this round, and the failures so far."""


def selftest(
    seed: int = 1,
    *,
    soak_hours: float = 0.0,
    only: tuple[str, ...] = (),
    workers: int | None = None,
    sizes: tuple[int, int, int] | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> dict[str, Any]:
    """Kill runs at every named point, cut the power at their syncs, and compare what they come to.

    Parameters
    ----------
    seed
        Makes the capture and throws all dice. A soak takes the next ones after it.
    soak_hours
        Go on with more seeds, and more scenarios each, until so much time has passed; no round is cut short.
    only
        Play just these scenarios, by the ids that failures are told with.
    workers
        Processes; if None, as many as there are cores, up to `WORKERS_MAX`.
    sizes
        Chains of kills, states after a power cut, and runs that were killed before the power is cut.

    Returns
    -------
    A dictionary for JSON: counts of scenarios, kills, chains and states; ``points`` with the kills that
    landed at each; ``lost`` and ``doubled`` ids, ``differing`` rows, acknowledged commits lost;
    ``failures``, each with what reproduces it; ``verdict``.

    Raises
    ------
    OptionError
        For a scenario or seed that there is none of.
    """
    if seed < 0 or not all(_ONLY.fullmatch(name) and _points_exist(name) for name in only):
        raise OptionError("no such scenario or seed", found=", ".join((str(seed), *only)))
    started = time.monotonic()
    sizes = sizes or (
        (SOAK_CHAINS, SOAK_STATES, SOAK_KILLS_BEFORE) if soak_hours else (CHAINS, STATES, KILLS_BEFORE)
    )
    count = 1 if only else workers or min(os.cpu_count() or 1, WORKERS_MAX)
    tally = _Tally(seed)
    while True:
        _round(seed + tally.rounds, sizes, only, count, tally, on_progress)
        tally.rounds += 1
        if time.monotonic() - started >= soak_hours * SECONDS_PER_HOUR:
            return tally.told(time.monotonic() - started, whole=not only)


def _points_exist(name: str) -> bool:
    return not name.startswith("kill:") or all(point in POINTS for point, _ in planned(name))


class _Tally:
    """Counts the results of all rounds."""

    def __init__(self, seed: int) -> None:
        self.seed, self.rounds = seed, 0
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.landed: Counter[str] = Counter()
        self.failures: list[dict[str, Any]] = []

    def add(self, result: dict[str, Any], seed: int) -> None:
        self.kinds[result["kind"]] += 1
        self.landed.update(result.get("landed", {}))
        for name in _SUMMED:
            self.counts[name] += result.get(name, 0)
        if result["by"]:
            self.failures.append({"seed": seed, "id": result["id"], "by": result["by"]})

    def told(self, elapsed_s: float, *, whole: bool) -> dict[str, Any]:
        missed = [point for point in POINTS if not self.landed[point]] if whole else []
        return {
            "seed": self.seed,
            "rounds": self.rounds,
            "writer": WRITER,
            "scenarios": self.kinds.total(),
            "points": {point: self.landed[point] for point in POINTS},
            "points_missed": missed,
            "kills": self.landed.total(),
            "chains": self.kinds["chain"],
            "power_states": self.kinds["power"],
            "wrong": len(self.failures),
            **{name: self.counts[name] for name in _SUMMED},
            "failures": self.failures,
            "elapsed_seconds": round(elapsed_s, 1),
            "verdict": "fail" if self.failures or missed else "pass",
        }


def _round(
    seed: int, sizes: tuple[int, int, int], only: tuple[str, ...], count: int, tally: _Tally, tell: OnProgress
) -> None:
    """Play one seed in so many processes."""
    memory = Path("/dev/shm")  # noqa: S108 (a kill does not care for the disk, and syncs cost nothing there)
    place = memory if os.access(memory, os.W_OK) else None
    chains, states, kills_before = sizes
    with ExitStack() as stack:
        orders = []
        for share in range(count):
            work = stack.enter_context(tempfile.TemporaryDirectory(prefix="rlx-selftest-", dir=place))
            orders.append(Order(work, seed, chains, states, kills_before, share, count, only))
        done = total = 0
        for result in _played(orders):
            if result["kind"] == "begun":
                total += result["total"]
            else:
                tally.add(result, seed)
                done += 1
            tell(done, total, len(tally.failures))


def _played(orders: list[Order]) -> Iterator[dict[str, Any]]:
    """Results of several processes as they come."""
    results: SimpleQueue[dict[str, Any] | str | None] = SimpleQueue()
    running = [_start(order) for order in orders]
    readers = [Thread(target=_read, args=(process, results), daemon=True) for process in running]
    try:
        for reader in readers:
            reader.start()
        ended = 0
        while ended < len(running):
            result = results.get()
            if isinstance(result, str):
                raise DatapipeError("the self-test can't be played", found=result, remedy="Check --only")
            if result is None:
                ended += 1
            else:
                yield result
    finally:
        for process in running:
            process.terminate()
            process.wait()
        for reader in readers:
            reader.join()


def _start(order: Order) -> subprocess.Popen[str]:
    # A process of its own for each, without threads: it forks all the time.
    command = [
        sys.executable,
        "-m",
        "rlx_datapipe.core.program",
        "rlx_datapipe.pipeline.proofs.worker",
        msgspec.json.encode(order).decode(),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _read(process: subprocess.Popen[str], results: SimpleQueue[dict[str, Any] | str | None]) -> None:
    assert process.stdout is not None  # noqa: S101 (they are pipes)
    assert process.stderr is not None  # noqa: S101
    with process.stdout, process.stderr:
        for line in process.stdout:
            results.put(msgspec.json.decode(line))
        said = process.stderr.read().strip()
    if process.wait() != 0:
        results.put(said.splitlines()[-1] if said else f"exit status {process.returncode}")
    else:
        results.put(None)
