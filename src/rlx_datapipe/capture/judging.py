"""The market in each segment, judged as it is sealed: measured, and held against the segments before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlx_datapipe.capture.measures import Measuring
from rlx_datapipe.capture.regime import RegimeDetector, Special
from rlx_datapipe.core.feed import Frames
from rlx_datapipe.store.capture_lines import Said
from rlx_datapipe.store.capture_manifest import CaptureHead, Entry
from rlx_datapipe.store.capture_market import Market
from rlx_datapipe.store.frames import Record, RecordKind

_MEASURED_BYTES = 4 << 20
"""Messages that are measured at a time."""
_WARM = b'{"stream":"x@trade","data":{"e":"trade"}}'


class MarketJudge:
    """Tells the market of one segment after the other; for one thread.

    Parameters
    ----------
    head
        What is captured.
    before
        Entries of the segments before, in order.
    calendar
        Special periods.
    """

    def __init__(
        self, head: CaptureHead, before: Iterable[Entry] = (), calendar: Sequence[Special] = ()
    ) -> None:
        self._format = head.venue
        self._detectors = {symbol: RegimeDetector(calendar=calendar) for symbol in head.symbols}
        for entry in before:
            self.counts(entry)
        # Once now: kernels that are loaded or compiled in the middle of a capture would hold up its messages.
        self.begin()
        self.add(Record(0, RecordKind.MESSAGE, 1, 1, 1, b""), Said(-1, -1, b"", _WARM))
        self.told(0, 0)
        self.begin()

    def begin(self) -> None:
        """Begin with the next segment, or once more with one that could not be sealed."""
        self._measuring = Measuring(self._format)
        self._held: list[tuple[int, bytes]] = []
        self._bytes = 0

    def add(self, record: Record, said: Said) -> None:
        """Take a record; only messages tell of the market."""
        if record.kind is not RecordKind.MESSAGE:
            return
        self._held.append((record.wall_ns, said.content))
        self._bytes += len(said.content)
        if self._bytes >= _MEASURED_BYTES:
            self._measure()

    def told(self, from_ns: int, to_ns: int) -> dict[str, Market]:
        """The market of each symbol in the segment, which lies at these wall times."""
        self._measure()
        return {
            symbol: Market(self._detectors[symbol].judge(measures, from_ns, to_ns), measures)
            for symbol, measures in self._measuring.told().items()
            if symbol in self._detectors
        }

    def counts(self, entry: Entry) -> None:
        """What this segment measured is what those behind it are compared with."""
        for symbol, market in entry.markets.items():
            self._detectors[symbol].add(market.measures)

    def _measure(self) -> None:
        if self._held:
            received, messages = zip(*self._held, strict=True)
            self._measuring.add(Frames.of(range(1, len(messages) + 1), received, messages))
        self._held, self._bytes = [], 0
