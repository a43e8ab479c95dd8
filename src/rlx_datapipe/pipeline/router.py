"""SymbolRouter: one pass over a recording of several symbols feeds one worker for each."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from multiprocessing.connection import Connection

import msgspec
import numpy as np

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.feed import AHEAD_BYTES, Frames, Reject
from rlx_datapipe.ingestion.line_kernel import pack_spans
from rlx_datapipe.ingestion.mixed import Taken
from rlx_datapipe.ingestion.recordings import take_recording, take_shares
from rlx_datapipe.ingestion.source import Source

_POLL_S = 0.1
_PIECES = 4
"""Pieces that a full queue holds; messages travel some at a time."""
_GONE = (BrokenPipeError, ConnectionResetError, EOFError, OSError)


class _Messages(msgspec.Struct, tag=True, array_like=True):
    """Rows, receive times and lengths as int64 of this machine, and the payloads one behind the other."""

    columns: bytes
    payloads: bytes


class _StepEnds(msgspec.Struct, tag=True, array_like=True):
    rejects: list[Reject]
    row: int
    consumed: int
    elsewhere: int


class _FileEnds(msgspec.Struct, tag=True, array_like=True):
    file: int


_Item = _Messages | _StepEnds | _FileEnds
_ITEM = msgspec.msgpack.Decoder(_Item)


class Fed:
    """The worker's end: the steps of a recording as they come from the router.

    Where the router leaves off, whatever the cause, the rest is read from the file: the steps are the same.
    """

    def __init__(self, connection: Connection, source: Source, settings: Settings) -> None:
        self._connection = connection
        self._alone = partial(take_recording, source, settings)
        self._is_cut = False

    def __call__(self, number: int, start_row: int) -> Iterator[Taken]:
        """The steps of one recording behind a row."""
        row = start_row
        while (taken := self._receive()) is not None:
            row = taken.row
            yield taken
        if self._is_cut:
            yield from self._alone(number, row)

    def _receive(self) -> Taken | None:
        pieces: list[_Messages] = []
        while not self._is_cut:
            try:
                item: _Item = _ITEM.decode(self._connection.recv_bytes())
            except _GONE:
                self._is_cut = True
                break
            if isinstance(item, _FileEnds):
                return None
            if isinstance(item, _StepEnds):
                return Taken(_joined(pieces), item.rejects, item.row, item.consumed, item.elsewhere)
            pieces.append(item)
        return None


def _packed(frames: Frames) -> _Messages:
    lengths = frames.stops - frames.starts
    packed = np.empty(int(lengths.sum()), dtype=np.uint8)
    pack_spans(frames.data, frames.starts, frames.stops, packed)
    return _Messages(np.stack([frames.rows, frames.received, lengths]).tobytes(), packed.tobytes())


def _joined(pieces: list[_Messages]) -> Frames:
    """The frames of one step, in one block again."""
    columns = [np.frombuffer(bytearray(piece.columns), dtype=np.int64).reshape(3, -1) for piece in pieces]
    rows, received, lengths = np.concatenate([*columns, np.zeros((3, 0), dtype=np.int64)], axis=1)
    stops = np.cumsum(lengths)
    blocks = [*(piece.payloads for piece in pieces), bytes(AHEAD_BYTES)]
    data = np.frombuffer(bytearray().join(blocks), dtype=np.uint8)
    return Frames(data, rows, received, stops - lengths, stops)


class Lane:
    """The router's end: a bounded queue of messages for one worker, and a thread that empties it.

    Parameters
    ----------
    descriptor
        Where to write; closed when the lane ends.
    queue_messages
        Messages that may wait here at most.
    """

    def __init__(self, descriptor: int, queue_messages: int) -> None:
        self._connection = Connection(descriptor, readable=False)
        self._piece = max(1, queue_messages // _PIECES)
        self._waiting: queue.Queue[bytes | None] = queue.Queue(max(1, queue_messages // self._piece))
        self._left = threading.Event()
        self._start = (0, 0)
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    @property
    def has_left(self) -> bool:
        """Whether nothing is sent any more."""
        return self._left.is_set()

    def begin(self, file: int, row: int) -> None:
        """The worker has all up to this row of this file already."""
        self._start = file, row

    def step(self, number: int, taken: Taken, patience_s: float) -> None:
        """Hand over one step; a worker that takes none of it for too long is left to read by itself."""
        if (number, taken.row) <= self._start:
            return
        frames = taken.frames
        for at in range(0, len(frames), self._piece):
            self._put(_packed(frames.take(slice(at, at + self._piece))), patience_s)
        self._put(_StepEnds(taken.rejects, taken.row, taken.consumed, taken.elsewhere), patience_s)

    def file_ends(self, number: int, patience_s: float) -> None:
        """Tell that a file has no more."""
        if number >= self._start[0]:
            self._put(_FileEnds(number), patience_s)

    def leave(self) -> None:
        """Send nothing any more."""
        self._left.set()

    def close(self, patience_s: float) -> None:
        """Wait until all was sent, then close the pipe."""
        self._put(None, patience_s)
        self._thread.join(patience_s)

    def _put(self, item: _Item | None, patience_s: float) -> None:
        if self._left.is_set():
            return
        try:
            self._waiting.put(msgspec.msgpack.encode(item) if item is not None else None, timeout=patience_s)
        except queue.Full:
            self.leave()

    def _send(self) -> None:
        with self._connection:
            while not self._left.is_set():
                try:
                    item = self._waiting.get(timeout=_POLL_S)
                    if item is None:
                        break
                    self._connection.send_bytes(item)
                except queue.Empty:
                    continue
                except _GONE:
                    break
        self._left.set()


class SymbolRouter:
    """Reads the recordings of several chains once and gives each chain its share, step by step.

    A worker that stops taking is left behind, so that no symbol waits for another's fault; it goes on by
    itself. The router holds one step, and `Settings.queue_messages` for each worker.

    Parameters
    ----------
    sources
        Chains of the very same recordings.
    settings
        Step size, length of the queues, patience.
    descriptors
        Where each chain's worker listens, by symbol.
    """

    def __init__(self, sources: list[Source], settings: Settings, descriptors: Mapping[str, int]) -> None:
        self._source, self._settings = sources[0], settings
        self._patience_s = settings.patience_ms / 1000
        self.lanes = {name: Lane(pipe, settings.queue_messages) for name, pipe in descriptors.items()}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._starts: dict[str, tuple[int, int]] = {}
        self._all_stand = threading.Event()

    def stands(self, symbol: str, file: int, row: int) -> None:
        """A worker goes on from here; once all have said so, or one has waited enough, reading begins."""
        self.lanes[symbol].begin(file, row)
        self._starts[symbol] = file, row
        self._begin_if_known()

    def leave(self, symbol: str) -> None:
        """A worker is gone, or needs nothing."""
        self.lanes[symbol].leave()
        self._starts.pop(symbol, None)
        self._begin_if_known()

    def stop(self) -> None:
        """End the pass and close all pipes."""
        self._stopped.set()
        self._all_stand.set()
        for lane in self.lanes.values():
            lane.leave()
        if self._thread.is_alive():
            self._thread.join()

    def _begin_if_known(self) -> None:
        waited_for = {name for name, lane in self.lanes.items() if not lane.has_left}
        if waited_for <= self._starts.keys():
            self._all_stand.set()
        if self._starts and self._thread.ident is None:
            self._thread.start()

    def _run(self) -> None:
        # From the first that stands on, the others are waited for no longer than any.
        self._all_stand.wait(self._patience_s)
        starts = dict(self._starts)
        for name, lane in self.lanes.items():
            if name not in starts:
                lane.leave()
        try:
            if starts:
                self._feed(*min(starts.values()))
        except SourceError:
            # Left to read by themselves, the workers will find and tell the same.
            for lane in self.lanes.values():
                lane.leave()
        for lane in self.lanes.values():
            lane.close(self._patience_s)

    def _feed(self, start_file: int, start_row: int) -> None:
        for number in range(start_file, len(self._source.files)):
            behind = start_row if number == start_file else 0
            for shares in take_shares(self._source, self._settings, number, behind):
                for name, lane in self.lanes.items():
                    lane.step(number, shares[name], self._patience_s)
                if self._stopped.is_set() or all(lane.has_left for lane in self.lanes.values()):
                    return
            for lane in self.lanes.values():
                lane.file_ends(number, self._patience_s)


def share_evenly(rates: Mapping[str, float], size_max: int) -> list[list[str]]:
    """Names in as few groups as hold them, of about the same rate: the heaviest first, to the lightest."""
    shared: list[list[str]] = [[] for _ in range(-(-len(rates) // size_max))]
    loads = [0.0] * len(shared)
    for name in sorted(rates, key=lambda name: (-rates[name], name)):
        open_groups = [number for number, group in enumerate(shared) if len(group) < size_max]
        lightest = min(open_groups, key=loads.__getitem__)
        shared[lightest].append(name)
        loads[lightest] += rates[name]
    return shared
