"""Readiness certificates: what of an archive is whole, checked and fit for use, signed by its digest."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.store.files import publish_bytes

FORMAT_VERSION = 1
FOLDER = "certificates"
_NAME = re.compile(r"certificate-(\d{6})\.json")


class CertifiedFile(msgspec.Struct, frozen=True, order=True):
    """One file, by its path below ``ready``: its bytes, its rows, and what was said of it short of a gate."""

    path: str
    table: str
    size_bytes: int
    sha256: str
    rows: int
    first_time: int | None
    last_time: int | None
    remarks: tuple[str, ...] = ()


class Gap(msgspec.Struct, frozen=True, order=True):
    """Something that is not there: a day, part of one, minutes, ids. ``date`` is an ISO day."""

    exchange: str
    symbol: str
    table: str
    date: str
    kind: str
    detail: str


class Certificate(msgspec.Struct, frozen=True):
    """What is certified: the same files with the same findings make the same one, whenever it is made.

    Attributes
    ----------
    writer
        Program and version that checked.
    checks
        What every file has passed.
    files
        By path; the certificate speaks of no others.
    gaps
        What is known to be missing. What is not named here may still be missing where nothing tells it.
    totals
        ``files``, ``bytes``, ``rows``.
    """

    writer: str
    checks: tuple[str, ...]
    files: tuple[CertifiedFile, ...]
    gaps: tuple[Gap, ...]
    totals: dict[str, int]
    format_version: int = FORMAT_VERSION

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hex: the signature."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class _Signed(msgspec.Struct, frozen=True):
    certificate: Certificate
    sha256: str


def publish_certificate(root: Path, certificate: Certificate) -> tuple[Path, bool]:
    """Write a certificate beside ``ready``; its path, and whether it is new: the newest is not written twice.

    Earlier ones stay, for datasets name them.

    Raises
    ------
    OutputError
        When it can't be written.
    DatasetError
        When the one before it is damaged.
    """
    paths = certificate_paths(root)
    if paths and read_certificate(paths[-1]) == certificate:
        return paths[-1], False
    number = int(_number(paths[-1])) + 1 if paths else 1
    path = root / FOLDER / f"certificate-{number:06d}.json"
    content = msgspec.json.encode(_Signed(certificate, certificate.digest()), order="sorted")
    publish_bytes(path, msgspec.json.format(content, indent=2) + b"\n")
    return path, True


def certificate_paths(root: Path) -> list[Path]:
    """The certificates of a staging folder, oldest first."""
    return sorted(path for path in (root / FOLDER).glob("certificate-*.json") if _NAME.fullmatch(path.name))


def read_certificate(path: Path) -> Certificate:
    """A certificate whose signature holds.

    Raises
    ------
    DatasetError
        When it can't be read, or is not what was signed.
    """
    remedy = "Restore it from a copy, or remove it and certify again by rlx acquire certify"
    try:
        signed = msgspec.json.decode(path.read_bytes(), type=_Signed)
    except (OSError, msgspec.MsgspecError) as error:
        raise DatasetError("is no certificate", file=path, found=str(error), remedy=remedy) from error
    if signed.certificate.digest() != signed.sha256:
        raise DatasetError("is not the certificate that was signed", file=path, remedy=remedy)
    return signed.certificate


def told(certificate: Certificate) -> dict[str, Any]:
    """A certificate as a dictionary for JSON, with its digest."""
    return {**msgspec.to_builtins(certificate), "sha256": certificate.digest()}


def _number(path: Path) -> str:
    match = _NAME.fullmatch(path.name)
    assert match is not None  # noqa: S101 (listed by that name)
    return match[1]
