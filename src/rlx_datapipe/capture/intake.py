"""The one place through which all that is received goes: to its chain, and from there to the recorder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence

from rlx_datapipe.capture.arrival import Arrival, Recorder
from rlx_datapipe.capture.chain import Chain, Counts, DenseChain, SparseChain
from rlx_datapipe.capture.clock import Clock
from rlx_datapipe.capture.lag import RecentLag
from rlx_datapipe.capture.settings import CaptureSettings
from rlx_datapipe.store.frames import RecordKind
from rlx_datapipe.venues.binance_ids import Ids, kind_of, read_ids

RAW = "!raw"
"""Stream of a message that is not in the envelope of a combined stream."""
_GAPS_TOLD = 20
_QUOTES_ALL, _QUOTES_EACH, _QUOTES_LEAST = 1_000_000, 20_000, 1_000
"""Ids of quotes that are remembered: in all streams, in one, and in one at least."""


class Heard:
    """What one connection has brought of one stream."""

    __slots__ = ("count", "first_id", "last_ns", "total_then")

    def __init__(self) -> None:
        self.count, self.first_id = 0, -1
        self.last_ns = 0
        """Steady clock at the last message, in ns."""
        self.total_then = 0
        """Messages on the whole connection until then."""


class Session:
    """One connection as it is seen from here: its number, when it opened, what it has brought so far."""

    def __init__(self, number: int, streams: Sequence[str], opened_ns: int) -> None:
        self.number, self.opened_ns, self.last_ns = number, opened_ns, opened_ns
        self.total = 0
        self.is_shutting_down = False
        self.heard = {stream.encode(): Heard() for stream in streams}

    def of(self, stream: str) -> Heard:
        """What it has brought of a stream of its own."""
        return self.heard[stream.encode()]


class Intake:
    """Hands each message over once, with both clocks as at its receipt, and declares what is missing.

    Parameters
    ----------
    streams
        Names of the streams that are listened to.
    recorder
        Keeps what is handed over.
    clock, settings
        Both clocks; how long a message waits for those before it.
    on_gap
        Called with the name of a stream of which ids have just been declared missing, or that began anew.
    on_told
        Called with the kind and the facts of each gap and note.
    """

    def __init__(
        self,
        streams: Sequence[str],
        recorder: Recorder,
        clock: Clock,
        settings: CaptureSettings,
        on_gap: Callable[[str], None] = lambda stream: None,
        on_told: Callable[[str, dict[str, object]], None] = lambda kind, facts: None,
    ) -> None:
        self._recorder, self._clock, self._settings = recorder, clock, settings
        self._on_gap, self._on_told = on_gap, on_told
        self._wall_ns, self._monotonic_ns = clock.wall_ns, clock.monotonic_ns
        self.chains: dict[str, Chain] = {}
        self.lags: dict[str, RecentLag] = {}
        remembered = max(_QUOTES_LEAST, min(_QUOTES_EACH, _QUOTES_ALL // len(streams)))
        for stream in streams:
            self.lags[stream] = RecentLag()
            if kind_of(stream) == "bookTicker":
                self.chains[stream] = SparseChain(stream, self, remembered=remembered)
            else:
                hold_ns = settings.hold_ms * 1_000_000
                chain = DenseChain(stream, self, hold_ns=hold_ns, hold_messages=settings.hold_messages)
                self.chains[stream] = chain
        self._known = {
            stream.encode(): (stream, self.chains[stream].take, self.lags[stream].add) for stream in streams
        }
        self.messages = self.bytes = 0
        self.others: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.gaps: list[dict[str, object]] = []
        self.gaps_total = 0
        self.first_opened_ns: int | None = None
        """Steady clock when the first connection stood, in ns; None before."""

    def take(self, session: Session, payload: bytes) -> None:
        """Take a message as it came from a connection.

        Raises
        ------
        OutputError
            When the recorder refuses.
        """
        wall_ns, monotonic_ns = self._wall_ns(), self._monotonic_ns()
        self.messages += 1
        self.bytes += len(payload)
        session.total += 1
        session.last_ns = monotonic_ns
        ids = read_ids(payload)
        known = self._known.get(ids.stream)
        if known is None or ids.first_id < 0:
            self._take_other(session, ids, payload, wall_ns, monotonic_ns)
            return
        name, take, add_lag = known
        heard = session.heard.get(ids.stream)
        if heard is not None:
            if not heard.count:
                heard.first_id = ids.first_id
            heard.count += 1
            heard.last_ns = monotonic_ns
            heard.total_then = session.total
        if ids.event_ns > 0:
            add_lag(wall_ns - ids.event_ns)
        kind = RecordKind.MESSAGE
        arrival = Arrival(
            kind, session.number, name, payload, wall_ns, monotonic_ns, ids.first_id, ids.last_id
        )
        take(ids, arrival)

    def settle(self, *, at_once: bool = False) -> None:
        """Declare what has been missing for long enough, in every stream."""
        now_ns = self._monotonic_ns()
        for chain in self.chains.values():
            if chain.held:
                chain.settle(now_ns, at_once=at_once)

    def overlap(self, streams: Sequence[str], *, is_on: bool) -> None:
        """Tell that two connections bring these streams, one perhaps behind the other; or no longer."""
        hold_ms = self._settings.overlap_hold_ms if is_on else self._settings.hold_ms
        for stream in streams:
            self.chains[stream].hold_ns = hold_ms * 1_000_000

    def broken(self, streams: Sequence[str], reason: str) -> None:
        """Tell that nobody has listened to these streams for a while."""
        for stream in streams:
            self.chains[stream].broken(reason)

    def snapshot(self, symbol: str, body: bytes, wall_ns: int, monotonic_ns: int, last_id: int) -> None:
        """Take the body of a snapshot as it came."""
        stream = f"{symbol.lower()}@snapshot"
        self._recorder.record(
            Arrival(RecordKind.SNAPSHOT, 0, stream, body, wall_ns, monotonic_ns, last_id, last_id)
        )

    def opened(self, session: Session, url: str, streams: Sequence[str]) -> None:
        """Tell that a connection stands."""
        if self.first_opened_ns is None:
            self.first_opened_ns = self._monotonic_ns()
        self._tell(RecordKind.OPEN, session.number, "!open", {"url": url, "streams": list(streams)})

    def closed(self, session: Session, reason: str) -> None:
        """Tell that a connection has ended."""
        self._tell(RecordKind.CLOSE, session.number, "!close", {"reason": reason})

    def keep(self, arrival: Arrival) -> None:
        """Hand a message over (for the chains)."""
        self._recorder.record(arrival)

    def miss(self, stream: str, from_id: int | None, to_id: int | None, reason: str) -> None:
        """Declare ids missing, both ends included (for the chains)."""
        facts: dict[str, object] = {"stream": stream, "from_id": from_id, "to_id": to_id, "reason": reason}
        self.gaps_total += 1
        self.gaps = [*self.gaps[-_GAPS_TOLD + 1 :], facts]
        self._tell(RecordKind.GAP, 0, "!gap", facts)
        self._on_gap(stream)
        self._on_told("gap", facts)

    def note(self, kind: str, **facts: object) -> None:
        """Note what happened to the capture."""
        self.notes[kind] += 1
        self._tell(RecordKind.NOTE, 0, "!note", {"kind": kind, **facts})
        self._on_told(kind, facts)

    def has_heard(self, stream: str) -> bool:
        """Whether any message of this stream has come."""
        chain = self.chains[stream]
        return bool(chain.counts.kept or chain.counts.duplicates or chain.held)

    def counts(self) -> dict[str, Counts]:
        """What came of the messages of each stream."""
        return {stream: chain.counts for stream, chain in self.chains.items()}

    def _take_other(
        self, session: Session, ids: Ids, payload: bytes, wall_ns: int, monotonic_ns: int
    ) -> None:
        """Keep what is no message of a stream of ours, or one that can't be trusted to be what it says."""
        if ids.kind == "serverShutdown":
            session.is_shutting_down = True
        self.others[ids.kind] += 1
        stream = ids.stream.decode("utf-8", "backslashreplace") or RAW
        self._recorder.record(
            Arrival(RecordKind.MESSAGE, session.number, stream, payload, wall_ns, monotonic_ns)
        )

    def _tell(self, kind: RecordKind, connection: int, stream: str, facts: dict[str, object]) -> None:
        payload = json.dumps(facts, separators=(",", ":"), allow_nan=False).encode()
        self._recorder.record(
            Arrival(kind, connection, stream, payload, self._clock.wall_ns(), self._clock.monotonic_ns())
        )
