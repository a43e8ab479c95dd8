"""Look at a folder at every sync and every named point of a run: the film that power cuts are cut from."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import msgspec

from rlx_datapipe.core.crash import watch
from rlx_datapipe.pipeline.proofs.disk import ROOT, Look

ACKNOWLEDGED = "epoch committed"


class Step(msgspec.Struct, frozen=True):
    """One moment of a run: a sync of a ``node``, or a named point (None); what was acknowledged before."""

    name: str
    node: int | None
    look: Look
    acknowledged: int


class Observer:
    """Watches what this process does below a folder; contents are kept once, in ``store``.

    ``nodes`` gives the numbers of nodes that are known already, by path.
    """

    def __init__(
        self, root: Path, store: Path, nodes: dict[str, int] | None = None, acknowledged: int = 0
    ) -> None:
        self._root, self._store, self._acknowledged = root, store, acknowledged
        self.steps: list[Step] = []
        self._known = {"": ROOT, **(nodes or {})}
        self._next = max(self._known.values()) + 1
        self._nodes: dict[int, int] = {}
        self._held: list[int] = []
        self._contents: dict[int, tuple[tuple[int, int, int], str]] = {}
        store.mkdir(exist_ok=True)
        self._fsync = os.fsync
        self._look()
        self._known = {}

    def install(self) -> None:
        """Be called at every sync and every point from now on, until the process ends."""
        os.fsync = self._synced  # type: ignore[assignment]
        watch(self._passed)

    def _passed(self, point: str) -> None:
        self._acknowledged += point == ACKNOWLEDGED
        self.steps.append(Step(point, None, self._look(), self._acknowledged))

    def _synced(self, handle: int) -> None:
        look = self._look()
        # A file that has no name any more, or lies elsewhere, is none of ours.
        node = self._nodes.get(os.fstat(handle).st_ino)
        if node is not None:
            self.steps.append(
                Step(f"sync of {Path(f'/proc/self/fd/{handle}').readlink()}", node, look, self._acknowledged)
            )
        self._fsync(handle)

    def _look(self) -> Look:
        folders: dict[int, dict[str, int]] = {}
        contents: dict[int, str] = {}
        self._walk(self._root, "", folders, contents)
        return Look(folders, contents)

    def _walk(
        self, path: Path, name: str, folders: dict[int, dict[str, int]], contents: dict[int, str]
    ) -> int:
        status = path.stat()
        node = self._node(path, status.st_ino, name)
        if stat.S_ISDIR(status.st_mode):
            folders[node] = {
                entry.name: self._walk(Path(entry.path), f"{name}{entry.name}", folders, contents)
                if not entry.is_dir()
                else self._walk(Path(entry.path), f"{name}{entry.name}/", folders, contents)
                for entry in sorted(os.scandir(path), key=lambda entry: entry.name)
                if entry.name != ".lock"
            }
        else:
            contents[node] = self._content(
                path, node, (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            )
        return node

    def _node(self, path: Path, inode: int, name: str) -> int:
        if inode not in self._nodes:
            known = self._known.get(name.rstrip("/"))
            if known is None:
                known, self._next = self._next, self._next + 1
            self._nodes[inode] = known
            # As long as it is open, no other file can be given its inode.
            self._held.append(os.open(path, os.O_RDONLY))
        return self._nodes[inode]

    def _content(self, path: Path, node: int, version: tuple[int, int, int]) -> str:
        if node not in self._contents or self._contents[node][0] != version:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            if not (self._store / digest).exists():
                (self._store / digest).write_bytes(content)
            self._contents[node] = (version, digest)
        return self._contents[node][1]
