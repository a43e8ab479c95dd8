"""One measured run in a process of its own: to its end, to a kill, or on behind one; for `rlx bench`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatapipeError, OptionError
from rlx_datapipe.core.memory import STARTED_WITH, keep_freed_memory, peak_bytes, spare_the_living
from rlx_datapipe.core.state import State
from rlx_datapipe.core.version import WRITER
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.chain import write_chain
from rlx_datapipe.pipeline.watching import Progress, Watcher
from rlx_datapipe.store.checkpoints import CheckpointManager
from rlx_datapipe.store.files import FileRecord, locked
from rlx_datapipe.store.manifest import start_dataset

_LIMIT_S = 7_200
_WARM_EVENTS = 20_000


class Job(msgspec.Struct, kw_only=True):
    """What a child is to do.

    ``kill_at`` events it kills itself, as a crash would; ``pass_at`` events it stops, having come by them.
    ``began_s`` is the moment of `time.perf_counter` from which it counts.
    """

    source: str
    out: str
    settings: Settings
    kill_at: int = 0
    pass_at: int = 0
    began_s: float = 0.0


class _Timed(CheckpointManager):
    """Checkpoints as ever, with a note of what each took: of the run's time, and of all threads' work."""

    def __init__(self, dataset: Path, exchange: str, symbol: str) -> None:
        super().__init__(dataset, exchange, symbol)
        self.wall_s: list[float] = []
        self.cpu_s: list[float] = []
        self.pack_cpu_s: list[float] = []
        self.sizes: list[int] = []

    def prepare(self, epoch: int, states: Mapping[str, State]) -> Callable[[], FileRecord]:
        wall, cpu = time.perf_counter(), time.thread_time()
        publish = super().prepare(epoch, states)
        self.wall_s.append(time.perf_counter() - wall)
        self.cpu_s.append(time.thread_time() - cpu)

        def timed() -> FileRecord:
            wall, cpu = time.perf_counter(), time.thread_time()
            record = publish()
            self.wall_s[-1] += time.perf_counter() - wall
            self.cpu_s[-1] += time.thread_time() - cpu
            self.sizes.append(record.size_bytes)
            return record

        return timed

    def packed(self, states: Mapping[str, State]) -> bytes:
        cpu = time.thread_time()
        content = super().packed(states)
        self.pack_cpu_s.append(time.thread_time() - cpu)
        return content


class _PassedError(Exception):
    """The run has come by the events that it was to come by."""


def start(job: Job) -> dict[str, Any]:
    """Run a job in a new process; what it measured, nothing if it killed itself.

    Raises
    ------
    DatapipeError
        When the process failed.
    """
    job.began_s = time.perf_counter()
    command = [sys.executable, "-m", "rlx_datapipe.core.program", "rlx_datapipe.pipeline.bench.child"]
    given = msgspec.json.encode(job)
    # As a worker of `rlx reconstruct` is started.
    env = {**STARTED_WITH, **os.environ}
    done = subprocess.run(command, input=given, capture_output=True, timeout=_LIMIT_S, check=False, env=env)
    if job.kill_at and done.returncode == -signal.SIGKILL:
        return {}
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise DatapipeError("a measured run failed", found=" ".join(last) or f"status {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def only_source(path: str | Path, settings: Settings) -> Source:
    """The one chain that the files hold.

    Raises
    ------
    OptionError
        When they hold several.
    """
    found = find_sources([path], settings)
    if len(found) > 1:
        raise OptionError(
            "a benchmark measures one symbol",
            file=path,
            found=f"{len(found)} symbols",
            remedy="Give the files of one",
        )
    return found[0]


def _run(job: Job) -> dict[str, Any]:
    # As a worker of `rlx reconstruct` does.
    keep_freed_memory()
    spare_the_living()
    if not (job.kill_at or job.pass_at):
        _warm(only_source(job.source, job.settings), job)
    wall, cpu = time.perf_counter(), time.process_time()
    source = only_source(job.source, job.settings)
    folder, instrument = Path(job.out), source.instrument
    start_dataset(folder, WRITER, job.settings, [f"{instrument.exchange}/{instrument.symbol}"], resume=True)
    provider = _Timed(folder, instrument.exchange, instrument.symbol)
    first_s: list[float] = []
    summary: dict[str, Any] = {}
    with locked(folder), suppress(_PassedError):
        summary, _ = write_chain(source, folder, job.settings, Watcher(_watch(job, first_s)), provider)
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "goes_on_s": first_s[0] - job.began_s,
        "passed_s": time.perf_counter() - job.began_s,
        "peak_rss_bytes": peak_bytes(),
        "events": summary.get("events", 0),
        "messages": sum(summary.get("messages", {}).values()),
        "rows": summary.get("rows", {}),
        "stages": summary.get("stages", {}),
        "save_wall_s": provider.wall_s,
        "save_cpu_s": [*provider.cpu_s, *provider.pack_cpu_s],
        "save_bytes": provider.sizes,
    }


def _watch(job: Job, first_s: list[float]) -> Callable[[Progress], None]:
    def told(progress: Progress) -> None:
        if not first_s:
            first_s.append(time.perf_counter())
        if job.kill_at and progress.events >= job.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if job.pass_at and progress.events >= job.pass_at:
            raise _PassedError

    return told


def _warm(source: Source, job: Job) -> None:
    """Load the kernels of all stages by a first piece of the same run, so that none is measured by that."""

    def told(progress: Progress) -> None:
        if progress.events >= _WARM_EVENTS:
            raise _PassedError

    folder, instrument = Path(f"{job.out}-warm"), source.instrument
    start_dataset(folder, WRITER, job.settings, [f"{instrument.exchange}/{instrument.symbol}"], resume=False)
    with suppress(_PassedError):
        write_chain(source, folder, job.settings, Watcher(told))
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job))))
