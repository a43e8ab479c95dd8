"""Is a connection alive, and every stream on it? Told from its messages alone, against their peers."""

from __future__ import annotations

from typing import Literal, NamedTuple

from rlx_datapipe.capture.intake import Heard, Session
from rlx_datapipe.capture.settings import CaptureSettings

_NS = 1_000_000_000
_SHARE_FROM = 200
"""Messages of a connection from which the share of a stream in them means something."""
_NEVER_HEARD = 2_000
"""Messages of the others after which a stream that was never heard is asked for again."""
_AGAIN_MAX_NS = 3_600 * _NS

Word = Literal["ping", "silent", "resubscribe", "lost"]


class Advice(NamedTuple):
    """What to do about a connection, and which streams it is about."""

    word: Word
    streams: tuple[str, ...] = ()


class Watchdog:
    """Watches one connection by the messages that come from it.

    A connection on which nothing comes is pinged; without a pong in time it is dead (the caller aborts it).
    One that answers but brings nothing may be in a trading halt, or its server may be sick: nobody can tell
    from here, so another is asked for beside it, ever less often while that brings nothing either. One
    stream that is silent while the others, by its usual share of them, promised many messages of it has lost
    its subscription: it is subscribed to again, then the connection is replaced.

    Parameters
    ----------
    session
        What has come.
    settings
        Waits and thresholds.
    """

    def __init__(self, session: Session, settings: CaptureSettings) -> None:
        self._session, self._settings = session, settings
        self.patience = 1
        """How many times longer than usual a whole connection may be silent."""
        self._pinged_ns = 0
        self._silent_since_ns, self._silent_again_ns = 0, 0
        self._asked_ns: dict[str, int] = {}
        self._again_ns: dict[str, int] = {}
        self._streams_looked_ns = session.opened_ns

    def look(self, now_ns: int) -> Advice | None:
        """What to do now, if anything; to be called often."""
        return self._look_at_all(now_ns) or self._look_at_streams(now_ns)

    def _look_at_all(self, now_ns: int) -> Advice | None:
        session, settings = self._session, self._settings
        quiet_ns = now_ns - session.last_ns
        if quiet_ns < settings.stall_s * _NS:
            return None
        if session.last_ns != self._silent_since_ns:
            self._silent_since_ns = session.last_ns
            self._silent_again_ns = int(settings.silence_s * self.patience * _NS)
        if quiet_ns >= self._silent_again_ns:
            # Twice as long each time: a halt may last, and nothing is lost by it.
            self._silent_again_ns = min(2 * self._silent_again_ns, quiet_ns + _AGAIN_MAX_NS)
            return Advice("silent")
        if now_ns - max(self._pinged_ns, session.last_ns) >= settings.stall_s * _NS:
            self._pinged_ns = now_ns
            return Advice("ping")
        return None

    def _look_at_streams(self, now_ns: int) -> Advice | None:
        if now_ns - self._streams_looked_ns < _NS:
            return None
        self._streams_looked_ns = now_ns
        missed = tuple(
            name.decode() for name, heard in self._session.heard.items() if self._is_missed(heard, now_ns)
        )
        first: list[str] = []
        again: list[str] = []
        for stream in missed:
            asked_ns = self._asked_ns.get(stream, 0)
            since_ns = max(self._session.of(stream).last_ns, self._session.opened_ns)
            if asked_ns <= since_ns:
                self._asked_ns[stream] = now_ns
                self._again_ns[stream] = int(self._settings.lost_s * _NS)
                first.append(stream)
            elif now_ns - asked_ns >= self._again_ns[stream]:
                self._asked_ns[stream] = now_ns
                self._again_ns[stream] = min(4 * self._again_ns[stream], _AGAIN_MAX_NS)
                # One that was never heard may have nothing to say: no connection is replaced for it.
                (again if self._session.of(stream).count else first).append(stream)
        if first:
            return Advice("resubscribe", tuple(first))
        return Advice("lost", tuple(again)) if again else None

    def _is_missed(self, heard: Heard, now_ns: int) -> bool:
        """Whether the others have brought so much that this one should have been heard long ago."""
        session, settings = self._session, self._settings
        if now_ns - max(heard.last_ns, session.opened_ns) < settings.lost_s * _NS:
            return False
        others = session.total - heard.total_then
        if not heard.count:
            return others >= _NEVER_HEARD
        if heard.total_then < _SHARE_FROM:
            return False
        # Of its share while it was heard; half a message is taken off, so that one alone promises little.
        share = (heard.count - 0.5) / heard.total_then
        return others * share / max(1 - share, 0.01) >= settings.lost_messages
