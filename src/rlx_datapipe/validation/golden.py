"""The golden side: what a trusted capture says, condensed to quotes, links of the depth feed and digests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import FIELDS, NONE, Flag, Int64Array, Quote
from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.core.sequence import SequenceRule
from rlx_datapipe.core.state import State
from rlx_datapipe.validation.condense import MESSAGE_ROWS, TRADE_ROWS, condense_events
from rlx_datapipe.validation.groups import Groups, grouped
from rlx_datapipe.validation.histograms import Histograms

QUOTED = (Quote.UPDATE_ID, Quote.BID_PRICE, Quote.BID_QUANTITY, Quote.ASK_PRICE, Quote.ASK_QUANTITY)
"""What is kept of a quote, in this order."""
_ROWS = {"quotes": len(QUOTED), "messages": 5, "trades": 2}


@dataclass(frozen=True)
class Golden:
    """A trusted capture of one chain, condensed; 40 bytes a message, whatever its levels.

    ``quotes`` is int64 (QUOTED, n) as they arrived. ``links`` is int64 (3, m): update id, first id and
    previous id of each depth message, sorted by update id, each once. ``deltas`` and ``trades`` digest the
    rows of each update id and trade id. ``histograms`` has its distributions, int64 (NAMES, BINS).
    ``is_source`` says that the dataset was made from these very files: then it must hold all of it, not only
    what lies in its own span.
    """

    name: str
    quotes: Int64Array
    links: Int64Array
    deltas: Groups
    trades: Groups
    repeated: int
    aggregates: bool
    histograms: Int64Array
    rule: SequenceRule | None
    is_source: bool

    @property
    def reach_id(self) -> int:
        """The largest update id of which the capture knows anything."""
        return int(max(self.quotes[0].max(initial=NONE), self.links[0].max(initial=NONE)))


class GoldenGatherer:
    """Condenses a capture batch by batch; of repeated messages and trades only the first counts."""

    def __init__(self) -> None:
        self._parts: list[dict[str, Int64Array]] = []
        self._fresh: list[dict[str, Int64Array]] = []
        """Parts that came since the last `take_part`."""
        self._messages, self._trades = _Seen(), _Seen()
        self._histograms = Histograms()
        self._repeated = 0
        self._aggregates = False
        self._buffers: list[Int64Array] = []

    def add(self, batch: Parsed) -> None:
        """Take what the venue's parser made of the next messages, in arrival order."""
        messages, trades, deltas = self._condensed(batch.events)
        first = self._messages.first(messages[0], messages[0])
        self._repeated += int(len(first) - first.sum())
        if not first.all():
            deltas = deltas[:, first[deltas[0]]]
            messages = messages[:, first]
        # The same id at another time is another trade.
        once = self._trades.first(trades[0], trades[0] * np.int64(0x2545F4914F6CDD1D) + trades[1])
        trades = trades if once.all() else trades[:, once]
        self._histograms.add_messages(messages[5])
        self._histograms.add_levels(deltas[1])
        self._histograms.add_trades(trades[1], trades[3], trades[4])
        part = {
            "quotes": batch.quotes[list(QUOTED)],
            "messages": messages[:5].copy(),
            "trades": trades[[0, 2]],
        }
        self._parts.append(part)
        self._fresh.append(part)

    def _condensed(self, events: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
        count = events.shape[1]
        if not self._buffers or self._buffers[0].shape[1] < count:
            # Kept from batch to batch: fresh pages cost more than the work.
            rows = (MESSAGE_ROWS, TRADE_ROWS, 2)
            self._buffers = [np.zeros((height, count), dtype=np.int64) for height in rows]
        messages, trades, levels, flags = condense_events(
            events if events.flags.c_contiguous else np.ascontiguousarray(events).reshape(FIELDS, -1),
            *self._buffers,
        )
        self._aggregates |= bool(flags & Flag.AGGREGATE)
        sizes = (messages, trades, levels)
        return tuple(buffer[:, :size] for buffer, size in zip(self._buffers, sizes, strict=True))  # type: ignore[return-value]

    def golden(self, name: str, *, rule: SequenceRule | None = None, is_source: bool = False) -> Golden:
        """All of it, put in order.

        Parameters
        ----------
        name
            How the report calls it.
        rule
            The sequence rule of its venue; without one the chain of ids is not recounted.
        is_source
            Whether the dataset was made from these very files.
        """
        messages = self._joined("messages")
        messages = messages[:, _order(messages[0])]
        real = messages[3] > 0
        trades = self._joined("trades")
        return Golden(
            name=name,
            quotes=self._joined("quotes"),
            links=messages[:3],
            deltas=Groups(messages[0, real], messages[3, real], messages[4, real].view(np.uint64)),
            trades=grouped(trades[0], np.ascontiguousarray(trades[1]).view(np.uint64)),
            repeated=self._repeated,
            aggregates=self._aggregates,
            histograms=self._histograms.finish(),
            rule=rule,
            is_source=is_source,
        )

    def _joined(self, name: str, parts: list[dict[str, Int64Array]] | None = None) -> Int64Array:
        empty = np.zeros((_ROWS[name], 0), dtype=np.int64)
        return np.concatenate([empty, *(p[name] for p in (self._parts if parts is None else parts))], axis=1)

    def take_part(self) -> State:
        """What came since the last time, to be given to `restore` with all parts before it."""
        fresh, self._fresh = self._fresh, []
        arrays = {name: self._joined(name, fresh) for name in _ROWS}
        arrays |= self._messages.take_part("messages") | self._trades.take_part("trades")
        return State({}, arrays)

    def state(self) -> State:
        """What it knows beside its parts."""
        state = State({"repeated": self._repeated, "aggregates": self._aggregates})
        state.put("histograms", self._histograms.state())
        return state

    def restore(self, state: State, parts: Iterable[State]) -> None:
        """Become the gatherer that gave this state and these parts.

        Raises
        ------
        ValueError
            When they are not those of one.
        """
        for part in parts:
            self._parts.append({name: part.array(name, rows, None) for name, rows in _ROWS.items()})
            self._messages.put_part("messages", part)
            self._trades.put_part("trades", part)
        self._repeated = state.integer("repeated")
        self._aggregates = bool(state.integer("aggregates"))
        self._histograms.restore(state.part("histograms"))


class _Seen:
    """Which ids have come; that nearly all are new and rising makes it cheap."""

    def __init__(self) -> None:
        self._newest = np.iinfo(np.int64).min
        self._parts: list[tuple[int, int, Int64Array]] = []
        """Least and greatest id of a part, and the keys that came with it."""
        self._fresh: list[Int64Array] = []

    def first(self, ids: Int64Array, keys: Int64Array) -> npt.NDArray[np.bool_]:
        """Where a key, which stands for an id and what makes it differ, comes for the first time."""
        new = np.ones(len(ids), dtype=np.bool_)
        if not len(ids):
            return new
        if int(ids[0]) <= self._newest or (np.diff(ids) <= 0).any():
            new[:] = False
            new[np.unique(keys, return_index=True)[1]] = True
            late = np.flatnonzero(new & (ids <= self._newest))
            for low, high, known in self._parts:
                near = late[(ids[late] >= low) & (ids[late] <= high)]
                new[near[np.isin(keys[near], known)]] = False
        if new.any():
            self._keep(np.stack((ids[new], keys[new])))
        return new

    def _keep(self, pairs: Int64Array) -> None:
        low, high = int(pairs[0].min()), int(pairs[0].max())
        self._newest = max(self._newest, high)
        self._parts.append((low, high, pairs[1]))
        self._fresh.append(pairs)

    def take_part(self, name: str) -> dict[str, Int64Array]:
        """Ids and keys that came since the last time."""
        fresh, self._fresh = self._fresh, []
        return {f"{name}_seen": np.concatenate([np.zeros((2, 0), dtype=np.int64), *fresh], axis=1)}

    def put_part(self, name: str, part: State) -> None:
        """Take in what another one had taken."""
        pairs = part.array(f"{name}_seen", 2, None)
        if pairs.shape[1]:
            self._keep(pairs)
        self._fresh.clear()


def gather_golden(
    batches: Iterable[Parsed], name: str, *, rule: SequenceRule | None = None, is_source: bool = False
) -> Golden:
    """Condense a capture; parameters as `GoldenGatherer.add` and `GoldenGatherer.golden`."""
    gatherer = GoldenGatherer()
    for batch in batches:
        gatherer.add(batch)
    return gatherer.golden(name, rule=rule, is_source=is_source)


def _order(ids: Int64Array) -> Int64Array | slice:
    """What sorts ids, stable; nothing to do where they are in order already."""
    if (np.diff(ids) >= 0).all():
        return slice(None)
    order: Int64Array = np.argsort(ids, kind="stable")
    return order
