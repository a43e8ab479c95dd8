"""Where an exchange has come to in what it plays; told to clients, truths and progress alike."""

from __future__ import annotations

from dataclasses import dataclass

NS_PER_MS = 1_000_000


@dataclass(eq=False)
class Playhead:
    """``time_ns`` is that of the last message played, ``played`` counts messages, ``sent`` what clients got.

    ``is_ended`` is set when all has been played; ``rounds`` counts how often (with ``loop``).
    """

    time_ns: int = 0
    played: int = 0
    sent: int = 0
    rounds: int = 0
    is_running: bool = False
    is_ended: bool = False

    @property
    def time_ms(self) -> int:
        """The exchange's clock in ms."""
        return self.time_ns // NS_PER_MS
