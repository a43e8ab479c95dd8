"""Rows by id against the golden's: each run is settled as it comes, and only what differs is kept."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.event import NONE, Int64Array
from rlx_datapipe.core.state import State
from rlx_datapipe.validation.groups import Difference, Groups, compare, grouped


class Ledger:
    """The golden's groups, ticked off as the dataset brings theirs; the same answer in any order.

    Holds a bit for each golden group, and of the dataset only the groups that were not at once the golden's:
    a group of which more comes later, somewhere else, is summed up in the end.

    Parameters
    ----------
    golden
        The groups to be found.
    """

    def __init__(self, golden: Groups) -> None:
        self._golden = golden
        self._found = np.zeros(len(golden.ids), dtype=np.bool_)
        self._open: Int64Array = np.zeros((3, 0), dtype=np.int64)
        self._odd: list[Int64Array] = []

    def add(self, runs: Int64Array) -> None:
        """Take the next runs, int64 (3, n): id, count of rows, sum of their digests."""
        if not runs.shape[1]:
            return
        runs = np.concatenate((self._open, runs), axis=1)
        if self._open.shape[1] and runs[0, 0] == runs[0, 1]:
            # The last run went on in these rows.
            runs[1:, 1] += runs[1:, 0]
            runs = runs[:, 1:]
        self._open = runs[:, -1:].copy()
        self._settle(runs[:, :-1])

    def _settle(self, runs: Int64Array) -> None:
        if (np.diff(runs[0]) <= 0).any():
            runs = _summed([runs])
        golden = self._golden
        if not len(golden.ids):
            self._odd.append(runs.copy())
            return
        at = np.minimum(np.searchsorted(golden.ids, runs[0]), len(golden.ids) - 1)
        same = (golden.ids[at] == runs[0]) & (golden.counts[at] == runs[1]) & ~self._found[at]
        same &= golden.digests[at].view(np.int64) == runs[2]
        self._found[at[same]] = True
        if not same.all():
            self._odd.append(runs[:, ~same])

    def settled(self) -> tuple[Groups, Groups]:
        """The golden's groups, and the dataset's: all of them, with the sums of what came in parts."""
        self._settle(self._open)
        self._open = self._open[:, :0]
        golden = self._golden
        found = np.stack((golden.ids, golden.counts, golden.digests.view(np.int64)))[:, self._found]
        ours = _summed([found, *self._odd])
        return golden, Groups(ours[0], ours[1], ours[2].view(np.uint64))

    def state(self) -> State:
        """What was found, and what was odd."""
        odd = np.concatenate([np.zeros((3, 0), dtype=np.int64), *self._odd], axis=1)
        bits = np.packbits(self._found)
        words = np.zeros(-(-len(bits) // 8) * 8, dtype=np.uint8)
        words[: len(bits)] = bits
        return State({}, {"found": words.view(np.int64), "open": self._open.copy(), "odd": odd})

    def restore(self, state: State) -> None:
        """Become the ledger that gave this state, of the same golden.

        Raises
        ------
        ValueError
            When it is not one of these.
        """
        bits = state.array("found", -(-len(self._found) // 64)).view(np.uint8)
        self._found = np.unpackbits(bits, count=len(self._found)).astype(np.bool_)
        self._open = state.array("open", 3, None)
        self._odd = [state.array("odd", 3, None)]

    def difference(self, *, whole: bool) -> tuple[Difference, int]:
        """What differs, within the span of ids that both have, or in ``whole``; the size of the smaller."""
        golden, ours = self.settled()
        smaller = min(len(golden.ids), len(ours.ids))
        if not whole:
            low, high = NONE, NONE - 1
            if smaller:
                low = int(max(golden.ids[0], ours.ids[0]))
                high = int(min(golden.ids[-1], ours.ids[-1]))
            golden, ours = golden.within(low, high), ours.within(low, high)
        return compare(golden, ours), smaller


def _summed(parts: list[Int64Array]) -> Int64Array:
    """Runs with each id once, sorted by id."""
    joined = np.concatenate(parts, axis=1)
    groups = grouped(joined[0], joined[2].view(np.uint64), joined[1])
    return np.stack((groups.ids, groups.counts, groups.digests.view(np.int64)))
