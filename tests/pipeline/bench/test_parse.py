"""`rlx bench parse` measures each kind of message by itself, and the capture as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.pipeline.bench.parse import measure
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate


@pytest.mark.parametrize("venue", ["binance-spot", "binance-usdm"])
def test_kinds_add_up_to_the_capture(venue: str, tmp_path: Path) -> None:
    path = tmp_path / "own.gz"
    count = write_capture(
        simulate(MarketConfig(venue=venue, duration_s=15, orders_per_s=300, levels=100)), path
    )
    measured = measure(small(tmp_path, source=path))
    figures = named(measured.figures)
    assert list(figures) == ["parse, depth", "parse, trade", "parse, ticker", "parse, all of it"]
    messages = [figure.detail["messages"] for figure in figures.values()]
    # The one that is of no kind is the snapshot.
    assert sum(messages[:3]) + 1 == messages[3] == count
    assert all(figure.detail["rejected"] == 0 for figure in figures.values())
    assert all(figure.ratio_to == "json.loads" for figure in figures.values())
    sizes = [figure.detail["bytes_per_message"] for figure in figures.values()]
    assert sizes[0] > 2 * sizes[1], "depth updates are the long ones"
    assert set(measured.told["by_kind"]) == {"depth", "trade", "ticker"}


def test_an_archive_has_nothing_to_parse(tmp_path: Path) -> None:
    own = write_archive(ArchiveConfig(rows=100, levels=30), tmp_path / "own")
    with pytest.raises(OptionError, match="nothing to parse"):
        measure(small(tmp_path, source=own))
