"""`rlx bench peers`: our book beside those of other packages, on one stream, with equal answers."""

from __future__ import annotations

import gc
import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from rlx_datapipe.pipeline.bench.figure import Figure, Measured, middle
from rlx_datapipe.pipeline.bench.peers.ours import OurBook
from rlx_datapipe.pipeline.bench.peers.stream import (
    Asked,
    Book,
    Stream,
    checksum,
    difference,
    stream,
)
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.simulation.updates import UpdatesConfig

ROWS = 1_000_000
_FEW, _FEWER = 200_000, 100_000
INSTALL = "uv run --group peers rlx bench peers"


@dataclass(frozen=True)
class Peer:
    """One book of another package, and what it is asked.

    Attributes
    ----------
    name
        The distribution that it comes in, "" for Python itself.
    what
        Which of its books, fed how.
    book
        Module of this folder, and class in it.
    rows
        Rows that it is given at most, the first messages of the stream; 0 for all.
    target
        How many times as fast ours is to be; 0 if nothing is aimed for. A book as fast as ours is not behind
        it: a target of 1 asks for more than 1.
    """

    name: str
    what: str
    book: tuple[str, str]
    asked: Asked
    rows: int = 0
    target: float = 0.0


_LAKE = ("lake", "LakeBook")
_ROI, _HASH = ("hft", "RoiVectorBook"), ("hft", "HashMapBook")
_NAUTILUS, _BUILT = ("nautilus", "NautilusBook"), ("nautilus", "NautilusBuiltBook")
PEERS = (
    Peer("lakeapi", "OrderBookUpdater", _LAKE, Asked.MESSAGE, _FEW, 20),
    Peer("lakeapi", "OrderBookUpdater", _LAKE, Asked.END, _FEW),
    Peer("hftbacktest", "ROIVector", _ROI, Asked.ROW, target=1),
    Peer("hftbacktest", "ROIVector", _ROI, Asked.MESSAGE, target=1),
    Peer("hftbacktest", "ROIVector", _ROI, Asked.END, target=1),
    Peer("hftbacktest", "HashMap", _HASH, Asked.ROW, target=1),
    Peer("hftbacktest", "HashMap", _HASH, Asked.MESSAGE, target=1),
    Peer("hftbacktest", "HashMap", _HASH, Asked.END, target=1),
    Peer("nautilus_trader", "objects ready", _NAUTILUS, Asked.MESSAGE, _FEW),
    Peer("nautilus_trader", "objects ready", _NAUTILUS, Asked.END, _FEW),
    Peer("nautilus_trader", "objects made", _BUILT, Asked.END, _FEW),
    Peer("sortedcontainers", "two SortedDict", ("plain", "SortedBook"), Asked.MESSAGE, _FEW),
    Peer("", "two dicts", ("plain", "DictBook"), Asked.MESSAGE, _FEWER),
)
"""In the order in which they are told."""


def measure(bench: Workbench) -> Measured:
    """Measure our book beside those of lakeapi, hftbacktest, nautilus_trader and sortedcontainers.

    Each gets the same updates in the form that it takes, made before the clock runs, and is asked for the
    same: the best prices and quantities after each row or message, or the whole book at the end. Its answer
    must be equal to ours to the last digit; if not, the row says so and the exit status is 1. The ratio is
    ours to theirs in processor time on the same rows, medians of runs that take turns.

    What is missing is named, and left out: run uv run --group peers rlx bench peers.

    Input: seeded updates as of ``book``, 2,000 levels a side, 7.4 rows a message (--rows); slow books get the
    first 100,000 or 200,000 rows.
    """
    bench.on_step("making the stream")
    whole = stream(UpdatesConfig(seed=bench.options.seed, rows=bench.rows(ROWS)))
    figures: list[Figure] = []
    missing: dict[str, str] = {}
    for peer in PEERS:
        if peer.name in missing:
            continue
        bench.on_step(f"{peer.name or 'Python'}, {peer.what}: {peer.asked.value}")
        try:
            figures.append(race(peer, whole.first(peer.rows or len(whole)), bench.options.repeats))
        except ImportError as error:
            missing[peer.name] = f"{peer.name} is not installed ({error}); run: {INSTALL}"
    wrong = [f"{one.claim}: {one.detail['difference']}" for one in figures if one.detail["difference"]]
    return Measured(figures, {"missing": missing}, wrong)


def race(peer: Peer, rows: Stream, repeats: int) -> Figure:
    """Both books in turns, once to warm up and then as often as asked; the figure of one row of the table.

    Raises
    ------
    ImportError
        When the package is not installed.
    """
    make = _maker(peer)
    ours, theirs = _Times(), _Times()
    found = ""
    for _ in range(repeats + 1):
        our_book, their_book = OurBook(rows, peer.asked), make(rows, peer.asked)
        with _no_collection():
            ours.take(our_book)
            theirs.take(their_book)
        answer = our_book.answer()
        found = found or difference(answer, their_book.answer())
    ratio = theirs.cpu_s / ours.cpu_s
    is_ahead = ratio >= peer.target if peer.target > 1 else ratio > 1
    return Figure(
        claim=f"{peer.name or 'Python'}, {peer.what}: {peer.asked.value}",
        figure=len(rows) / ours.cpu_s,
        unit="rows/s",
        target="" if not peer.target else f"≥ {peer.target:g}x" if peer.target > 1 else "> 1x",
        is_met=is_ahead and not found if peer.target else None,
        ratio=ratio,
        ratio_to=peer.name or "dicts",
        detail={
            "peer": peer.name or "Python",
            "version": version(peer.name) if peer.name else "",
            "what": peer.what,
            "asked": peer.asked.value,
            "rows": len(rows),
            "messages": len(rows.ends),
            "rows_per_second": len(rows) / theirs.cpu_s,
            "wall_rows_per_second": len(rows) / theirs.wall_s,
            "our_wall_rows_per_second": len(rows) / ours.wall_s,
            "ratio_of_wall": theirs.wall_s / ours.wall_s,
            "checksum": checksum(answer),
            "difference": found,
        },
    )


class _Times:
    """Processor and wall times of runs, without that of the first one, which warms up."""

    def __init__(self) -> None:
        self._taken: list[tuple[float, float]] = []

    def take(self, book: Book) -> None:
        """Run a book."""
        wall, cpu = time.perf_counter(), time.process_time()
        book.run()
        self._taken.append((time.process_time() - cpu, time.perf_counter() - wall))

    @property
    def cpu_s(self) -> float:
        """Median of the processor times."""
        return max(middle(cpu for cpu, _ in self._taken[1:]), 1e-9)

    @property
    def wall_s(self) -> float:
        """Median of the wall times."""
        return max(middle(wall for _, wall in self._taken[1:]), 1e-9)


def _maker(peer: Peer) -> Callable[[Stream, Asked], Book]:
    module: Any = importlib.import_module(f"rlx_datapipe.pipeline.bench.peers.{peer.book[0]}")
    make: Callable[[Stream, Asked], Book] = getattr(module, peer.book[1])
    return make


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without garbage collection, as `timeit` does it: the objects of one book are no other's cost."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
