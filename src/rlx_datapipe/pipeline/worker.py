"""The program of a worker process: it writes one chain, tells how it goes, and dies with its manager."""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection

from rlx_datapipe.core.errors import DatapipeError, StoppedError
from rlx_datapipe.core.memory import keep_freed_memory, peak_bytes, spare_the_living
from rlx_datapipe.pipeline.chain import write_chain
from rlx_datapipe.pipeline.child import die_with
from rlx_datapipe.pipeline.job import (
    Begins,
    Done,
    Failed,
    Halted,
    Job,
    Stands,
    Told,
    Went,
    decode_job,
    encode,
)
from rlx_datapipe.pipeline.router import Fed
from rlx_datapipe.pipeline.stopping import resumable
from rlx_datapipe.pipeline.watching import Progress, Watcher
from rlx_datapipe.store.files import locked
from rlx_datapipe.store.layout import slug

_PATIENCE_S = 10.0
"""For how long the lock of a worker that is just being killed is waited for."""


def main() -> None:
    """Write the chain that stands on the standard input; arguments: our pipe, the feed or -1, the parent."""
    telling, feed, parent = (int(argument) for argument in sys.argv[-3:])
    die_with(parent)
    keep_freed_memory()
    spare_the_living()
    job = decode_job(sys.stdin.buffer.readline())
    threading.Thread(target=_hold_leash, daemon=True).start()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _write(job, telling, feed, stopped)


def _write(job: Job, telling: int, feed: int, stopped: threading.Event) -> None:
    instrument = job.source.instrument

    def tell(message: Told) -> None:
        line = encode(message)
        while line:
            line = line[os.write(telling, line) :]

    def on_progress(progress: Progress) -> None:
        tell(Went(progress.bytes_done, progress.events, progress.epochs))

    name = f".lock-{slug(instrument.exchange)}+{slug(instrument.symbol)}"
    try:
        with locked(job.dataset, name, patience_s=_PATIENCE_S) as check_place, resumable(job.dataset):
            watcher = Watcher(
                on_progress=on_progress,
                stands=lambda file, row: tell(Stands(file, row)),
                begin=lambda file, first, last: tell(Begins(file, first, last)),
                is_stopped=stopped.is_set,
                check_place=check_place,
                take=Fed(Connection(feed), job.source, job.settings) if feed >= 0 else None,
            )
            summary, digests = write_chain(job.source, job.dataset, job.settings, watcher)
    except DatapipeError as error:
        halted = isinstance(error, StoppedError) and stopped.is_set()
        tell(Halted() if halted else Failed.by(error))
    else:
        tell(Done({**summary, "peak_memory_bytes": peak_bytes()}, digests))


def _hold_leash() -> None:
    # Where the system knows no such thing, the end of the standard input tells the same.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
