"""`rlx bench symbols`: one symbol by one worker process against two symbols by two."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from rlx_datapipe.core.config import Settings
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, cores, middle
from rlx_datapipe.pipeline.bench.workbench import Workbench
from rlx_datapipe.pipeline.reconstruct import reconstruct

ROWS = 2_000_000
_SYMBOLS = ("BTC-USDT", "ETH-USDT")
_SPEED_UP = 1.8


def measure(bench: Workbench) -> Measured:
    """Measure how a second core helps a second symbol: rate of two symbols by that of one.

    Each symbol is written by one worker process whose stages take turns (threads=1), so that one symbol is
    the work of one core; starting the processes is part of both. Beside it, in the JSON, stands the same with
    overlapping stages, where one symbol has both cores to itself already.

    Input: two archives as in ``reconstruct``, of as many rows each (--rows).
    """
    rows = bench.rows(ROWS)
    archives = [bench.archive(rows, symbol=symbol) for symbol in _SYMBOLS]
    alone = _rates(bench, archives[:1], 1)
    both = _rates(bench, archives, 1)
    speed_up = middle(both) / middle(alone)
    overlapped = [middle(_rates(bench, some, Settings().threads)) for some in (archives[:1], archives)]
    figures = [
        Figure(claim="one symbol", figure=middle(alone), unit="events/s", detail={"runs": alone}),
        Figure(
            claim="two symbols",
            figure=middle(both),
            unit="events/s",
            target=f"≥ {_SPEED_UP}x one",
            # With one core to share there is nothing to be met.
            is_met=speed_up >= _SPEED_UP if cores() > 1 else None,
            ratio=speed_up,
            ratio_to="one symbol",
            detail={"runs": both, "overlapping_events_per_second": overlapped},
        ),
    ]
    return Measured(
        figures, {"speed_up": speed_up, "speed_up_overlapping": overlapped[1] / overlapped[0], "rows": rows}
    )


def _rates(bench: Workbench, archives: list[Path], threads: int) -> list[float]:
    """Events a second over all symbols, as many workers as there are."""
    bench.on_step(f"one worker for each of {len(archives)}, threads={threads}")
    settings = Settings(threads=threads)
    rates = []
    for _ in range(bench.options.repeats):
        out = bench.new_folder("symbols")
        begun = time.perf_counter()
        summary = reconstruct(archives, out, settings, workers=len(archives))
        rates.append(summary["events"] / (time.perf_counter() - begun))
        shutil.rmtree(out)
    return rates
