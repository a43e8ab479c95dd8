"""Work that is handed to another thread, or done at once where there is none: one way to ask for both."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class InTurn(Executor):
    """An executor without threads: work is done before ``submit`` returns, and its error is raised there."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do the work now."""
        done: Future[Any] = Future()
        done.set_result(work(*args, **kwargs))
        return done
