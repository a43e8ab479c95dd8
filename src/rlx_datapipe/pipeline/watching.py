"""What passes between the writing of a chain and whoever watches over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rlx_datapipe.core.pressure import Pressure
from rlx_datapipe.ingestion.reader import Begin
from rlx_datapipe.ingestion.recordings import Take


@dataclass(frozen=True)
class Progress:
    """How far a run has come: of which chain, bytes read of how many, events written, epochs committed.

    ``restarts`` counts how often its process was started again; ``state`` says why a chain does not come on,
    and is empty for one that does.
    """

    exchange: str
    symbol: str
    bytes_done: int
    bytes_total: int
    events: int
    epochs: int = 0
    restarts: int = 0
    state: str = ""


@dataclass(frozen=True)
class Watcher:
    """Who watches over the writing of a chain.

    ``on_progress`` is called after each batch; ``stands`` is told the file and row behind which recordings
    are read on, ``begin`` the rows that are worked on next; ``is_stopped`` is asked after each commit,
    ``check_place`` before it whether the dataset is still where it was. ``take`` gives the steps of a
    recording in place of its file; ``pressure`` can be asked for its rungs.
    """

    on_progress: Callable[[Progress], None] = lambda _: None
    stands: Callable[[int, int], None] = lambda *_: None
    begin: Begin = lambda *_: None
    is_stopped: Callable[[], bool] = lambda: False
    check_place: Callable[[], None] = lambda: None
    take: Take | None = None
    pressure: Pressure | None = None
