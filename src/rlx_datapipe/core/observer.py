"""What looks on while events are replayed: it sees each stretch at once, and changes none of it."""

from __future__ import annotations

from typing import Protocol

from rlx_datapipe.core.replayed import Replayed
from rlx_datapipe.core.state import Restorable


class Observer(Restorable, Protocol):
    """Sees a chain as it is replayed, in order, whole groups at a time.

    What it comes to depends on the events alone, not on how they are cut into stretches.
    """

    def see(self, replayed: Replayed) -> None:
        """Take in the next stretch; its arrays are looked at where they lie, and neither kept nor changed."""
