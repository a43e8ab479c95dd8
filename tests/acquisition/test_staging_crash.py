"""A staging folder whose process is killed, or whose power is cut, anywhere: each file stays, in one zone."""

from __future__ import annotations

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.acquisition.staged_files import CHANGES, bring_home, changes_told, wrong
from tests.depth import DEEP, thinned

from rlx_datapipe.acquisition import staging as staging_module
from rlx_datapipe.acquisition.staging import StagingManager
from rlx_datapipe.core.crash import STAGING_POINTS, arm, reached
from rlx_datapipe.pipeline.proofs.disk import HOWS, Disk, State, build, left_over
from rlx_datapipe.pipeline.proofs.observe import Observer, Step
from rlx_datapipe.pipeline.proofs.scene import in_child
from rlx_datapipe.store import files as files_module
from rlx_datapipe.store import linked_lines as lines_module

staging: Any = staging_module
files: Any = files_module
linked_lines: Any = lines_module
Mutate = Callable[[], None]
POINTS = ("file written", "file published", *STAGING_POINTS)


def survive(
    work: Path, plan: list[tuple[str, int]], landed: Counter[str], mutate: Mutate | None = None
) -> str:
    """What is wrong after a plan of kills; empty if nothing is."""
    root, told = work / "staging", work / "acknowledged"
    shutil.rmtree(root, ignore_errors=True)

    def run(kill: tuple[str, int] | None) -> dict[str, int] | None:
        told.write_bytes(b"")

        def home() -> dict[str, int]:
            if mutate:
                mutate()
            before = reached(POINTS)
            if kill:
                arm(*kill)
            handle = os.open(told, os.O_WRONLY | os.O_APPEND)

            def acknowledge() -> None:
                os.write(handle, b"1")

            bring_home(root, acknowledge)
            return {point: count - before[point] for point, count in reached(POINTS).items()}

        return in_child(home, work / "told.json")

    def look() -> dict[str, int]:
        if mutate:
            mutate()
        with StagingManager(root).open() as manager:
            assert manager.notices == []
        return {}

    done = 0
    for kill in plan:
        if run(kill) is not None:
            continue
        landed[kill[0]] += 1
        done += len(told.read_bytes())
        in_child(look, work / "look.json")
        if found := wrong(root):
            return f"after {kill}: {found}"
        if changes_told(root) < done:
            return f"after {kill}: {changes_told(root)} changes of {done} acknowledged"
        done = changes_told(root)
    run(None)
    return wrong(root) or ("" if changes_told(root) == CHANGES else f"{changes_told(root)} changes")


def test_killed_at_every_point_each_file_is_in_one_zone(tmp_path: Path) -> None:
    bring_home(tmp_path / "golden")
    assert wrong(tmp_path / "golden") == ""
    landed: Counter[str] = Counter()
    singles = [[(point, n)] for point in STAGING_POINTS for n in range(1, CHANGES + 1)]
    singles += [[("file written", 1)], [("file published", 1)]]
    # Kills while an opening makes the last change whole, and kills behind kills.
    chains = [
        [(first, n), (second, 1), (third, 2)]
        for first, second, third in itertools.product(STAGING_POINTS, STAGING_POINTS, STAGING_POINTS)
        for n in (2, 7)
    ]
    bad = {
        str(plan): found
        for plan in singles + chains[:: 1 if DEEP else 45]
        if (found := survive(tmp_path, plan, landed))
    }
    assert bad == {}
    assert set(landed) == set(POINTS)
    assert landed.total() > 4 * CHANGES


def _moved_before_it_is_recorded() -> None:
    commit = StagingManager._commit

    def early(manager: StagingManager, *changes: Any) -> None:
        if changes[0].kind == "moved":
            manager._make(*changes)
            manager._require_free = lambda _: None  # type: ignore[method-assign, assignment]
        commit(manager, *changes)

    StagingManager._commit = early  # type: ignore[method-assign, assignment]


def _last_change_left_as_it_is() -> None:
    StagingManager._make_whole = lambda manager, changes: None  # type: ignore[method-assign, assignment]


def _of_what_arrived_together_only_the_last_made_whole() -> None:
    StagingManager._make_whole = (  # type: ignore[method-assign]
        lambda manager, changes: manager._make(*changes[-1:])  # type: ignore[assignment]
    )


@pytest.mark.parametrize(
    ("mutate", "plan"),
    [
        (_moved_before_it_is_recorded, [("name taken", 2)]),
        (_last_change_left_as_it_is, [("change recorded", 3)]),
        (_of_what_arrived_together_only_the_last_made_whole, [("change recorded", 1)]),
    ],
)
def test_planted_faults_are_found_by_kills(
    tmp_path: Path, mutate: Mutate, plan: list[tuple[str, int]]
) -> None:
    """A sweep that stays green when the manager is wrong proves nothing."""
    landed: Counter[str] = Counter()
    try:
        found = survive(tmp_path, plan, landed, mutate)
    except Exception as error:
        found = str(error)
    assert found


def film(work: Path, mutate: Mutate | None = None) -> list[Step]:
    """Every moment of a run; a moment's ``acknowledged`` are the changes that were told before it."""
    place, told = work / "film", work / "film.msgpack"
    place.mkdir()

    def run() -> dict[str, Any]:
        if mutate:
            mutate()
        observer = Observer(place, work / "contents")
        observer.install()

        def acknowledge() -> None:
            observer._acknowledged += 1

        bring_home(place / "staging", acknowledge)
        observer._passed("epoch committed")
        observer.steps[-1] = msgspec.structs.replace(observer.steps[-1], acknowledged=CHANGES)
        told.write_bytes(msgspec.msgpack.encode(observer.steps))
        return {}

    in_child(run, work / "film.json")
    return msgspec.msgpack.decode(told.read_bytes(), type=list[Step])


def cuts(work: Path, steps: list[Step], dice_each: int) -> Iterator[tuple[str, State, int]]:
    """Each state that a cut may leave, once; with what was acknowledged before it."""
    disk, seen = Disk(names={0: {}}), set()

    def size_of(digest: str) -> int:
        return (work / "contents" / digest).stat().st_size

    for number, step in enumerate(steps):
        disk.look(step.look)
        for how in (*HOWS, *(f"dice{n}" for n in range(dice_each))):
            dice = np.random.default_rng([number, *how.encode()])
            state = left_over(disk, step.look, how, dice, size_of)
            key = repr((step.acknowledged, sorted(state.items())))
            if key not in seen:
                seen.add(key)
                yield f"{number} {step.name} {how}", state, step.acknowledged
        if step.node is not None:
            disk.sync(step.node, step.look)


def outcome(work: Path, state: State, acknowledged: int) -> str:
    """What is wrong when the folder is gone on with from a state; empty if nothing is."""
    place = work / "cut"
    shutil.rmtree(place, ignore_errors=True)
    build(state, place, lambda digest: (work / "contents" / digest).read_bytes())
    root = place / "staging"

    def run() -> dict[str, Any]:
        with StagingManager(root).open() as manager:
            told = {"gone": manager.notices, "changes": changes_told(root), "wrong": wrong(root)}
        bring_home(root)
        return told

    try:
        told = in_child(run, work / "cut.json")
    except Exception as error:
        return f"stuck: {error}"
    assert told is not None
    if told["gone"] or told["wrong"]:
        return f"{told['gone']} {told['wrong']}"
    if told["changes"] < acknowledged:
        return f"{told['changes']} changes of {acknowledged} acknowledged"
    return wrong(root) or ("" if changes_told(root) == CHANGES else f"{changes_told(root)} changes")


def test_after_a_power_cut_each_file_is_in_one_zone(tmp_path: Path) -> None:
    steps = film(tmp_path)
    assert {step.name for step in steps} >= set(STAGING_POINTS)
    bad, tried = {}, 0
    for name, state, acknowledged in itertools.islice(
        cuts(tmp_path, steps, dice_each=2), 0, None, 1 if DEEP else 3
    ):
        tried += 1
        if found := outcome(tmp_path, state, acknowledged):
            bad[name] = found
    assert bad == {}
    assert tried > (100 if DEEP else 33)


def _no_sync_of_folders() -> None:
    real = files.sync
    for module in (files, staging, linked_lines):
        module.sync = lambda path: None if path.is_dir() else real(path)


def _renamed_at_once() -> None:
    def rename(named: dict[Path, Path]) -> None:
        for target, source in named.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_file():
                source.rename(target)
            staging.sync(source.parent)
        staging.crash_point("name given")
        for target in named:
            staging.sync(target.parent)

    staging._give_names = rename


def _manifest_not_synced() -> None:
    linked_lines.os = type("os", (), {**vars(os), "fsync": staticmethod(lambda handle: None)})


@pytest.mark.parametrize("mutate", thinned([_renamed_at_once, _no_sync_of_folders, _manifest_not_synced], 3))
def test_planted_faults_are_found_by_power_cuts(tmp_path: Path, mutate: Mutate) -> None:
    states = list(cuts(tmp_path, film(tmp_path, mutate), dice_each=2))
    assert any(outcome(tmp_path, state, acknowledged) for _, state, acknowledged in states)
