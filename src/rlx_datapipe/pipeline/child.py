"""One process of ours: it gets a job, tells how it goes by a pipe, and never outlives us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rlx_datapipe.core.memory import STARTED_WITH

WORKER = (sys.executable, "-m", "rlx_datapipe.core.program", "rlx_datapipe.pipeline.worker")
_TAIL_BYTES = 4096
_READ_BYTES = 1 << 16
_REAP_S = 10.0
_PR_SET_PDEATHSIG = 1


class Child:
    """A process that was started anew, not forked: it shares no lock and no thread with us.

    Parameters
    ----------
    command
        Program and arguments; the descriptors of its pipes and our process id are added.
    job
        One line that it gets on its standard input, which stays open: when it closes, we are gone.
    feed
        Descriptor that the child reads its input from; closed here. None if it reads by itself.
    """

    def __init__(self, command: Sequence[str], job: bytes, feed: int | None = None) -> None:
        self.told, telling = os.pipe()
        handed = (telling,) if feed is None else (telling, feed)
        names = [str(telling), str(-1 if feed is None else feed), str(os.getpid())]
        try:
            self._process = subprocess.Popen(
                [*command, *names],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=handed,
                # Ctrl-C at the terminal is for us alone; we tell our children what to do.
                start_new_session=True,
                env={**STARTED_WITH, **os.environ, "PYTHONPATH": _search_path()},
            )
        finally:
            for descriptor in handed:
                os.close(descriptor)
        assert self._process.stderr is not None  # noqa: S101 (a pipe)
        self.errors = self._process.stderr.fileno()
        self._line, self._tail = b"", b""
        for descriptor in (self.told, self.errors):
            os.set_blocking(descriptor, False)
        self.tell(job)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The last line that it wrote to its standard error."""
        lines = self._tail.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def tell(self, line: bytes) -> None:
        """Hand it one more line on its standard input; one that is gone gets none."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 (a pipe)
        with suppress(BrokenPipeError):
            stdin.write(line)
            stdin.flush()

    def lines(self) -> list[bytes]:
        """Whole lines that it told since the last call."""
        *lines, self._line = (self._line + _available(self.told)).split(b"\n")
        self._tail = (self._tail + _available(self.errors))[-_TAIL_BYTES:]
        return lines

    def has_ended(self) -> bool:
        """Whether it is gone; then it is reaped, too."""
        return self._process.poll() is not None

    def how_it_ended(self) -> str:
        """In words."""
        status = self._process.returncode
        if status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"ended with status {status}" + (f" ({self.last_words})" if self.last_words else "")

    def ask_to_stop(self) -> None:
        """Let it come to the end of its epoch."""
        self._process.terminate()

    def kill(self) -> None:
        """End it now and reap it.

        One that the system holds in a call that never ends dies later; until then it keeps the lock of its
        chain, which is what keeps another one out.
        """
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)

    def close(self) -> None:
        """Let go of the pipes; the process must have ended."""
        os.close(self.told)
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def memory_bytes(self) -> int:
        """Memory that it holds in RAM; 0 where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def bytes_read(self) -> int:
        """Bytes that it has read so far, from files and pipes; 0 where the system does not tell."""
        try:
            return int(Path(f"/proc/{self.pid}/io").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0


def die_with(parent: int) -> None:
    """Let the system kill this process when its parent dies; at once if it has died already."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _available(descriptor: int) -> bytes:
    pieces = []
    with suppress(BlockingIOError):
        while piece := os.read(descriptor, _READ_BYTES):
            pieces.append(piece)
    return b"".join(pieces)


def _search_path() -> str:
    """Where the child finds this very package."""
    home = str(Path(__file__).parents[2])
    return os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
