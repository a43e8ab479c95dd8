"""Where epochs end: told by the input and the settings alone."""

from __future__ import annotations

from collections.abc import Iterator

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import NONE, Field
from rlx_datapipe.core.state import State
from rlx_datapipe.ingestion.ingest import DataIngestion, Ingested

NS_PER_S = 1_000_000_000


def cut_into_epochs(ingestion: DataIngestion, settings: Settings) -> Iterator[tuple[Ingested, State | None]]:
    """Batches, and with those that end an epoch the state of the ingestion behind them.

    An epoch ends with the first batch by which ``epoch_events`` have come since the last, or by which they
    span ``epoch_s``.
    """
    since, began, newest = 0, NONE, NONE
    for batch in ingestion:
        times = batch.events[Field.ORDER_TIME]
        if len(times):
            since += len(times)
            began = int(times[0]) if began == NONE else began
            newest = max(newest, int(times.max()))
        ends = since >= settings.epoch_events or newest - began >= settings.epoch_s * NS_PER_S
        yield batch, ingestion.state() if ends else None
        if ends:
            since, began, newest = 0, NONE, NONE
