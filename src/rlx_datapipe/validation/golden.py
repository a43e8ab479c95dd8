"""The golden side: what a trusted capture says, condensed to quotes, links of the depth feed and digests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, Quote, empty_quotes
from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.core.sequence import SequenceRule
from rlx_datapipe.validation.groups import Groups, grouped, row_digests

_LINK_FIELDS = (Field.UPDATE_ID, Field.FIRST_ID, Field.PREVIOUS_ID)


@dataclass(frozen=True)
class Golden:
    """A trusted capture of one chain, condensed; some 40 bytes a message, whatever its levels.

    ``quotes`` is int64 (QUOTES, n) as they arrived. ``links`` is int64 (3, m): update id, first id and
    previous id of each depth message, sorted by update id, each once. ``deltas`` and ``trades`` digest the
    rows of each update id and trade id. ``is_source`` says that the dataset was made from these very files:
    then it must hold all of it, not only what lies in its own span.
    """

    name: str
    quotes: Int64Array
    links: Int64Array
    deltas: Groups
    trades: Groups
    repeated: int
    aggregates: bool
    rule: SequenceRule | None
    is_source: bool

    @property
    def reach_id(self) -> int:
        """The largest update id of which the capture knows anything."""
        return int(max(self.quotes[Quote.UPDATE_ID].max(initial=NONE), self.links[0].max(initial=NONE)))


def gather_golden(
    batches: Iterable[Parsed], name: str, *, rule: SequenceRule | None = None, is_source: bool = False
) -> Golden:
    """Condense a capture, batch by batch.

    Parameters
    ----------
    batches
        What the venue's parser made of it, in arrival order, scaled by the instrument of the chain.
    name
        How the report calls it.
    rule
        The sequence rule of its venue; without one the chain of ids is not recounted.
    is_source
        Whether the dataset was made from these very files.
    """
    quotes, links, deltas, trades = [empty_quotes()], [], [], []
    aggregates = False
    for batch in batches:
        quotes.append(batch.quotes)
        kinds, flags = batch.events[Field.KIND], batch.events[Field.FLAGS]
        chosen = batch.events[:, kinds == Kind.TRADE]
        aggregates = aggregates or bool((flags[kinds == Kind.TRADE] & Flag.AGGREGATE).any())
        trades.append(_trade_rows(chosen))
        link, delta = _messages(batch.events[:, kinds == Kind.BOOK_DELTA])
        links.append(link)
        deltas.append(delta)
    link, groups, repeated = _once(_joined(links, 3), _joined(deltas, 2))
    return Golden(
        name=name,
        quotes=np.concatenate(quotes, axis=1),
        links=link,
        deltas=groups,
        trades=_trades_once(_joined(trades, 3)),
        repeated=repeated,
        aggregates=aggregates,
        rule=rule,
        is_source=is_source,
    )


def _joined(parts: list[Int64Array], rows: int) -> Int64Array:
    return np.concatenate([np.zeros((rows, 0), dtype=np.int64), *parts], axis=1)


def _messages(events: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Links of each depth message in arrival order, and the count and digest of its levels."""
    if events.shape[1] == 0:
        return np.zeros((3, 0), dtype=np.int64), np.zeros((2, 0), dtype=np.int64)
    message, update = events[Field.MESSAGE], events[Field.UPDATE_ID]
    starts = np.flatnonzero(np.concatenate(([True], (np.diff(message) != 0) | (np.diff(update) != 0))))
    real = (events[Field.FLAGS] & Flag.EMPTY_GROUP) == 0
    digests = row_digests(update, events[Field.SIDE], events[Field.PRICE], events[Field.QUANTITY])
    digests[~real] = 0
    counts = np.add.reduceat(real.astype(np.int64), starts)
    sums = np.add.reduceat(digests, starts).view(np.int64)
    return events[list(_LINK_FIELDS)][:, starts], np.stack([counts, sums])


def _once(links: Int64Array, told: Int64Array) -> tuple[Int64Array, Groups, int]:
    """Links and groups sorted by update id, of repeated messages only the first; how many were repeated."""
    order = np.argsort(links[0], kind="stable")
    links, told = links[:, order], told[:, order]
    first = _first_of_runs(links[0])
    links, told = links[:, first], told[:, first]
    real = told[0] > 0
    groups = Groups(links[0, real], told[0, real], told[1, real].view(np.uint64))
    return links, groups, int(len(first) - first.sum())


def _trade_rows(trades: Int64Array) -> Int64Array:
    fields = (Field.TRADE_ID, Field.SIDE, Field.PRICE, Field.QUANTITY)
    digests = row_digests(*(trades[field] for field in fields)).view(np.int64)
    return np.stack([trades[Field.TRADE_ID], trades[Field.ORIGIN_TIME], digests])


def _trades_once(rows: Int64Array) -> Groups:
    """Trades by id; of those with the same id and time only the first."""
    rows = rows[:, np.lexsort((rows[1], rows[0]))]
    first = _first_of_runs(rows[0]) | _first_of_runs(rows[1])
    return grouped(rows[0, first], np.ascontiguousarray(rows[2, first]).view(np.uint64))


def _first_of_runs(values: Int64Array) -> npt.NDArray[np.bool_]:
    first = np.ones(len(values), dtype=np.bool_)
    first[1:] = values[1:] != values[:-1]
    return first
