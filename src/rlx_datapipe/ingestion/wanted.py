"""What a user wants of the paths that were given: format, exchange, symbols, scales, keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rlx_datapipe.core.config import Settings
from rlx_datapipe.ingestion.source import Decimals

Ignored = Callable[[Path], None]
"""Told of each file of a folder that is passed over."""


@dataclass(frozen=True)
class Wanted:
    """How sources are to be found.

    ``format`` is one of the formats, or ``auto``; ``exchange`` that of files that do not tell it, ``symbols``
    those that were named, in any spelling; ``key_file`` has the keys of captures that are encrypted.
    """

    settings: Settings
    format: str = "auto"
    exchange: str = ""
    symbols: tuple[str, ...] = ()
    decimals: Decimals = (None, None)
    key_file: Path | None = None
    on_ignored: Ignored = lambda _: None
