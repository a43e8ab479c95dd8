"""Overlap two stages: a thread runs ahead of its consumer by a bounded number of items."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
_POLL_S = 0.1


class _End:
    """What the thread puts last, whether it came to the end or failed."""


def overlap(items: Iterable[Item], waiting_max: int, *, enabled: bool = True) -> Iterator[Item]:
    """Give the same items in the same order, made by a thread that is at most ``waiting_max`` ahead.

    An error of the thread is raised here, after the items that came before it. Leaving the loop early stops
    the thread.
    """
    if not enabled:
        yield from items
        return
    handed: queue.Queue[Item | _End] = queue.Queue(waiting_max)
    stopped = threading.Event()

    def put(item: Item | _End) -> bool:
        while not stopped.is_set():
            try:
                handed.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        finally:
            put(_End())

    with ThreadPoolExecutor(1, "rlx-overlap") as pool:
        try:
            made = pool.submit(run)
            while not isinstance(item := handed.get(), _End):
                yield item
            made.result()
        finally:
            stopped.set()
