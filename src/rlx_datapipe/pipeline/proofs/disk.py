"""A disk as POSIX promises it: what of a folder is durable at a moment, and what a power cut then may leave.

A sync of a file makes its content durable, not its name; a sync of a folder the names in it, not their
contents. Everything else may be there or not after a power cut, each change by itself.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

ROOT = 0
Names = dict[str, int]
HOWS = ("dropped", "torn", "zeroed", "emptied")
"""The extremes: nothing that was not synced; all names, but the contents torn, zeros, or missing."""


class Look(msgspec.Struct, frozen=True):
    """What a process sees: the names in each folder, the content of each file (its SHA-256); by node."""

    folders: dict[int, Names]
    contents: dict[int, str]


@dataclass
class Disk:
    """What is durable, and which nodes each name of a folder had since the folder was last synced."""

    contents: dict[int, str] = field(default_factory=dict)
    names: dict[int, Names] = field(default_factory=dict)
    seen: dict[int, dict[str, list[int | None]]] = field(default_factory=dict)

    def look(self, look: Look) -> None:
        """Take note of the names that are there now."""
        for folder, names in look.folders.items():
            seen = self.seen.setdefault(folder, {})
            for name in names.keys() | seen.keys() | self.names.get(folder, {}).keys():
                nodes = seen.setdefault(name, [self.names.get(folder, {}).get(name)])
                if names.get(name) not in nodes:
                    nodes.append(names.get(name))

    def sync(self, node: int, look: Look) -> None:
        """Make durable what a node holds."""
        if node in look.folders:
            self.names[node] = dict(look.folders[node])
            self.seen[node] = {}
        elif node in look.contents:
            self.contents[node] = look.contents[node]

    def copied(self) -> Disk:
        """A disk of its own."""
        return copy.deepcopy(self)


class Remnant(msgspec.Struct, frozen=True, order=True):
    """What is left of a file: so many first bytes of one content, then zeros up to a size."""

    content: str
    kept: int
    size: int


State = dict[str, tuple[int, Remnant | None]]
"""Path to node and what is left of it, None for a folder; parents come before what is in them."""


def left_over(
    disk: Disk, look: Look, how: str, dice: np.random.Generator, size_of: Callable[[str], int]
) -> State:
    """What a power cut leaves of what a process sees, in one of `HOWS`, or by dice for any other word."""
    state: State = {}
    remnants: dict[int, Remnant] = {}

    def walk(folder: int, path: str) -> None:
        now, durable = look.folders.get(folder, {}), disk.names.get(folder, {})
        seen = disk.seen.get(folder, {})
        for name in sorted(now.keys() | durable.keys() | seen.keys()):
            choices = seen.get(name, [durable.get(name)])
            node = _named(choices, durable.get(name), now.get(name), how, dice)
            if node is None:
                continue
            if node in look.folders or node in disk.names:
                state[f"{path}{name}"] = (node, None)
                walk(node, f"{path}{name}/")
            else:
                if node not in remnants:
                    remnants[node] = _remnant(
                        disk.contents.get(node), look.contents.get(node), how, dice, size_of
                    )
                state[f"{path}{name}"] = (node, remnants[node])

    walk(ROOT, "")
    return state


def _named(
    choices: list[int | None], durable: int | None, now: int | None, how: str, dice: np.random.Generator
) -> int | None:
    if how == "dropped":
        return durable
    if how in HOWS:
        return now
    return choices[int(dice.integers(len(choices)))]


def _remnant(
    durable: str | None, now: str | None, how: str, dice: np.random.Generator, size_of: Callable[[str], int]
) -> Remnant:
    before = Remnant(durable, size_of(durable), size_of(durable)) if durable else Remnant("", 0, 0)
    if now is None or now == durable:
        return before
    size, kept = size_of(now), before.size
    # Files only grow or are cut: what was synced is the head of what is there, or the other way round.
    torn = min(kept, size) + int(dice.integers(max(size - kept, 1)))
    match how:
        case "torn":
            return Remnant(now, torn, torn)
        case "zeroed":
            return Remnant(now, min(kept, size), size)
        case "dropped" | "emptied":
            return before
    remnants = (before, Remnant(now, torn, torn), Remnant(now, torn, size), Remnant(now, size, size))
    return remnants[int(dice.integers(len(remnants)))]


def build(state: State, root: Path, content_of: Callable[[str], bytes]) -> None:
    """Make a folder that holds just this state; names of one node are links of one file."""
    first: dict[int, Path] = {}
    root.mkdir(parents=True)
    for name, (node, remnant) in state.items():
        path = root / name
        if remnant is None:
            path.mkdir()
        elif node in first:
            os.link(first[node], path)
        else:
            content = content_of(remnant.content)[: remnant.kept] if remnant.content else b""
            path.write_bytes(content + bytes(remnant.size - len(content)))
            first[node] = path
