"""The program that examines files of strangers: bounded in memory and time, killed without harm to others."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from rlx_datapipe.acquisition.cross import Crossed, cross_check
from rlx_datapipe.acquisition.examined import Examined, Subject
from rlx_datapipe.acquisition.integrity import IntegrityValidator
from rlx_datapipe.core.paths import path_as_text, text_as_path
from rlx_datapipe.pipeline.child import die_with

_STATM = Path("/proc/self/statm")


class Examine(msgspec.Struct, frozen=True, tag=True):
    """Examine one file."""

    subject: Subject


class Cross(msgspec.Struct, frozen=True, tag=True):
    """Hold the tables of one market and day against each other; paths by table."""

    files: dict[str, tuple[Path, ...]]


class Bounds(msgspec.Struct, frozen=True):
    """What one file may take: memory beyond what the program itself holds, processor time, and silence."""

    memory_mb: int = 2_048
    cpu_s: int = 3_600
    silence_s: float = 120.0


class Errand(msgspec.Struct, frozen=True):
    """One piece of work and its bounds."""

    work: Examine | Cross
    bounds: Bounds


class Went(msgspec.Struct, frozen=True, tag=True):
    """It goes on: bytes of the file done."""

    bytes_done: int


class Found(msgspec.Struct, frozen=True, tag=True):
    """What came of it."""

    result: Examined | None = None
    crossed: Crossed | None = None


def encode(message: Errand | Went | Found) -> bytes:
    """One line."""
    return msgspec.json.encode(message, enc_hook=path_as_text) + b"\n"


def decode_errand(line: bytes) -> Errand:
    """What is to be done."""
    return msgspec.json.decode(line, type=Errand, dec_hook=text_as_path)


def decode_told(line: bytes) -> Went | Found:
    """What the program told."""
    told: Went | Found = msgspec.json.decode(line, type=Went | Found, dec_hook=text_as_path)
    return told


def main() -> None:
    """Work on the lines of the standard input until it ends; arguments: our pipe, none, the parent."""
    telling, _, parent = (int(argument) for argument in sys.argv[-3:])
    die_with(parent)

    def tell(message: Went | Found) -> None:
        line = encode(message)
        while line:
            line = line[os.write(telling, line) :]

    for line in sys.stdin.buffer:
        errand = decode_errand(line)
        _bound(errand.bounds)
        tell(_done(errand, lambda count: tell(Went(count))))


def _done(errand: Errand, on_bytes: Callable[[int], None]) -> Found:
    if isinstance(errand.work, Cross):
        return Found(crossed=cross_check(dict(errand.work.files), on_bytes))
    return Found(result=IntegrityValidator(on_bytes).examine(errand.work.subject))


def _bound(bounds: Bounds) -> None:
    """Let the system hold this process to its bounds; where it knows no such bound, time still is one."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime) + 1 + bounds.cpu_s
    for kind, limit in ((resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, _address_space(bounds.memory_mb))):
        with suppress(OSError, ValueError):
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (limit if hard < 0 else min(limit, hard), hard))


def _address_space(memory_mb: int) -> int:
    """Bytes of addresses: those of the program as it is, and what the file may take."""
    try:
        held = int(_STATM.read_bytes().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        held = 4 << 30
    return held + (memory_mb << 20)


if __name__ == "__main__":
    main()
