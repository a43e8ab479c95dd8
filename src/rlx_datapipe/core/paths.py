"""Paths in JSON: they are bytes, which may be no text, so each byte becomes one character."""

from __future__ import annotations

import os
from pathlib import Path


def path_as_text(value: object) -> str:
    """A path as text, for encoders; `NotImplementedError` for anything else."""
    if isinstance(value, Path):
        return os.fsencode(value).decode("latin-1")
    raise NotImplementedError(type(value))


def text_as_path(kind: type, value: object) -> Path:
    """The path again, for decoders; `NotImplementedError` for anything else."""
    if kind is Path and isinstance(value, str):
        return Path(os.fsdecode(value.encode("latin-1")))
    raise NotImplementedError(kind)
