"""What the benchmarks stand on: seeded input that is made once, and runs in processes of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.pipeline.bench.child import Job, start
from rlx_datapipe.pipeline.bench.figure import Options
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate

_MESSAGES_PER_S = 300
"""Fewer than the simulated market sends."""


@dataclass
class Workbench:
    """A folder with input and output of the benchmarks of one call, and who is told what is being done."""

    folder: Path
    options: Options
    on_step: Callable[[str], None] = lambda _: None
    _archives: dict[ArchiveConfig, Path] = field(default_factory=dict, init=False)
    _count: int = field(default=0, init=False)

    def rows(self, usual: int) -> int:
        """Rows to measure on, unless the user said another number."""
        return self.options.rows or usual

    def archive(self, rows: int, **shape: Any) -> Path:
        """An archive in the layout of Crypto Lake; made once for each `ArchiveConfig`."""
        config = ArchiveConfig(**{"seed": self.options.seed, "rows": rows, **shape})
        if config not in self._archives:
            self.on_step(f"making an archive of {rows:,} rows")
            self._archives[config] = write_archive(config, self.new_folder("archive"))
        return self._archives[config]

    def drop(self, archive: Path) -> None:
        """Remove an archive that was made; it is made again if it is asked for."""
        self._archives = {config: path for config, path in self._archives.items() if path != archive}
        shutil.rmtree(archive)

    @cached_property
    def capture(self) -> Path:
        """A capture of the simulated market, zstd, with about the shares of a real one's messages."""
        count = self.options.messages
        self.on_step(f"simulating {count:,} messages of a market")
        path = self.new_folder("capture") / "capture.zst"
        path.parent.mkdir()
        market = MarketConfig(
            seed=self.options.seed,
            duration_s=10 + count // _MESSAGES_PER_S,
            orders_per_s=800,
            depth_interval_ms=50,
        )
        write_capture(islice(simulate(market), count), path)
        return path

    def new_folder(self, what: str) -> Path:
        """A place that nothing has used yet."""
        self._count += 1
        return self.folder / f"{what}-{self._count}"

    def run(self, source: Path, settings: Settings | None = None, **how: Any) -> dict[str, Any]:
        """One run in a process of its own, into a new folder unless ``out`` names one; see `Job`."""
        how.setdefault("out", str(self.new_folder("run")))
        self.on_step(f"run over {source.name}")
        told = start(Job(source=str(source), settings=settings or Settings(), **how))
        return {**told, "out": how["out"]}

    @staticmethod
    def clear(told: dict[str, Any]) -> None:
        """Remove what a run wrote."""
        shutil.rmtree(told["out"])
