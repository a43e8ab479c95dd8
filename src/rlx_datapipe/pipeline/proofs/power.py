"""Cut the power at every moment of a run: build what a disk may hold then, go on, compare."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.pipeline.proofs.disk import HOWS, Disk, Look, State, build, left_over
from rlx_datapipe.pipeline.proofs.kills import GOLDEN, Mutate
from rlx_datapipe.pipeline.proofs.observe import Observer, Step
from rlx_datapipe.pipeline.proofs.outcome import before_resuming, counted, differs, outcome_of
from rlx_datapipe.pipeline.proofs.scene import RunFailedError, Scene, in_child

_STEPS = msgspec.msgpack.Decoder(list[Step])


class Cut(NamedTuple):
    """One state after a power cut; ``id`` tells the moment and the way, as `--only` takes it."""

    id: str
    state: State
    acknowledged: int


class Film:
    """All moments of one run, and the disk that they began with."""

    def __init__(self, scene: Scene, steps: list[Step], disk: Disk, name: str) -> None:
        self._scene, self._disk, self._name = scene, disk, name
        self._sizes: dict[str, int] = {}
        self.steps = steps

    def moments(self) -> Iterator[tuple[int, Disk, Look, int]]:
        """Each moment just before its sync takes effect, and the one behind the last."""
        disk = self._disk.copied()
        for number, step in enumerate(self.steps):
            disk.look(step.look)
            yield number, disk, step.look, step.acknowledged
            if step.node is not None:
                disk.sync(step.node, step.look)
        last = self.steps[-1]
        yield len(self.steps), disk, last.look, last.acknowledged

    def cuts(self, dice_each: int) -> list[Cut]:
        """Every state, once: of those that are alike, that with the most acknowledged commits."""
        found: dict[bytes, Cut] = {}
        for number, disk, look, acknowledged in self.moments():
            for how in (*HOWS, *(f"dice{k}" for k in range(dice_each))):
                cut = self._cut(number, disk, look, how, acknowledged)
                told = repr([(path, remnant) for path, (_, remnant) in cut.state.items()])
                key = hashlib.sha256(told.encode()).digest()
                if key not in found or found[key].acknowledged < acknowledged:
                    found[key] = cut
        return list(found.values())

    def cut(self, number: int, how: str) -> Cut:
        """One state by its moment and way."""
        for moment, disk, look, acknowledged in self.moments():
            if moment == number:
                return self._cut(number, disk, look, how, acknowledged)
        raise RunFailedError(f"no moment {number} in this run")

    def _cut(self, number: int, disk: Disk, look: Look, how: str, acknowledged: int) -> Cut:
        dice = np.random.default_rng([self._scene.seed, number, *how.encode()])
        state = left_over(disk, look, how, dice, self._size)
        return Cut(f"{self._name}:{number}:{how}", state, acknowledged)

    def _size(self, digest: str) -> int:
        if digest not in self._sizes:
            self._sizes[digest] = (self._scene.work / "contents" / digest).stat().st_size
        return self._sizes[digest]

    def killed_at(self, number: int) -> tuple[Disk, State, int]:
        """The disk after a kill at a moment, and what the next process sees: all of it, synced or not."""
        for moment, disk, look, acknowledged in self.moments():
            if moment == number:
                return disk.copied(), _whole(look, self._size), acknowledged
        raise RunFailedError(f"no moment {number} in this run")


def _whole(look: Look, size_of: Any) -> State:
    everything = Disk(dict(look.contents), dict(look.folders))
    return left_over(everything, look, "dropped", np.random.default_rng(0), size_of)


def film(scene: Scene, mutate: Mutate | None = None) -> Film:
    """Watch a run from the start to the end."""
    place = scene.work / "film"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return Film(scene, _watched(scene, place, {}, 0, mutate), Disk(names={0: {}}), "power")


def film_after_kill(scene: Scene, first: Film, number: int, mutate: Mutate | None = None) -> Film:
    """Watch a run that goes on after the first was killed at a moment, un-synced leftovers and all."""
    disk, state, acknowledged = first.killed_at(number)
    place = scene.work / "film"
    shutil.rmtree(place, ignore_errors=True)
    build(state, place, _contents(scene))
    nodes = {path: node for path, (node, _) in state.items()}
    return Film(scene, _watched(scene, place, nodes, acknowledged, mutate), disk, f"power:{number}:kill")


def _watched(
    scene: Scene, place: Path, nodes: dict[str, int], acknowledged: int, mutate: Mutate | None
) -> list[Step]:
    told = scene.work / "film.msgpack"

    def work() -> dict[str, Any]:
        if mutate:
            mutate()
        observer = Observer(place, scene.work / "contents", nodes, acknowledged)
        observer.install()
        scene.reconstruct(place / "run")
        told.write_bytes(msgspec.msgpack.encode(observer.steps))
        return {}

    in_child(work, scene.work / "film.json")
    return _STEPS.decode(told.read_bytes())


def _contents(scene: Scene) -> Any:
    return lambda digest: (scene.work / "contents" / digest).read_bytes()


def play(
    scene: Scene, golden: dict[str, Any], chain: Instrument, cuts: list[Cut], mutate: Mutate | None = None
) -> Iterator[dict[str, Any]]:
    """One result for each state: its ``id``, and ``by`` what the dataset differs before or after going on."""
    place = scene.work / "cut"
    for cut in cuts:
        shutil.rmtree(place, ignore_errors=True)
        build(cut.state, place, _contents(scene))

        def work(cut: Cut = cut) -> dict[str, Any]:
            if mutate:
                mutate()
            out, rows = place / "run", scene.work / GOLDEN
            before = before_resuming(out, chain, cut.acknowledged, rows)
            try:
                outcome = outcome_of(scene.reconstruct(out), out)
            except DatapipeError as error:
                return {"before": before, "stuck": str(error)}
            return {**outcome, **counted(out, rows), "before": before}

        told: dict[str, Any] = {"id": cut.id, "kind": "power"}
        try:
            outcome = in_child(work, scene.work / "cut.json") or {"before": [], "stuck": "died by itself"}
        except RunFailedError as error:
            outcome = {"before": [], "stuck": str(error)}
        # One for each state in which any was lost.
        told["acknowledged_lost"] = int(any("acknowledged" in sentence for sentence in outcome["before"]))
        if "stuck" in outcome:
            yield {**told, "by": [*outcome["before"], outcome["stuck"]], "stuck": 1}
            continue
        counts = {name: outcome[name] for name in ("lost", "doubled", "differing")}
        yield {**told, **counts, "by": [*outcome["before"], *differs(outcome, golden)]}
