"""What the kernels are measured on: the seeded updates and archive of `rlx bench`, of one batch."""

from __future__ import annotations

import numpy as np
import pytest

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.ingestion.ingest import DataIngestion
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive
from rlx_datapipe.simulation.updates import Updates, UpdatesConfig, updates

ROWS = 65_536


@pytest.fixture(scope="session")
def stream() -> tuple[Updates, Updates]:
    """The message that sets every level, and a batch of the rows behind it."""
    opening, *rest = updates(UpdatesConfig(rows=ROWS))
    return opening, Updates(*(np.concatenate(parts) for parts in zip(*rest, strict=True)))


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """An archive of a batch of rows."""
    archive = write_archive(ArchiveConfig(rows=ROWS), tmp_path_factory.mktemp("archive"))
    [found] = find_sources([archive], Settings())
    return found


@pytest.fixture(scope="session")
def events(source: Source) -> Int64Array:
    """The events of the archive in order, int64 (FIELDS, n)."""
    batches = [batch.events for batch in DataIngestion(source, Settings())]
    return np.ascontiguousarray(np.concatenate(batches, axis=1))
