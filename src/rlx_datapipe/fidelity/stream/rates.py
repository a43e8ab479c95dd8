"""How many groups of deltas come, and when that is no longer usual: robust, without a look at the past."""

from __future__ import annotations

import numpy as np

from rlx_datapipe.core.compiled import helper
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.fidelity.stream.layout import NEVER, SECOND_NS, Rate

ONE = 1 << 20
"""Unit of levels and spreads: that of a binary logarithm."""
SPREADS = 8
"""Median absolute deviations above the level that are an anomaly, ..."""
OCTAVES = 3
"""... but no less than this many times twice as much, ..."""
COUNT_MIN = 200
"""... nor fewer messages."""
WARM_STEPS = 300
"""Steps with a message before anything is judged, and in which the level can move by one octave."""
QUIET_NS = 600 * SECOND_NS
"""Pause after an anomaly."""
SILENT_MESSAGES = 2_000
"""Messages that a silence has swallowed, were the rate a usual low one, which is an anomaly."""


@helper
def count_message(words: Int64Array, rate: int) -> bool:
    """Count a message in the present step; whether the count has just become an anomaly."""
    words[rate + Rate.COUNT] += 1
    return bool(words[rate + Rate.COUNT] == words[rate + Rate.LIMIT])


@helper
def quieten(words: Int64Array, rate: int, time: int) -> None:
    """Tell no anomaly for a while."""
    words[rate + Rate.QUIET_UNTIL] = time + QUIET_NS
    words[rate + Rate.LIMIT] = NEVER


@helper
def begin_step(words: Int64Array, rate: int, time: int) -> int:
    """Close the step and begin that of a time behind its end; the messages of the closed one.

    The level is the median of the logarithms of counts, the spread their median absolute deviation, both
    tracked by steps of one size towards each new value: no count, however large, moves them by more. Steps
    without a message do not count: a quiet market is no anomaly.
    """
    count: int = words[rate + Rate.COUNT]
    if count > 0:
        _learn(words, rate, count)
    length = words[rate + Rate.LENGTH]
    words[rate + Rate.END] = (time // length + 1) * length
    words[rate + Rate.COUNT] = 0
    return count


@helper
def is_silence(words: Int64Array, rate: int, time: int, since: int) -> bool:
    """Whether there should have been many messages from a time to another between which there was none."""
    if words[rate + Rate.SEEN] < WARM_STEPS or time < words[rate + Rate.QUIET_UNTIL]:
        return False
    low = (words[rate + Rate.LEVEL] - 2 * words[rate + Rate.SPREAD]) / ONE
    return bool(2.0**low * (time - since) / words[rate + Rate.LENGTH] >= SILENT_MESSAGES)


@helper
def _learn(words: Int64Array, rate: int, count: int) -> None:
    seen = words[rate + Rate.SEEN]
    level = int(np.log2(count) * ONE)
    if seen == 0:
        words[rate + Rate.LEVEL], words[rate + Rate.SPREAD] = level, ONE
    step = max(ONE // WARM_STEPS, ONE // (1 + seen))
    apart = level - words[rate + Rate.LEVEL]
    if apart != 0:
        words[rate + Rate.LEVEL] += step if apart > 0 else -step
    words[rate + Rate.SPREAD] += step if abs(apart) > words[rate + Rate.SPREAD] else -step
    words[rate + Rate.SPREAD] = max(words[rate + Rate.SPREAD], ONE // 4)
    words[rate + Rate.SEEN] = seen + 1
    limit = NEVER
    if seen >= WARM_STEPS and words[rate + Rate.END] >= words[rate + Rate.QUIET_UNTIL]:
        above = max(SPREADS * words[rate + Rate.SPREAD], OCTAVES * ONE)
        bound = min((words[rate + Rate.LEVEL] + above) / ONE, 60.0)
        limit = max(COUNT_MIN, int(2.0**bound))
    words[rate + Rate.LIMIT] = limit
