"""A validation that was killed goes on where it was, and its report is that of one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.depth import thinned
from tests.validation.harness import capture, market, rebuilt, tamper, with_value

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError, OutputError
from rlx_datapipe.core.event import Flag
from rlx_datapipe.pipeline import saved_validation
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.saved_validation import SUFFIX
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.simulation import faults
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.store.files import locked, publish_bytes
from rlx_datapipe.store.state_bytes import pack, unpack
from rlx_datapipe.validation.golden import GoldenGatherer
from rlx_datapipe.validation.validate import ChainValidation

SAVED_EVENTS = 900
KILLS = int(os.environ.get("RLX_TEST_KILLS", "2"))
STRIDE = 1 if "RLX_TEST_KILLS" in os.environ else 13
"""Of the writes that are died at; each costs two validations."""
SMALL = Settings(epoch_events=1_500, batch_rows=400, keyframe_events=500, horizon_ms=500)

CHILD = """
import os, signal, sys
from rlx_datapipe.pipeline import saved_validation
from rlx_datapipe.pipeline.validate import validate
writes = 0
publish = saved_validation.publish_bytes
def dying(path, content):
    global writes
    writes += 1
    if writes == int(sys.argv[3]) and sys.argv[4] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    publish(path, content)
    if writes == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
saved_validation.publish_bytes = dying
told = validate(sys.argv[1], golden=sys.argv[2].split(":"), resume=True, saved_events=int(sys.argv[5]))
sys.stdout.buffer.write(told.to_json())
"""


def _two_markets(folder: Path) -> tuple[Path, list[Path]]:
    """A dataset of two chains in small files, with some of everything that is wrong, and its captures."""
    spot = capture(folder, faults.duplicate_depth(faults.drop_depth(market(), 20), 30), "spot")
    futures = capture(folder, market("binance-usdm", 2), "futures")
    reconstruct([spot, futures], folder / "both", SMALL)
    tamper(folder / "both", "events", with_value("quantity", 20, lambda value: value * 2))
    tamper(folder / "both", "events", with_value("flags", 30, lambda flags: flags | Flag.CROSSED))
    return folder / "both", [spot, futures]


def _killed(dataset: Path, golden: list[Path], write: int, when: str) -> bytes | None:
    """The report; None where the process was killed at a write of its state, as it was meant to be."""
    arguments = [str(dataset), ":".join(map(str, golden)), str(write), when, str(SAVED_EVENTS)]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, timeout=120, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.stdout if done.returncode == 0 else None


class _Died(BaseException):
    """The end of a process, as far as its files are concerned."""


def _mortal(monkeypatch: pytest.MonkeyPatch, write: int, *, before: bool) -> None:
    """Let the process die at a write of its state: just before it, or just after."""
    writes = 0

    def dying(path: Path, content: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == write and before:
            raise _Died
        publish_bytes(path, content)
        if writes == write:
            raise _Died

    monkeypatch.setattr(saved_validation, "publish_bytes", dying)


def _die(monkeypatch: pytest.MonkeyPatch, dataset: Path, golden: list[Path]) -> None:
    """Leave behind what a validation has saved in its sixth write."""
    _mortal(monkeypatch, 6, before=False)
    with pytest.raises(_Died):
        validate(dataset, golden=golden, saved_events=SAVED_EVENTS)
    monkeypatch.undo()


def test_it_goes_on_from_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, golden = _two_markets(tmp_path)
    whole = validate(dataset, golden=golden).to_json()
    assert not list(tmp_path.glob(f"*{SUFFIX}"))
    for write in range(1, 200, STRIDE):
        _mortal(monkeypatch, write, before=bool(write % 2))
        try:
            told = validate(dataset, golden=golden, saved_events=SAVED_EVENTS)
        except _Died:
            monkeypatch.undo()
            assert list(tmp_path.glob(f"*{SUFFIX}"))
            told = validate(dataset, golden=golden, resume=True, saved_events=SAVED_EVENTS)
            assert told.to_json() == whole, write
            assert not list(tmp_path.glob(f"*{SUFFIX}"))
        else:
            break
    assert told.to_json() == whole
    assert write > 20


def test_killed_again_and_again_the_report_is_the_same_to_the_byte(tmp_path: Path) -> None:
    dataset, golden = _two_markets(tmp_path)
    whole = validate(dataset, golden=golden).to_json()
    told = None
    for number in range(KILLS):
        # Each lives a little longer than the one before, so that all phases are died in.
        told = _killed(dataset, golden, 3 + 2 * number, ("before", "after")[number % 2])
        if told is not None:
            break
    else:
        told = validate(dataset, golden=golden, resume=True).to_json()
    assert told == whole
    assert not list(tmp_path.glob(f"*{SUFFIX}"))


def test_stopped_after_any_stretch_all_rules_go_on(tmp_path: Path) -> None:
    dataset, _ = _two_markets(tmp_path)
    held = open_dataset(dataset)
    for chain in held.manifest.chains:
        whole = ChainValidation(held, chain)
        stretches = sum(1 for _ in whole.walk())
        assert stretches > 3
        expected = whole.report().to_json()
        for stop in range(stretches):
            first = ChainValidation(held, chain)
            for number, _ in enumerate(first.walk()):
                if number == stop:
                    break
            resumed = ChainValidation(held, chain)
            resumed.restore(unpack(pack(first.state())))
            assert resumed.events == first.events
            for _ in resumed.walk():
                pass
            assert resumed.report().to_json() == expected


@pytest.mark.parametrize("other", thinned(["dataset", "golden capture"], 2))
def test_a_state_of_something_else_is_refused_in_one_sentence(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, golden = _two_markets(tmp_path)
    _die(monkeypatch, dataset, golden)
    if other == "dataset":
        dataset.rename(tmp_path / "gone")
        reconstruct(golden[0], dataset, SMALL)
    else:
        golden = golden[:1]
    with pytest.raises(DatasetError, match=f"of a validation with another .*{other}.*without --resume"):
        validate(dataset, golden=golden, resume=True)
    # Without --resume what was saved is in nobody's way.
    validate(dataset, golden=golden)
    assert not list(tmp_path.glob(f"*{SUFFIX}"))


def test_a_damaged_state_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, golden = _two_markets(tmp_path)
    _die(monkeypatch, dataset, golden)
    folder = tmp_path / f"both{SUFFIX}"
    newest = max(folder.glob("*.state"))
    content = bytearray(newest.read_bytes())
    content[-3] ^= 1
    newest.write_bytes(content)
    with pytest.raises(DatasetError, match="is not the state that was saved"):
        validate(dataset, golden=golden, resume=True)


def test_a_damaged_part_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, golden = _two_markets(tmp_path)
    _die(monkeypatch, dataset, golden)
    part = min((tmp_path / f"both{SUFFIX}").glob("*.part"))
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(DatasetError, match="is not what was saved"):
        validate(dataset, golden=golden, resume=True)


def test_one_that_is_running_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, golden = _two_markets(tmp_path)
    _die(monkeypatch, dataset, golden)
    with (
        locked(tmp_path / f"both{SUFFIX}"),
        pytest.raises(OutputError, match="is being written by another process"),
    ):
        validate(dataset, golden=golden, resume=True)


def test_with_nothing_saved_it_begins(tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market())
    golden = tmp_path / "capture.gz"
    assert validate(dataset, golden=golden, resume=True) == validate(dataset, golden=golden)


def test_a_place_that_cant_be_written_costs_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rebuilt(tmp_path, market())
    whole = validate(dataset)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert validate(dataset, saved_events=100) == whole


def test_a_gatherer_restored_from_its_parts_knows_what_had_come() -> None:
    gatherer = GoldenGatherer()
    state, part = gatherer.state(), gatherer.take_part()
    again = GoldenGatherer()
    again.restore(state, [part])
    assert again.golden("").deltas.ids.size == 0
