"""Assess sources: one streaming pass over each chain, and what its reconstruction will need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from rlx_datapipe.assessment.assessor import DataAssessor
from rlx_datapipe.assessment.cost import Measured, estimate
from rlx_datapipe.assessment.judge import assessed
from rlx_datapipe.assessment.result import Assessment
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.calibration import Calibration
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import is_dataset


def assess(
    sources: str | Path | Iterable[str | Path],
    settings: Settings | None = None,
    *,
    format: str = "auto",
    exchange: str = "",
    symbols: Iterable[str] = (),
    decimals: tuple[int | None, int | None] = (None, None),
    key_file: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> list[Assessment]:
    """What sources hold, how good it is, and what to do with it: an assessment of each chain.

    Parameters
    ----------
    sources
        Files or folders, as `reconstruct` takes them.
    settings
        Those with which they would be reconstructed; defaults if None.
    format, exchange, symbols, decimals, key_file
        As in `find_sources`.
    on_progress, on_notice
        As in `reconstruct`.

    Raises
    ------
    SourceError, OptionError
        When nothing of a known format is there.
    """
    settings = settings or Settings()
    given = [Path(sources)] if isinstance(sources, str | Path) else [Path(source) for source in sources]
    for path in given:
        if is_dataset(path):
            raise OptionError(
                "is a dataset, and no source any more",
                file=path,
                remedy="Check it with rlx validate; rlx inspect says what it holds",
            )
    began_s = time.process_time()
    found = find_sources(
        given,
        settings,
        format=format,
        exchange=exchange,
        symbols=symbols,
        decimals=decimals,
        key_file=key_file,
        on_ignored=lambda path: on_notice(f"ignored: {readable(str(path))} is no recording"),
    )
    finding_s = (time.process_time() - began_s) / max(len(found), 1)
    return [_assess(source, settings, finding_s, on_progress) for source in found]


def _assess(
    source: Source, settings: Settings, finding_s: float, on_progress: Callable[[Progress], None]
) -> Assessment:
    instrument, total = source.instrument, source.bytes_total
    assessor = DataAssessor(instrument, source.rule, settings.silence_ms)
    measured, events, looked_s = Measured(finding_s=finding_s), 0, 0.0

    def look(parsed: Parsed) -> None:
        nonlocal looked_s
        began_s = time.process_time()
        assessor.add(parsed)
        looked_s += time.process_time() - began_s

    readings: list[tuple[float, int]] = []
    with Calibration(source, settings) as calibration:
        batches = iter(DataIngestion(source, settings, on_parsed=look))
        while True:
            began_s, looked_s = time.process_time(), 0.0
            batch = next(batches, None)
            if batch is None:
                break
            readings.append((time.process_time() - began_s - looked_s, batch.bytes_done))
            assessor.add_ordered(batch.events)
            calibration.add(batch)
            measured.batch_events = max(measured.batch_events, batch.events.shape[1])
            events += batch.events.shape[1]
            on_progress(Progress(instrument.exchange, instrument.symbol, batch.bytes_done, total, events))
        calibration.finish()
    assessor.finish()
    measured.ingestion_s = _reading_s(readings)
    measured.work_s, measured.worked = calibration.work_s, calibration.rows
    measured.commit_s = calibration.commit_s
    return assessed(
        assessor,
        format=source.format,
        files=len(source.files),
        bytes=total,
        cost=estimate(measured, settings, events, assessor.quotes),
    )


def _reading_s(readings: list[tuple[float, int]]) -> float:
    """Processor time of all batches, from that of each and the bytes by then; the first loads kernels."""
    if len(readings) < 3:
        return sum(spent_s for spent_s, _ in readings)
    (_, first), *rest = readings
    later_s, later = sum(spent_s for spent_s, _ in rest), rest[-1][1] - first
    return later_s * (1 + first / later) if later else later_s
