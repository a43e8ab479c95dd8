"""Planted episodes: what is listed and what chance adds, as scripts of deeds that the market acts out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.simulation.config import NS_PER_MS, NS_PER_S, Wire
from rlx_datapipe.simulation.lob.deeds import FOLLOW, PLACE_ORDER, PLACE_SHY, SCRIPT_COLUMNS, TAKE, WITHDRAW
from rlx_datapipe.simulation.lob.episode_kinds import (
    KINDS,
    Episode,
    Iceberg,
    Layering,
    MomentumIgnition,
    QuoteStuffing,
    Spoofing,
)
from rlx_datapipe.simulation.lob.parameters import MarketParameters
from rlx_datapipe.simulation.lob.steps import lots

HANDLES_EACH = 32
"""Orders that one episode can hold at a time."""
_EPISODES_AT_A_TIME = 4_096
HANDLES = HANDLES_EACH * _EPISODES_AT_A_TIME

_PAIRS_MAX = 500_000
_SIZES = ("size", "real_size", "shown")

Deed = tuple[int, int, int, int, int, int, int]
"""Time from the beginning in ns, deed, handle, side, offset in ticks, lots, hidden lots."""


class Planted(NamedTuple):
    """An episode at its place: dense number by beginning, and its first and last moment in ns."""

    number: int
    episode: Episode
    start_ns: int
    end_ns: int


def plan(parameters: MarketParameters, seed: np.random.SeedSequence) -> list[Planted]:
    """All episodes of a market, by beginning; those that chance adds begin at any time alike.

    Raises
    ------
    OptionError
        When a listed episode begins after the market's end.
    """
    duration_s = parameters.duration_s
    found: list[Episode] = list(parameters.episodes)
    for episode in found:
        if episode.at_s >= duration_s:
            raise OptionError(
                "an episode begins after the end of the market",
                found=f"at_s = {episode.at_s}",
                expected=f"below {duration_s}",
            )
    random = np.random.Generator(np.random.PCG64(seed))
    for name, kind in KINDS.items():
        for _ in range(random.poisson(getattr(parameters.planting, name) * duration_s / 3_600)):
            at_s, is_buy = random.random() * duration_s, random.random() < 0.5
            found.append(kind(at_s=round(at_s, 3), side="buy" if is_buy else "sell"))
    found.sort(key=lambda episode: episode.at_s)
    begins = [parameters.start_ns + round(episode.at_s * NS_PER_S) for episode in found]
    return [
        Planted(number, episode, start_ns, start_ns + length_ms(episode) * NS_PER_MS)
        for number, (episode, start_ns) in enumerate(zip(found, begins, strict=True))
    ]


def length_ms(episode: Episode) -> int:
    """How long an episode lasts."""
    match episode:
        case Spoofing():
            return episode.hold_ms
        case Layering():
            return episode.layers * episode.gap_ms + episode.hold_ms
        case MomentumIgnition():
            return episode.burst_ms + episode.rest_ms + episode.unwind_ms
        case _:
            return episode.duration_ms


class Script:
    """Deeds of all episodes in the order of their times, made as the market comes to them.

    Parameters
    ----------
    planted
        By beginning.
    wire
        What a lot is.
    rate_per_s
        Arrivals of the flow a second, on average: what a flood is measured by.
    """

    def __init__(self, planted: list[Planted], wire: Wire, rate_per_s: float) -> None:
        self._planted, self._wire, self._rate_per_s = planted, wire, rate_per_s
        self._next = 0
        self._ahead = np.zeros((0, SCRIPT_COLUMNS), np.int64)
        # Sizes are checked now, each spelling once, not when the market has come to them.
        for episode in {_spellings(one.episode): one.episode for one in planted}.values():
            _sizes(episode, wire)
        for one in planted:
            if isinstance(one.episode, QuoteStuffing):
                _pairs(one.episode, rate_per_s)

    def before(self, horizon_ns: int) -> Int64Array:
        """The deeds before a time that have not been given yet, shape (n, SCRIPT_COLUMNS)."""
        begun = [self._ahead]
        while self._next < len(self._planted) and self._planted[self._next].start_ns < horizon_ns:
            begun.append(self._lines(self._planted[self._next]))
            self._next += 1
        lines = np.concatenate(begun)
        lines = lines[np.argsort(lines[:, 0], kind="stable")]
        given = int(np.searchsorted(lines[:, 0], horizon_ns))
        self._ahead = lines[given:]
        return lines[:given]

    def _lines(self, planted: Planted) -> Int64Array:
        deeds = deeds_of(planted.episode, _sizes(planted.episode, self._wire), self._rate_per_s)
        lines = np.zeros((len(deeds), SCRIPT_COLUMNS), np.int64)
        lines[:, :-1] = np.array(deeds, np.int64)
        lines[:, 0] += planted.start_ns
        lines[:, 2] += planted.number % _EPISODES_AT_A_TIME * HANDLES_EACH
        lines[:, -1] = planted.number
        # The handles of two deeds of one time keep their order.
        return lines[np.argsort(lines[:, 0], kind="stable")]


def _spellings(episode: Episode) -> tuple[str, ...]:
    return type(episode).__name__, *(str(getattr(episode, name, "")) for name in _SIZES)


def _sizes(episode: Episode, wire: Wire) -> dict[str, int]:
    """All sizes of an episode in lots, by name."""
    names = [name for name in _SIZES if hasattr(episode, name)]
    found = {name: lots(f"{name} of an episode", getattr(episode, name), wire) for name in names}
    if found.get("shown", 0) > found["size"]:
        raise OptionError("an iceberg order can't show more than its size", found=episode.shown)  # type: ignore[union-attr]
    return found


def deeds_of(episode: Episode, sizes: dict[str, int], rate_per_s: float) -> list[Deed]:
    """The deeds of one episode, by kind; ``sizes`` in lots by name, ``rate_per_s`` of the flow."""
    write: Callable[..., list[Deed]] = _WRITERS[type(episode)]
    return write(episode, 0 if episode.side == "buy" else 1, sizes, rate_per_s)


def _spoof(episode: Spoofing, side: int, sizes: dict[str, int], _: float) -> list[Deed]:
    end_ns = episode.hold_ms * NS_PER_MS
    return [
        (0, PLACE_SHY, 0, side, episode.offset_ticks, sizes["size"], 0),
        (0, PLACE_ORDER, 1, 1 - side, 0, sizes["real_size"], 0),
        (end_ns, WITHDRAW, 0, side, 0, 0, 0),
        (end_ns, WITHDRAW, 1, 1 - side, 0, 0, 0),
    ]


def _layer(episode: Layering, side: int, sizes: dict[str, int], _: float) -> list[Deed]:
    gap_ns = episode.gap_ms * NS_PER_MS
    end_ns = length_ms(episode) * NS_PER_MS
    layers = range(episode.layers)
    offsets = [episode.offset_ticks + layer * episode.step_ticks for layer in layers]
    placed = [(layer * gap_ns, PLACE_SHY, layer, side, offsets[layer], sizes["size"], 0) for layer in layers]
    return placed + [(end_ns, WITHDRAW, layer, side, 0, 0, 0) for layer in layers]


def _pairs(episode: QuoteStuffing, rate_per_s: float) -> int:
    """How often a flood's order is placed and withdrawn; OptionError where that would not fit into memory."""
    pairs = max(1, round((episode.factor - 1.0) * rate_per_s * episode.duration_ms / 2_000))
    if pairs > _PAIRS_MAX:
        raise OptionError(
            "an episode of quote stuffing has too many orders",
            found=pairs,
            expected=f"at most {_PAIRS_MAX}",
            remedy="Lower its factor or duration_ms, or flow.speed",
        )
    return pairs


def _stuff(episode: QuoteStuffing, side: int, sizes: dict[str, int], rate_per_s: float) -> list[Deed]:
    length_ns = episode.duration_ms * NS_PER_MS
    pairs = _pairs(episode, rate_per_s)
    found: list[Deed] = []
    for pair in range(pairs):
        begin_ns, end_ns = (2 * pair) * length_ns // (2 * pairs), (2 * pair + 1) * length_ns // (2 * pairs)
        found.append((begin_ns, PLACE_ORDER, 0, side, 0, sizes["size"], 0))
        found.append((end_ns, WITHDRAW, 0, side, 0, 0, 0))
    return found


def _ignite(episode: MomentumIgnition, side: int, sizes: dict[str, int], _: float) -> list[Deed]:
    count = episode.orders
    unwind_ns = (episode.burst_ms + episode.rest_ms) * NS_PER_MS
    burst = [
        (order * episode.burst_ms * NS_PER_MS // count, TAKE, 0, side, 0, sizes["size"], 0)
        for order in range(count)
    ]
    return burst + [
        (unwind_ns + order * episode.unwind_ms * NS_PER_MS // count, TAKE, 0, 1 - side, 0, sizes["size"], 0)
        for order in range(count)
    ]


def _freeze(episode: Iceberg, side: int, sizes: dict[str, int], _: float) -> list[Deed]:
    hidden = sizes["size"] - sizes["shown"]
    follows = range(episode.follow_ms, episode.duration_ms, episode.follow_ms) if episode.follow_ms else ()
    return [
        (0, PLACE_ORDER, 0, side, episode.offset_ticks, sizes["shown"], hidden),
        *((at_ms * NS_PER_MS, FOLLOW, 0, side, episode.offset_ticks, 0, 0) for at_ms in follows),
        (episode.duration_ms * NS_PER_MS, WITHDRAW, 0, side, 0, 0, 0),
    ]


_WRITERS: dict[type[Any], Any] = {
    Spoofing: _spoof,
    Layering: _layer,
    QuoteStuffing: _stuff,
    MomentumIgnition: _ignite,
    Iceberg: _freeze,
}
