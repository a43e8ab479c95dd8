"""`rlx bench reconstruct` measures runs and their floor on the same files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.pipeline.bench.child import only_source
from rlx_datapipe.pipeline.bench.reconstruct import measure
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive

KEYS = {"events_per_second", "messages_per_second", "ratio_to_floor", "peak_rss_bytes", "stages"}


def test_archive_and_capture_are_told_with_their_floors(tmp_path: Path) -> None:
    bench = small(tmp_path)
    measured = measure(bench)
    figures = named(measured.figures)
    assert list(figures) == [
        "reconstruct, archive",
        "reconstruct, of floor",
        "peak memory, archive",
        "reconstruct, capture",
        "peak memory, capture",
    ]
    for kind in ("archive", "capture"):
        told = measured.told[kind]
        assert set(told) >= KEYS
        assert told["ratio_to_floor"] > 0
        assert told["peak_rss_bytes"] > 10_000_000
        assert {"ingestion", "replay", "sink"} <= set(told["stages"]), "where the time went"
        assert figures[f"reconstruct, {kind}"].ratio == told["ratio_to_floor"]
    # The keys of the archive are also those of the whole.
    assert {key: measured.told[key] for key in KEYS} == {key: measured.told["archive"][key] for key in KEYS}
    assert measured.told["capture"]["messages"] == bench.options.messages
    assert not list(tmp_path.glob("run-*")), "what the runs wrote is gone"
    assert not list(tmp_path.glob("floor-*/*"))


def test_a_users_own_files_are_measured_alone(tmp_path: Path) -> None:
    own = write_archive(ArchiveConfig(rows=5_000, levels=50), tmp_path / "own")
    measured = measure(small(tmp_path, source=own))
    assert measured.figures[0].claim == "reconstruct, archive"
    assert "capture" not in measured.told
    assert measured.told["events"] > 5_000


def test_files_of_two_symbols_are_refused_in_a_sentence(tmp_path: Path) -> None:
    for symbol in ("BTC-USDT", "ETH-USDT"):
        write_archive(ArchiveConfig(rows=100, levels=30, symbol=symbol), tmp_path / "own")
    with pytest.raises(OptionError, match=r"measures one symbol.*found 2 symbols.*Give the files of one"):
        only_source(tmp_path / "own", Settings())
