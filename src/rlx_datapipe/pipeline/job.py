"""What the manager tells a worker, and what a worker tells the manager: one JSON object a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core import errors
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.core.paths import path_as_text, text_as_path
from rlx_datapipe.ingestion.source import Source


class Job(msgspec.Struct, frozen=True):
    """One chain to be written, or to be gone on with, by one process."""

    source: Source
    dataset: Path
    settings: Settings


class Stands(msgspec.Struct, frozen=True, tag=True):
    """Where the input is read from: behind a row of a file."""

    file: int
    row: int


class Begins(msgspec.Struct, frozen=True, tag=True):
    """The rows of a file that are worked on next."""

    file: int
    from_row: int
    to_row: int


class Went(msgspec.Struct, frozen=True, tag=True):
    """How far the chain has come; ``epochs`` are those committed."""

    bytes_done: int
    events: int
    epochs: int


class Done(msgspec.Struct, frozen=True, tag=True):
    """The chain is complete: its summary, and the digest of each table's rows."""

    summary: dict[str, Any]
    digests: dict[str, str]


class Halted(msgspec.Struct, frozen=True, tag=True):
    """The worker was asked to stop, and has committed what it could."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The chain can't be finished for a reason that no other try would change."""

    kind: str
    what: str
    remedy: str
    facts: dict[str, Any]

    @classmethod
    def by(cls, error: DatapipeError) -> Failed:
        """What an error says."""
        facts = {name: value if isinstance(value, int) else str(value) for name, value in error.facts.items()}
        return cls(type(error).__name__, error.what, error.remedy, facts)

    def error(self) -> DatapipeError:
        """The error again."""
        kind: type[DatapipeError] = getattr(errors, self.kind, DatapipeError)
        return kind(self.what, remedy=self.remedy, **self.facts)


Told = Stands | Begins | Went | Done | Halted | Failed

_TOLD = msgspec.json.Decoder(Told)


def encode(message: Job | Told) -> bytes:
    """One line."""
    return msgspec.json.encode(message, enc_hook=path_as_text) + b"\n"


def decode_told(line: bytes) -> Told:
    """What a worker told."""
    told: Told = _TOLD.decode(line)
    return told


def decode_job(line: bytes) -> Job:
    """What a worker is to do."""
    return msgspec.json.decode(line, type=Job, dec_hook=text_as_path)
