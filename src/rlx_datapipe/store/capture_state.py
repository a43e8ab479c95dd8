"""How a capture folder stands: finished, being written, or left open by a process that is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rlx_datapipe.store.capture_manifest import LOG
from rlx_datapipe.store.files import is_held, was_let_go
from rlx_datapipe.store.segment import list_segments

State = Literal["finished", "being written", "left open"]


def capture_state(folder: Path) -> State:
    """Finished where its recorder ended by itself and all is sealed; left open where it died before."""
    if is_held(folder):
        return "being written"
    return "finished" if was_let_go(folder) and not list_segments(folder / LOG) else "left open"


def sealing_hint(folder: Path) -> str:
    """What seals a capture that was left open."""
    return f"Its process died and nobody writes it: seal what it left by: rlx capture seal {folder}"
