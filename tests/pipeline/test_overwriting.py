"""Nothing is overwritten: by a changed program, by a writer that slept; a mutant that does so is seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.pipeline.captures import SPOT, capture

from rlx_datapipe.core import crash
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.sink import datasink
from rlx_datapipe.sink import rows as rows_module
from rlx_datapipe.store.log import LOG, entry_name
from rlx_datapipe.store.tables import ChainTable

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(batch_rows=200, threads=1, epoch_events=800, keyframe_events=1_000, horizon_ms=200)


@pytest.fixture
def ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A capture, and a dataset whose tables ``quality`` and ``quotes`` are an epoch ahead of ``events``."""
    source, out, passed = capture(tmp_path / "capture.gz", SPOT), tmp_path / "out", []

    def stop(point: str) -> None:
        passed.append(point)
        if passed.count("table committed") == 12:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(crash, "_watchers", [stop])
        with pytest.raises(KeyboardInterrupt):
            reconstruct(source, out, SETTINGS)
    return source, out


def change_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    rows_of = rows_module.quote_rows

    def changed(*given: Any) -> pa.Table:
        rows = rows_of(*given)
        last = rows.schema.field(rows.num_columns - 1)
        return rows.set_column(rows.num_columns - 1, last, pa.nulls(rows.num_rows, last.type))

    monkeypatch.setattr(datasink, "quote_rows", changed)


def committed(out: Path) -> bytes:
    [path] = (out / "quotes").rglob("epoch-0000000002.parquet")
    return path.read_bytes()


def test_what_a_changed_program_would_write_otherwise_is_refused(
    ahead: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = ahead
    before = committed(out)
    change_the_program(monkeypatch)
    with pytest.raises(OutputError, match="is not the same to the byte"):
        reconstruct(source, out, SETTINGS, resume=True)
    assert committed(out) == before
    monkeypatch.undo()
    reconstruct(source, out, SETTINGS, resume=True)


def test_the_mutant_that_replaces_overwrites_what_is_committed(
    ahead: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = ahead
    before = committed(out)
    change_the_program(monkeypatch)
    monkeypatch.setattr(os, "link", replace)
    reconstruct(source, out, SETTINGS, resume=True)
    assert committed(out) != before


def replace(old: Path, new: Path) -> None:
    """A rename, which takes the place of what is there."""
    new.unlink(missing_ok=True)
    os_link(old, new)


os_link = os.link
ZOMBIE = """
import os, signal, sys
from pathlib import Path
from rlx_datapipe.store.tables import ChainTable

publish = {"link": os.link, "replace": lambda old, new: (new.unlink(missing_ok=True), link(old, new))}
link = os.link
sleeper = ChainTable(Path(sys.argv[1]), "events", "X", "BTC")

def sleep(old, new):
    os.kill(os.getpid(), signal.SIGSTOP)
    publish[sys.argv[2]](old, new)

os.link = sleep
sleeper.commit([], 0, "zombie")
"""


@pytest.mark.parametrize(("publish", "refused"), [("link", True), ("replace", False)])
def test_a_writer_that_slept_before_it_published_overwrites_only_as_a_mutant(
    publish: str, refused: bool, tmp_path: Path
) -> None:
    ChainTable(tmp_path, "events", "X", "BTC")
    command = [sys.executable, "-c", ZOMBIE, str(tmp_path), publish]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as zombie:
        _, status = os.waitpid(zombie.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        ChainTable(tmp_path, "events", "X", "BTC").commit([], 0, "replacement")
        entry = tmp_path / "events" / LOG / entry_name(1)
        before = entry.read_bytes()
        zombie.send_signal(signal.SIGCONT)
        _, said = zombie.communicate(timeout=30)
    assert ("another process has written this epoch" in said) == refused
    assert (entry.read_bytes() == before) == refused
