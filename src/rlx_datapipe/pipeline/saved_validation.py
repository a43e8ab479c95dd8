"""Where a validation has come to, in files beside its dataset, so that one that was killed can go on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rlx_datapipe.core.errors import DatasetError, OutputError
from rlx_datapipe.core.state import State
from rlx_datapipe.store.files import locked, publish_bytes
from rlx_datapipe.store.state_bytes import pack, unpack

SUFFIX = ".validation"
_STATE = ".state"
_PART = ".part"
_HEAD = "head"
AGAIN = "Begin anew: the same command without --resume"


class SavedValidation:
    """States of one validation: small ones, each of which replaces the one before, and parts that only grow.

    They lie in a folder beside the dataset, which is made with the first of them and removed in the end. A
    state is its SHA-256, then the states of all rules as `pack` writes them, of which one names the parts by
    theirs. Where the folder can't be written, or another validation holds it, nothing is saved.

    Parameters
    ----------
    dataset
        Folder of the dataset.
    identity
        All that the report depends on, by name: a state of anything else is refused.
    """

    def __init__(self, dataset: Path, identity: Mapping[str, str]) -> None:
        whole = dataset.absolute()
        self.folder = whole.with_name(whole.name + SUFFIX)
        self._identity = dict(identity)
        self._number = 0
        self._parts: list[tuple[str, str]] = []
        self._held = ExitStack()
        self._is_open = self._is_hopeless = False

    def resume(self) -> tuple[dict[str, State], dict[str, Any]] | None:
        """The last state that was saved and its head; None without one.

        Raises
        ------
        DatasetError
            When it is damaged, or of another dataset, golden capture or version.
        OutputError
            When another validation of the same dataset is running.
        """
        if not self._files():
            return None
        self._held.enter_context(locked(self.folder))
        self._is_open = True
        return self._load()

    def _can_save(self) -> bool:
        """Whether the folder is ours; what lies there from another time is removed."""
        if self._is_open or self._is_hopeless:
            return self._is_open
        try:
            self.folder.mkdir(exist_ok=True)
            self._held.enter_context(locked(self.folder))
            for path in self._files():
                path.unlink()
            self._is_open = True
        except (OSError, OutputError):
            self._is_hopeless = True
        return self._is_open

    def save(self, states: Mapping[str, State], head: dict[str, Any]) -> None:
        """Replace the state by this one."""
        if not self._can_save():
            return
        told = State({"identity": json.dumps(self._identity), "parts": json.dumps(self._parts), **head})
        content = pack({_HEAD: told, **states})
        digest = hashlib.sha256(content).hexdigest().encode()
        self._number += 1
        publish_bytes(self._path(self._number, _STATE), digest + b"\n" + content)
        kept = {self._path(self._number, _STATE).name, *(name for name, _ in self._parts)}
        for path in self._files():
            if path.name not in kept:
                path.unlink()

    def add_part(self, part: State) -> None:
        """Write a part; it counts with the next state that is saved."""
        if not self._can_save():
            return
        content = pack({"part": part})
        self._number += 1
        path = self._path(self._number, _PART)
        publish_bytes(path, content)
        self._parts.append((path.name, hashlib.sha256(content).hexdigest()))

    def drop_parts(self) -> None:
        """Forget the parts; they are removed with the next state that is saved."""
        self._parts = []

    def parts(self) -> list[State]:
        """All parts, in order.

        Raises
        ------
        DatasetError
            When one is not what was written.
        """
        found = []
        for name, digest in self._parts:
            path = self.folder / name
            try:
                content = path.read_bytes()
            except OSError as error:
                raise DatasetError(f"can't be read ({error.strerror})", file=path, remedy=AGAIN) from error
            if hashlib.sha256(content).hexdigest() != digest:
                raise DatasetError("is not what was saved", file=path, remedy=AGAIN)
            found.append(unpack(content)["part"])
        return found

    def _load(self) -> tuple[dict[str, State], dict[str, Any]] | None:
        states = sorted(path for path in self._files() if path.suffix == _STATE)
        if not states:
            return None
        path = states[-1]
        digest, _, content = path.read_bytes().partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != digest:
            raise DatasetError("is not the state that was saved", file=path, remedy=AGAIN)
        try:
            found = unpack(content)
        except ValueError as error:
            raise DatasetError(f"is no state of this release ({error})", file=path, remedy=AGAIN) from error
        head = found.pop(_HEAD).values
        identity = json.loads(str(head["identity"]))
        if other := [key for key in self._identity if identity.get(key) != self._identity[key]]:
            raise DatasetError(
                f"is the state of a validation with another {', '.join(other)}", file=path, remedy=AGAIN
            )
        self._parts = [(str(name), str(digest)) for name, digest in json.loads(str(head["parts"]))]
        self._number = max(int(path.stem) for path in self._files())
        return found, head

    def close(self, *, done: bool) -> None:
        """Let go of the folder; remove it when the validation is done."""
        if done and (self._files() or self._is_open) and self._can_save():
            shutil.rmtree(self.folder, ignore_errors=True)
        self._held.close()
        self._is_open = False

    def _path(self, number: int, suffix: str) -> Path:
        return self.folder / f"{number:010d}{suffix}"

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [
            path for path in self.folder.iterdir() if path.suffix in (_STATE, _PART) and path.stem.isdigit()
        ]
