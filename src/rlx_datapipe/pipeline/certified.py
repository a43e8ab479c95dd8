"""Sources that lie in a staging folder are read only when they are ready, and certified to the byte."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rlx_datapipe.acquisition.staged import Zone, is_staging, read_standings
from rlx_datapipe.core.errors import DatasetError, SourceError
from rlx_datapipe.store.certificate import Certificate, certificate_paths, read_certificate
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import SourceFile, read_manifest

_CERTIFY = "Run rlx acquire certify --staging {root}, or go without by --uncertified"


def admitted(paths: Iterable[Path]) -> list[Path]:
    """The same paths, a staging folder as its zone ``ready``.

    Raises
    ------
    SourceError
        For a path in any other zone of one.
    """
    taken = []
    for path in paths:
        root = staging_of(path)
        if root is None:
            taken.append(path)
        elif path.resolve() == root:
            taken.append(path / Zone.READY)
        elif not path.resolve().is_relative_to(root / Zone.READY):
            raise SourceError(
                "is not ready: nothing is read from this part of a staging folder",
                file=readable(str(path)),
                expected=f"a source in {root / Zone.READY}",
                remedy=f"Run rlx acquire validate --staging {root} first",
            )
        else:
            taken.append(path)
    return taken


def staging_of(path: Path) -> Path | None:
    """The staging folder that a path lies in, resolved; None if in none."""
    resolved = path.resolve()
    return next((folder for folder in (resolved, *resolved.parents) if is_staging(folder)), None)


def vouchers_of(files: Iterable[Path], *, uncertified: bool) -> dict[str, Any]:
    """What the head of a dataset says of its sources: ``certificates`` that cover them, or ``uncertified``.

    One certificate for each staging folder among their homes; of files outside nothing is said.

    Raises
    ------
    SourceError
        When a file is not ready by the manifest of its staging folder, or no certificate covers it.
    DatasetError
        When a manifest or certificate is damaged.
    """
    digests = []
    homes = _by_staging(files)
    for root, paths in homes.items():
        _require_ready(root, paths)
        if uncertified:
            continue
        for path in reversed(certificate_paths(root)):
            certificate = read_certificate(path)
            known = {file.path for file in certificate.files}
            if all(_below_ready(root, one) in known for one in paths):
                digests.append(certificate.digest())
                break
        else:
            raise SourceError(
                "is not covered by a certificate",
                file=readable(str(paths[0])),
                remedy=_CERTIFY.format(root=root),
            )
    if not homes:
        return {}
    return {"uncertified": True} if uncertified else {"certificates": sorted(digests)}


def vouched(paths: Sequence[Path], pinned: Sequence[SourceFile], dataset: Path) -> dict[str, Any]:
    """What the commit of a chain says of its certificates; empty where no file lies in a staging folder.

    Parameters
    ----------
    paths, pinned
        The files of the chain, and what they were found to be by those who read them.
    dataset
        The dataset, which names the certificates that it was begun with.

    Raises
    ------
    SourceError
        When a file is not the bytes that were certified.
    """
    homes = _by_staging(paths)
    if not homes:
        return {}
    manifest = read_manifest(dataset)
    if manifest.uncertified:
        return {"certificates": [], "uncertified": True}
    found = dict(zip(paths, pinned, strict=False))
    digests = []
    for root, own in homes.items():
        certificate = _named(root, manifest.certificates)
        certified = {file.path: file for file in certificate.files}
        for path in own:
            file = certified.get(_below_ready(root, path))
            if file is None or (file.size_bytes, file.sha256) != (
                found[path].size_bytes,
                found[path].sha256,
            ):
                raise SourceError(
                    "is not the bytes that were certified",
                    file=readable(str(path)),
                    found=f"SHA-256 {found[path].sha256}",
                    expected=file.sha256 if file else "a file that the certificate names",
                    remedy=f"Run rlx acquire certify --staging {root}: it puts changed files aside",
                )
        digests.append(certificate.digest())
    return {"certificates": sorted(digests)}


def _named(root: Path, digests: Sequence[str]) -> Certificate:
    """The certificate of a staging folder that the dataset names."""
    for path in reversed(certificate_paths(root)):
        certificate = read_certificate(path)
        if certificate.digest() in digests:
            return certificate
    raise DatasetError(
        "the certificate that the dataset was begun with is not there",
        file=root,
        expected=", ".join(digests) or "one that the dataset names",
        remedy="Put it back, or reconstruct in a new folder",
    )


def _require_ready(root: Path, paths: Sequence[Path]) -> None:
    ready = {
        standing.key.path.as_posix()
        for standing in read_standings(root).values()
        if standing.zone is Zone.READY
    }
    for path in paths:
        if _below_ready(root, path) not in ready:
            raise SourceError(
                "is not ready by the manifest of its staging folder",
                file=readable(str(path)),
                remedy=f"Run rlx acquire validate --staging {root} first",
            )


def _below_ready(root: Path, path: Path) -> str:
    resolved, ready = path.resolve(), root / Zone.READY
    return resolved.relative_to(ready).as_posix() if resolved.is_relative_to(ready) else str(resolved)


def _by_staging(files: Iterable[Path]) -> dict[Path, list[Path]]:
    homes: dict[Path, list[Path]] = defaultdict(list)
    for path in files:
        root = staging_of(path)
        if root is not None:
            homes[root].append(path)
    return dict(homes)
