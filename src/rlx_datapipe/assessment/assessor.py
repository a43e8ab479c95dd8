"""DataAssessor: one streaming pass over a chain becomes an assessment."""

from __future__ import annotations

from collections import Counter

from rlx_datapipe.assessment.chains import Chains
from rlx_datapipe.assessment.clocks import Clocks
from rlx_datapipe.assessment.levels import LevelCounts
from rlx_datapipe.assessment.refused import Refused
from rlx_datapipe.assessment.timeline import Timeline
from rlx_datapipe.assessment.windows import Windows
from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.feed import Parsed
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.sequence import SequenceRule

_NS_PER_MS = 1_000_000


class DataAssessor:
    """Takes in a chain batch by batch, in memory that does not grow with it.

    Everything that is counted is a property of a message or of two in a row, so parts that were looked at
    apart can be put together: `merge`.

    Parameters
    ----------
    instrument
        The chain and its scales.
    rule
        How its depth messages follow each other.
    quiet_ms
        A stretch without any event longer than this is told, as information.
    """

    def __init__(self, instrument: Instrument, rule: SequenceRule, quiet_ms: int = 10_000) -> None:
        self.instrument, self.rule = instrument, rule
        self.clocks, self.timeline, self.refused = Clocks(), Timeline(), Refused()
        self.chains = Chains(rule.link, quiet_ms * _NS_PER_MS)
        self.levels, self.windows = LevelCounts(instrument), Windows()
        self.messages: Counter[str] = Counter()
        self.records: Counter[str] = Counter()
        """Records that the source makes of itself, by kind."""
        self.quotes = self.kept = 0

    def add(self, parsed: Parsed) -> None:
        """Take in what the next batch became, in the order of arrival."""
        self.clocks.add(parsed.events)
        self.timeline.add(parsed.events)
        self.refused.add(parsed.rejects)
        self.messages.update(parsed.counts)
        self.records.update(record.kind for record in parsed.records)
        self.quotes += parsed.quotes.shape[1]
        self.kept += len(parsed.kept)

    def add_ordered(self, events: Int64Array) -> None:
        """Take in the next events in the total order, int64 (FIELDS, n), whole messages."""
        if events.shape[1]:
            self.chains.add(events)
            self.levels.add(events)
            self.windows.add(events)

    def finish(self) -> None:
        """Close what is still open, after the last event."""
        self.windows.finish()

    def merge(self, later: DataAssessor) -> None:
        """Take in what another one saw of the events that follow; both have been finished.

        The same as if one had seen all, where the later part begins with a snapshot.
        """
        self.clocks.merge(later.clocks)
        self.timeline.merge(later.timeline)
        self.refused.merge(later.refused)
        self.chains.merge(later.chains)
        self.levels.merge(later.levels)
        self.windows.merge(later.windows)
        self.messages.update(later.messages)
        self.records.update(later.records)
        self.quotes += later.quotes
        self.kept += later.kept
