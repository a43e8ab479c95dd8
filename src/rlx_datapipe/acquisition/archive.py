"""What can be asked of an archive, by whatever door; and where one is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from rlx_datapipe.core.errors import OptionError


class ArchiveObject(msgspec.Struct, frozen=True):
    """One object of an archive: its path below the root, its size, and the store's tag of its content.

    ``size_bytes`` is -1 and ``etag`` empty where only an index told of it.
    """

    path: str
    size_bytes: int
    etag: str


class Address(msgspec.Struct, frozen=True):
    """Where an archive is; ``bucket`` is empty for a local folder, of which ``prefix`` is the path."""

    url: str
    bucket: str
    prefix: str

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return not self.bucket


class Archive(Protocol):
    """What can be asked of an archive, by whatever door."""

    @property
    def address(self) -> Address:
        """Where it is."""

    def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders right below a prefix."""

    def listed(self, prefix: str = "", after: str = "") -> Iterator[ArchiveObject]:
        """All objects below a prefix whose paths come after one."""

    def head(self, path: str) -> ArchiveObject:
        """What is known of one object."""

    def read(self, path: str, start: int, end: int, etag: str = "") -> Iterator[bytes]:
        """Bytes ``start`` to ``end`` (excluded) in pieces, of the object with this tag alone."""

    def below(self, folder: str) -> Archive:
        """The same archive with its root in a folder of it."""


def parse_address(url: str) -> Address:
    """Where a URL, or a plain path, leads.

    Raises
    ------
    OptionError
        For a scheme that is neither ``s3`` nor ``file``, or without a bucket.
    """
    parts = urlsplit(url)
    if parts.scheme in ("s3", "s3a"):
        if not parts.netloc or "@" in parts.netloc:
            raise OptionError(
                "is no address of a bucket", file=parts.scheme + "://", expected="s3://BUCKET/PREFIX"
            )
        prefix = parts.path.strip("/")
        return Address(f"s3://{parts.netloc}/{prefix}".rstrip("/"), parts.netloc, prefix)
    if parts.scheme == "file":
        return Address(url, "", unquote(parts.path))
    if "://" in url:
        raise OptionError(
            "is no kind of archive that can be read",
            file=f"{parts.scheme}://{parts.hostname or ''}",
            expected="s3://BUCKET/PREFIX, file:///FOLDER or a folder",
            remedy="Name a server of your own by --endpoint",
        )
    return Address(str(Path(url).expanduser()), "", str(Path(url).expanduser().absolute()))
