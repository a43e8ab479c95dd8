"""Stretches of input that a chain passes over by policy, kept so that every later run does, too."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.skip import Skip
from rlx_datapipe.store.files import publish_bytes
from rlx_datapipe.store.layout import slug

_NAME = re.compile(r"skip-[0-9]{6}\.json")


def add_skip(dataset: Path, exchange: str, symbol: str, skip: Skip) -> None:
    """Record one more stretch of a chain; errors as `publish_bytes`."""
    folder = _folder(dataset, exchange, symbol)
    number = len(_files(folder))
    publish_bytes(folder / f"skip-{number:06d}.json", msgspec.json.encode(skip) + b"\n")


def read_skips(dataset: Path, exchange: str, symbol: str) -> tuple[Skip, ...]:
    """All stretches of a chain in the order in which they were recorded.

    Raises
    ------
    DatasetError
        When a record can't be read.
    """
    skips = []
    for path in _files(_folder(dataset, exchange, symbol)):
        try:
            skips.append(msgspec.json.decode(path.read_bytes(), type=Skip))
        except (OSError, msgspec.MsgspecError) as error:
            raise DatasetError(
                f"can't be read ({error})", file=path, remedy="Restore it, or reconstruct in a new folder"
            ) from error
    return tuple(skips)


def _folder(dataset: Path, exchange: str, symbol: str) -> Path:
    return dataset / "skipped" / slug(exchange) / slug(symbol)


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("skip-*.json")) if _NAME.fullmatch(path.name)]
