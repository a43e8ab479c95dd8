"""Files of strangers, examined by a process of its own: one that kills it, or holds it up, costs itself."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rlx_datapipe.acquisition.cross import Crossed
from rlx_datapipe.acquisition.examined import Examined, Subject, refused
from rlx_datapipe.pipeline.child import Child
from rlx_datapipe.pipeline.examiner import Bounds, Cross, Errand, Examine, Found, decode_told, encode

PROGRAM = (sys.executable, "-m", "rlx_datapipe.core.program", "rlx_datapipe.pipeline.examiner")
_POLL_S = 0.2
_START_S = 60.0
"""For how long a new process may be silent: it loads libraries first."""


class Examination:
    """Examines files one after the other; its process is started when it is needed, and anew after a death.

    Parameters
    ----------
    bounds
        What one file may take.
    on_bytes
        Called with the bytes of the file in hand that are done.
    """

    def __init__(
        self, bounds: Bounds | None = None, on_bytes: Callable[[int], None] = lambda _: None
    ) -> None:
        self._bounds = bounds or Bounds()
        self.on_bytes = on_bytes
        self._child: Child | None = None

    def examine(self, subject: Subject) -> Examined:
        """What is found of a file; one that ends its examiner is refused for that."""
        found = self._ask(Examine(subject))
        if isinstance(found, str):
            return refused(subject, "file", f"can't be examined: its reader {found}", ended=found)
        assert found.result is not None  # noqa: S101 (a file was asked for)
        return found.result

    def cross(self, files: dict[str, Sequence[Path]]) -> Crossed:
        """What is found of the tables of a day together; nothing where that ends its examiner."""
        found = self._ask(Cross({table: tuple(paths) for table, paths in files.items()}))
        if isinstance(found, str) or found.crossed is None:
            return Crossed({}, {"ended": found if isinstance(found, str) else ""})
        return found.crossed

    def _ask(self, work: Examine | Cross) -> Found | str:
        """What came of a piece of work; how the process ended, in words, if it did not come to its end."""
        is_new = self._child is None
        if self._child is None:
            self._child = Child(PROGRAM, b"")
        child = self._child
        child.tell(encode(Errand(work, self._bounds)))
        heard = time.monotonic()
        patience_s = self._bounds.silence_s + (_START_S if is_new else 0.0)
        while True:
            select.select([child.told], [], [], _POLL_S)
            has_ended = child.has_ended()
            for told in map(decode_told, child.lines()):
                if isinstance(told, Found):
                    return told
                self.on_bytes(told.bytes_done)
                heard, patience_s = time.monotonic(), self._bounds.silence_s
            if has_ended:
                how = child.how_it_ended()
                self._let_go()
                return how
            if time.monotonic() - heard > patience_s:
                self._let_go()
                return f"made no step for {patience_s:g} seconds"

    def _let_go(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.close()
            self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()
