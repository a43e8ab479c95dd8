"""StagingManager: files of an archive in four zones, each change recorded before it is made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Self

import msgspec

from rlx_datapipe.acquisition.staged import (
    FORMAT_VERSION,
    HEAD,
    MANIFEST,
    ArchiveKey,
    Change,
    Standing,
    Transfer,
    Zone,
    applied,
    read_changes,
    read_head,
    standings_after,
)
from rlx_datapipe.core.crash import crash_point
from rlx_datapipe.core.errors import DatasetError, OutputError
from rlx_datapipe.core.finding import Finding
from rlx_datapipe.store.files import locked, make_folder, publish_bytes, sync, unwritable
from rlx_datapipe.store.linked_lines import LinkedLines

TOGETHER_MAX = 16
"""Most files that arrive together: so far back an opening looks for changes that are half made."""


class StagingManager:
    """The files of an archive in one folder, in zones ``raw``, ``validating``, ``ready``, ``quarantine``.

    A change is recorded in the manifest first and then made: the file gets its new name by a link that
    refuses to replace anything, then it loses the old one. Files may arrive together, which costs little more
    than one. Only the last change, or what arrived together, can be half made when a process dies, and `open`
    makes it whole. Nothing downstream reads from any zone but ``ready``. For one thread at a time.

    Parameters
    ----------
    root
        The folder; made when it is first opened.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.notices: list[str] = []
        """What a user should see of the last opening: files that are gone, one sentence each."""
        self._standings: dict[ArchiveKey, Standing] = {}
        self._lines: LinkedLines | None = None

    @contextmanager
    def open(self) -> Iterator[Self]:
        """Hold the folder against other writers, with the last change made whole.

        Raises
        ------
        OutputError
            When another process holds it, it can't be written, or it is something else.
        DatasetError
            When its manifest is damaged.
        """
        try:
            begin_staging(self.root)
        except OSError as error:
            raise unwritable(self.root, error) from error
        with locked(self.root):
            self._lines = LinkedLines(self.root / MANIFEST)
            try:
                changes = read_changes(self.root, self._lines.contents)
                self._standings = standings_after(changes)
                self._make_whole(changes)
                self._note_gone()
                yield self
            finally:
                self._lines.close()
                self._lines = None

    def place(self, zone: Zone, key: ArchiveKey) -> Path:
        """Path of a file in a zone, whether it is there or not."""
        return self.root / zone / key.path

    def partial(self, key: ArchiveKey) -> Path:
        """Path at which a download is put together; its folder is there."""
        whole = self.place(Zone.RAW, key)
        make_folder(whole.parent)
        return whole.with_name(f".{whole.name}.partial")

    def arrived(self, transfers: Mapping[ArchiveKey, Transfer]) -> None:
        """Publish finished downloads of `partial`, which are synced, in ``raw``; `TOGETHER_MAX` at most.

        Raises
        ------
        OutputError
            When a file is here already, or the system refuses to write.
        """
        assert len(transfers) <= TOGETHER_MAX  # noqa: S101 (`open` looks no further back)
        for key in transfers:
            if key in self._standings:
                found = self._standings[key].zone
                raise OutputError("is here already", file=key.path, found=found, remedy="Remove it first")
        self._commit(
            *(Change(kind="arrived", key=key, zone=Zone.RAW, transfer=one) for key, one in transfers.items())
        )

    def move(self, key: ArchiveKey, zone: Zone, findings: Sequence[Finding] = ()) -> None:
        """Move a file into another zone, and record what was found of it; errors as `arrived`."""
        standing = self._standing(key)
        if zone is standing.zone:
            raise OutputError("is in this zone already", file=key.path, found=zone)
        self._commit(Change(kind="moved", key=key, before=standing.zone, zone=zone, findings=tuple(findings)))

    def remove(self, key: ArchiveKey) -> None:
        """Delete a file, so that it may arrive anew; errors as `arrived`."""
        self._commit(Change(kind="removed", key=key, before=self._standing(key).zone))

    def standing(self, key: ArchiveKey) -> Standing | None:
        """How a file stands; None for one that is not here."""
        return self._standings.get(key)

    def all(self) -> list[Standing]:
        """How all files stand, by key."""
        return [self._standings[key] for key in sorted(self._standings)]

    def strangers(self) -> list[Path]:
        """Files in the zones of which the manifest knows nothing, without those that are hidden."""
        known = {self.place(standing.zone, standing.key) for standing in self.all()}
        there = (path for zone in Zone for path in (self.root / zone).rglob("*"))
        return sorted(
            path for path in there if path.is_file() and path not in known and not path.name.startswith(".")
        )

    @property
    def digest(self) -> str:
        """Digest of the manifest up to its last line."""
        assert self._lines is not None  # noqa: S101 (open)
        return self._lines.head

    def _standing(self, key: ArchiveKey) -> Standing:
        if (standing := self._standings.get(key)) is None:
            raise OutputError("is not in this staging folder", file=key.path, remedy="Download it first")
        return standing

    def _commit(self, *changes: Change) -> None:
        assert self._lines is not None  # noqa: S101 (open)
        for change in changes:
            self._require_free(change)
        # The name of what is about to be moved must be on the disk before anything is said of it.
        _sync_all({self._from(change).parent for change in changes})
        self._lines.append(*(msgspec.json.encode(change, order="sorted") for change in changes))
        for change in changes:
            self._standings = applied(self._standings, change)
        self._make(*changes)

    def _require_free(self, change: Change) -> None:
        """See that the file is there, and that nothing stands where it goes."""
        source = self._from(change)
        if not _is_plain(source):
            raise OutputError("is gone, or no plain file", file=source, remedy="Download it again")
        if change.zone is None:
            return
        target = self.place(change.zone, change.key)
        try:
            make_folder(target.parent)
        except OSError as error:
            raise unwritable(target, error) from error
        # A link among the folders would lead out of the zone.
        if target.parent.resolve() != (self.root.resolve() / change.zone / change.key.path).parent:
            raise OutputError("is reached by a link", file=target.parent, remedy="Put a plain folder there")
        if os.path.lexists(target):
            what = "a file of this name is there already, unknown to the manifest"
            raise OutputError(what, file=target, remedy="Move it out of the staging folder")

    def _from(self, change: Change) -> Path:
        return self.place(change.before, change.key) if change.before else self.partial(change.key)

    def _make(self, *changes: Change) -> None:
        """Make changes that are recorded; what of them is made already is made sure of."""
        moved = [(change, self._from(change)) for change in changes if change.kind != "gone"]
        if not moved:
            return
        _give_names({self.place(one.zone, one.key): source for one, source in moved if one.zone is not None})
        for _, source in moved:
            try:
                source.unlink(missing_ok=True)
            except OSError as error:
                raise unwritable(source, error) from error
        _sync_all({source.parent for _, source in moved if source.parent.is_dir()})
        crash_point("name taken")

    def _make_whole(self, changes: Sequence[Change]) -> None:
        """Make the last changes again: a process that died may not have come to their end."""
        latest = changes[-TOGETHER_MAX:]
        arrived = takewhile(lambda change: change.kind == "arrived", reversed(latest))
        self._make(*(list(arrived) or latest[-1:]))

    def _note_gone(self) -> None:
        """Record the files that somebody took away."""
        assert self._lines is not None  # noqa: S101 (open)
        self.notices = []
        for standing in self.all():
            path = self.place(standing.zone, standing.key)
            if not _is_plain(path):
                change = Change(kind="gone", key=standing.key, before=standing.zone)
                self._lines.append(msgspec.json.encode(change, order="sorted"))
                self._standings = applied(self._standings, change)
                self.notices.append(f"{path}: is gone; it can be downloaded again")


def _give_names(named: Mapping[Path, Path]) -> None:
    """Link files (the values) to their new places (the keys), which are on the disk then."""
    for target, source in named.items():
        try:
            make_folder(target.parent)
            if _is_plain(source):
                if not os.path.lexists(target):
                    os.link(source, target)
                elif not os.path.samestat(source.lstat(), target.lstat()):
                    raise OutputError("another file took this name meanwhile", file=target)
        except OSError as error:
            raise unwritable(target, error) from error
    _sync_all({target.parent for target in named})
    if named:
        crash_point("name given")


def _sync_all(folders: Iterable[Path]) -> None:
    """Put the names in folders on the disk."""
    for folder in sorted(folders):
        try:
            sync(folder)
        except OSError as error:
            raise unwritable(folder, error) from error


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def begin_staging(root: Path) -> None:
    """Make a staging folder, or see that it is one.

    Raises
    ------
    OutputError
        When the folder holds something else.
    DatasetError
        When another version made it.
    """
    make_folder(root)
    head = root / HEAD
    if not head.exists():
        if any(path.name[0] != "." for path in root.iterdir()):
            remedy = "Choose another folder for --staging"
            raise OutputError("is not empty and no staging folder", file=root, remedy=remedy)
        publish_bytes(head, b'{"format_version": %d}\n' % FORMAT_VERSION)
    elif read_head(root) != FORMAT_VERSION:
        raise DatasetError(
            "was made by another version", file=root, found=read_head(root), expected=FORMAT_VERSION
        )
    for zone in Zone:
        make_folder(root / zone)
