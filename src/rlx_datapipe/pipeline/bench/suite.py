"""The benchmarks by name, each loaded when it is run; a new one is one more row."""

from __future__ import annotations

import importlib
import os
import platform
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from rlx_datapipe.core.version import WRITER

if TYPE_CHECKING:
    from rlx_datapipe.pipeline.bench.figure import Measured, Options
    from rlx_datapipe.pipeline.bench.workbench import Workbench


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: the module whose ``measure`` it is, what it tells, and the options that it takes.

    One that is ``quick`` runs when none is named.
    """

    module: str
    told: str
    takes: tuple[str, ...]
    quick: bool = True


BENCHMARKS = {
    "reconstruct": Benchmark(
        "reconstruct",
        "whole runs, beside the floor of their files",
        ("rows", "messages", "seed", "repeats", "source", "folder"),
    ),
    "book": Benchmark("book", "the book, best prices after each row", ("rows", "seed", "repeats")),
    "parse": Benchmark("parse", "captures to columns", ("messages", "seed", "repeats", "source", "folder")),
    "write": Benchmark("write", "events to files", ("rows", "seed", "repeats", "source", "folder")),
    "validate": Benchmark(
        "validate",
        "a dataset against its capture, by all rules",
        ("messages", "seed", "repeats", "source", "folder"),
    ),
    "checkpoint": Benchmark(
        "checkpoint", "what checkpoints cost, and recovery", ("rows", "seed", "repeats", "folder")
    ),
    "tiers": Benchmark(
        "tiers",
        "tiers of fidelity: cost in the loop, by event, by batch",
        ("rows", "seed", "repeats", "source", "folder"),
        quick=False,
    ),
    "day": Benchmark(
        "day", "a fidelity report over 24 hours of a busy symbol", ("rows", "seed", "folder"), quick=False
    ),
    "scale": Benchmark("scale", "time and memory by length of the input", ("sizes", "seed", "folder")),
    "symbols": Benchmark(
        "symbols", "two symbols on two cores against one", ("rows", "seed", "repeats", "folder")
    ),
    "claims": Benchmark(
        "claims", "research assumptions, by ablation", ("seed", "repeats", "folder", "report"), quick=False
    ),
    "capture": Benchmark(
        "capture", "a live capture at 20,000 messages a second", ("messages", "folder"), quick=False
    ),
    "capture_write": Benchmark(
        "capture_write",
        "a live capture, from the receiver to the disk",
        ("messages", "seed", "repeats", "source", "folder"),
    ),
    "handover": Benchmark(
        "handover", "connections replaced at 20,000 messages a second", ("messages", "folder"), quick=False
    ),
    "download": Benchmark(
        "download", "an archive's files, beside plain requests", ("seed", "repeats", "folder"), quick=False
    ),
    "strategies": Benchmark(
        "strategies",
        "the book without deltas, by strategy",
        ("messages", "seed", "source", "folder"),
        quick=False,
    ),
    "verdict": Benchmark(
        "verdict",
        "false alarms and power of the fidelity verdict",
        ("quick", "seed", "source", "folder", "report"),
        quick=False,
    ),
    "import": Benchmark("imports", "time to import, and to show the help", ("repeats",)),
    "peers": Benchmark(
        "peers.race", "the book beside those of other packages", ("rows", "seed", "repeats"), quick=False
    ),
}
"""In the order in which they are run and told."""


def measurer(name: str) -> Callable[[Workbench], Measured]:
    """The function of a benchmark; its docstring says what is measured, on what, and by which ratio."""
    module = importlib.import_module(f"rlx_datapipe.pipeline.bench.{BENCHMARKS[name].module}")
    measure: Callable[[Workbench], Measured] = module.measure
    return measure


def bench(
    names: Iterable[str] = (), options: Options | None = None, on_step: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Run benchmarks by name, all quick ones if none is named; their result for JSON.

    Returns
    -------
    What it was measured on, and ``figures``, each a `Figure` with the name of its ``benchmark``.
    Of one benchmark, what else it tells by name lies beside them; of several, that lies in ``benchmarks``,
    under the name of each.
    """
    from rlx_datapipe.pipeline.bench.figure import Options, cores
    from rlx_datapipe.pipeline.bench.workbench import Workbench

    options = options or Options()
    chosen = list(names) or [name for name, benchmark in BENCHMARKS.items() if benchmark.quick]
    figures: list[dict[str, Any]] = []
    wrong: list[str] = []
    told: dict[str, dict[str, Any]] = {}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="rlx-bench-", dir=options.folder) as folder:
        workbench = Workbench(Path(folder), options, on_step)
        for name in chosen:
            measured = measurer(name)(workbench)
            figures += [{"benchmark": name, **msgspec.to_builtins(figure)} for figure in measured.figures]
            told[name] = measured.told
            wrong += measured.wrong
    return {
        "writer": WRITER,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": cores(),
        "load": load,
        "seed": options.seed,
        "repeats": options.repeats,
        **(told[chosen[0]] if len(chosen) == 1 else {"benchmarks": told}),
        "wrong": wrong,
        "figures": figures,
    }
