"""The power is cut at every sync and point of a recorder; what was synced is there, and it goes on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.capture.scripted import RING, record_all, recorder, trade, trades
from tests.depth import DEEP, deep

from rlx_datapipe.pipeline.proofs.disk import HOWS, Disk, State, build, left_over
from rlx_datapipe.pipeline.proofs.observe import Observer, Step
from rlx_datapipe.pipeline.proofs.scene import in_child
from rlx_datapipe.store import files as files_module
from rlx_datapipe.store.keys import KeyRing

files: Any = files_module
COUNT = 15
SYNCED = "log removed"


def film(work: Path, keys: KeyRing | None, mutate: Callable[[], None] | None = None) -> list[Step]:
    """Every moment of a run; a moment's ``acknowledged`` are the trades whose sync was told before it."""
    place, told = work / "film", work / "film.msgpack"
    place.mkdir()

    def run() -> dict[str, Any]:
        if mutate:
            mutate()
        observer = Observer(place, work / "contents")
        observer.install()
        into = recorder(place / "capture", keys)
        synced = into._sync
        for count in record_all(into, [trade(number) for number in range(COUNT)]):
            if count % 2 == 0:
                synced()
                observer._acknowledged = count
        into.close()
        observer._acknowledged = COUNT
        # One more moment, behind the end.
        observer._passed("epoch committed")
        observer.steps[-1] = msgspec.structs.replace(observer.steps[-1], acknowledged=COUNT)
        told.write_bytes(msgspec.msgpack.encode(observer.steps))
        return {}

    in_child(run, work / "film.json")
    return msgspec.msgpack.decode(told.read_bytes(), type=list[Step])


def cuts(work: Path, steps: list[Step], dice_each: int) -> Iterator[tuple[str, State, int]]:
    """Each state that a cut may leave, once; with what was acknowledged before it."""
    disk, seen = Disk(names={0: {}}), set()
    sizes: dict[str, int] = {}

    def size_of(digest: str) -> int:
        return sizes.setdefault(digest, (work / "contents" / digest).stat().st_size)

    for number, step in enumerate(steps):
        disk.look(step.look)
        for how in (*HOWS, *(f"dice{n}" for n in range(dice_each))):
            dice = np.random.default_rng([number, *how.encode()])
            state = left_over(disk, step.look, how, dice, size_of)
            key = hashlib.sha256(repr((step.acknowledged, sorted(state.items()))).encode()).digest()
            if key not in seen:
                seen.add(key)
                yield f"{number} {step.name} {how}", state, step.acknowledged
        if step.node is not None:
            disk.sync(step.node, step.look)


def outcome(work: Path, keys: KeyRing | None, state: State, acknowledged: int) -> str:
    """What is wrong when the capture goes on from a state; empty if nothing is."""
    place = work / "cut"
    shutil.rmtree(place, ignore_errors=True)
    build(state, place, lambda digest: (work / "contents" / digest).read_bytes())
    folder = place / "capture"

    def run() -> dict[str, Any]:
        into = recorder(folder, keys)
        kept = into.last_ids.get("btcusdt@trade", -1) + 1
        for _ in record_all(into, [trade(number) for number in range(kept, COUNT)]):
            pass
        into.close()
        return {"kept": kept}

    try:
        told = in_child(run, work / "cut.json")
        found = trades(folder, keys)
    except Exception as error:
        return f"stuck: {error}"
    assert told is not None
    if told["kept"] < acknowledged:
        return f"{told['kept']} of {acknowledged} acknowledged"
    return "" if found == list(range(COUNT)) else f"trades {found}"


@pytest.mark.parametrize("keys", [pytest.param(None, marks=deep), RING], ids=["plain", "encrypted"])
def test_after_a_power_cut_all_that_was_synced_is_there_once(work: Path, keys: KeyRing | None) -> None:
    steps = film(work, keys)
    assert {step.name for step in steps} >= {"log sealed", "segment published", "segment counted", SYNCED}
    wrong, tried = {}, 0
    for name, state, acknowledged in cuts(work, steps, dice_each=3 if DEEP else 1):
        tried += 1
        if found := outcome(work, keys, state, acknowledged):
            wrong[name] = found
    assert wrong == {}
    assert tried > (140 if DEEP else 70)


def _no_sync_of_folders() -> None:
    real = files.sync
    files.sync = lambda path: None if path.is_dir() else real(path)


def _no_sync_of_files() -> None:
    real = files.sync
    files.sync = lambda path: real(path) if path.is_dir() else None


@pytest.mark.parametrize("mutate", [_no_sync_of_folders, _no_sync_of_files])
def test_planted_faults_are_found(work: Path, mutate: Callable[[], None]) -> None:
    steps = film(work, None, mutate)
    states = list(cuts(work, steps, dice_each=0))
    assert any(outcome(work, None, state, acknowledged) for _, state, acknowledged in states[::3])
