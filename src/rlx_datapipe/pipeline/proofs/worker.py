"""One process of a self-test: plays its share of kills and power cuts, one line of JSON for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rlx_datapipe.pipeline.proofs.kills import golden_run, planned, plans, sweep
from rlx_datapipe.pipeline.proofs.power import Cut, Film, film, film_after_kill, play
from rlx_datapipe.pipeline.proofs.scene import Scene, make_scene, warm

DICE_EACH = 2
"""Thrown at each moment, beside the extremes."""
CUTS_AFTER_KILL = 6


class Order(msgspec.Struct, frozen=True):
    """What to play: the whole of a seed, of which this process takes every ``shares``-th, or ``only`` some.

    Attributes
    ----------
    work
        An empty folder.
    chains
        Chains of two to five kills.
    states
        States after a power cut in an undisturbed run, drawn from all; and ``kills_before`` runs that go on
        after a kill, with some states each.
    """

    work: str
    seed: int
    chains: int
    states: int
    kills_before: int
    share: int = 0
    shares: int = 1
    only: tuple[str, ...] = ()


def some(cuts: list[Cut], count: int, dice: np.random.Generator) -> list[Cut]:
    """So many of the states, drawn without order but given in theirs."""
    return [cuts[place] for place in sorted(dice.permutation(len(cuts))[:count])]


def results(order: Order) -> Iterator[dict[str, Any]]:
    """First what is to come, then one result for each scenario."""
    scene = make_scene(Path(order.work), order.seed)
    chain = warm(scene)
    golden = golden_run(scene)
    if order.only:
        yield {"kind": "begun", "total": len(order.only), "reached": golden["reached"]}
        yield from _only(scene, golden, order, lambda cuts: play(scene, golden, chain, cuts))
        return
    every = plans(golden["reached"], order.chains, order.seed)[order.share :: order.shares]
    first = film(scene)
    dice = np.random.default_rng([order.seed, 2])
    cuts = some(first.cuts(DICE_EACH), order.states, dice)[order.share :: order.shares]
    moments = sorted(dice.permutation(len(first.steps))[: order.kills_before].tolist())
    moments = moments[order.share :: order.shares]
    total = len(every) + len(cuts) + len(moments) * CUTS_AFTER_KILL
    yield {"kind": "begun", "total": total, "reached": golden["reached"]}
    yield from sweep(scene, golden, every)
    yield from play(scene, golden, chain, cuts)
    for moment in moments:
        second = film_after_kill(scene, first, moment)
        chosen = some(second.cuts(DICE_EACH), CUTS_AFTER_KILL, np.random.default_rng([order.seed, 3, moment]))
        yield from play(scene, golden, chain, chosen)


def _only(
    scene: Scene, golden: dict[str, Any], order: Order, cut: Callable[[list[Cut]], Iterator[dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    first: Film | None = None
    for name in order.only:
        if name.startswith("kill:"):
            yield from sweep(scene, golden, [planned(name)])
            continue
        first = first or film(scene)
        words = name.split(":")
        shown = film_after_kill(scene, first, int(words[1])) if words[2] == "kill" else first
        yield from cut([shown.cut(int(words[-2]), words[-1])])


def main() -> None:
    """Play the order given as JSON."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    for result in results(order):
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
