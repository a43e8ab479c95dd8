"""The manifest of a dataset: what it was made from, with which settings and scales."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError, OutputError, SourceError
from rlx_datapipe.core.instrument import Instrument, same_symbol
from rlx_datapipe.store.files import make_folder, publish_bytes, unwritable
from rlx_datapipe.store.layout import MANIFEST, place_problem, readable, slug

FORMAT_VERSION = 1


class SourceFile(msgspec.Struct, frozen=True):
    """One input file: its name, size and SHA-256."""

    name: str
    size_bytes: int
    sha256: str


class ChainManifest(msgspec.Struct, frozen=True):
    """One exchange and symbol: where it came from and how its numbers are scaled.

    ``summary`` is there once the chain was written to its end; a chain without it was interrupted.
    ``strategy`` is how its events got their book.
    """

    instrument: Instrument
    source_format: str
    files: tuple[SourceFile, ...]
    summary: dict[str, Any] = msgspec.field(default_factory=dict)
    strategy: str = "full"


class Manifest(msgspec.Struct, frozen=True):
    """All chains of one dataset and the settings that made them.

    ``certificates`` are the digests of those that cover its sources in staging folders; ``uncertified`` says
    that such sources were read without.
    """

    writer: str
    settings: Settings
    chains: tuple[ChainManifest, ...]
    planned: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    uncertified: bool = False
    format_version: int = FORMAT_VERSION

    @property
    def unfinished(self) -> list[str]:
        """Chains, as EXCHANGE/SYMBOL, that the run which made this dataset did not come to the end of."""
        finished = {f"{chain.instrument.exchange}/{chain.instrument.symbol}" for chain in self.chains}
        return [name for name in self.planned if name not in finished]

    def chain(self, symbol: str | None) -> ChainManifest:
        """The chain of a symbol in any spelling; the only one if none is named.

        Raises
        ------
        DatasetError
            When the dataset holds no such symbol, or several and none was named.
        """
        held = ", ".join(_names(chain.instrument)[1] for chain in self.chains)
        if symbol is None:
            if len(self.chains) == 1:
                return self.chains[0]
            remedy = "Name one of them (--symbol; symbol= in Python)"
            raise DatasetError("several symbols here", found=held, remedy=remedy)
        matches = [chain for chain in self.chains if symbol in _names(chain.instrument)] or [
            chain for chain in self.chains if any(same_symbol(symbol, n) for n in _names(chain.instrument))
        ]
        if not matches:
            raise DatasetError(f"no symbol {symbol!r} here", found=held, remedy="Name one of these")
        if len(matches) > 1:
            several = ", ".join(_names(chain.instrument)[1] for chain in matches)
            remedy = "Name the exchange too"
            raise DatasetError(f"{symbol!r} is on several exchanges here", found=several, remedy=remedy)
        return matches[0]


def _names(instrument: Instrument) -> tuple[str, str]:
    return instrument.symbol, f"{instrument.exchange}/{instrument.symbol}"


def hash_file(path: Path) -> SourceFile:
    """Name, size and SHA-256 of a file.

    Raises
    ------
    SourceError
        When it can't be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return SourceFile(name=readable(path.name), size_bytes=path.stat().st_size, sha256=digest)
    except OSError as error:
        raise SourceError(f"can't be read ({error.strerror or error})", file=path) from error


def chain_record(dataset: Path, instrument: Instrument) -> Path:
    """File of one chain's record below the dataset; no slug holds a plus, so no two chains share it."""
    return dataset / "chains" / f"{slug(instrument.exchange)}+{slug(instrument.symbol)}.json"


def require_place(folder: Path, *, resume: bool = False) -> None:
    """See that a dataset may be begun in a folder, or with ``resume`` gone on with; nothing is made.

    Raises
    ------
    OutputError
        When something is there already, or the folder can't be read.
    DatasetError
        When what is to be gone on with was made by another version.
    """
    if problem := place_problem(folder):
        raise OutputError(problem, file=folder, remedy="Choose another --out")
    if resume and is_dataset(folder):
        read_manifest(folder)
        return
    try:
        if not folder.exists() or (folder.is_dir() and all(p.name[0] == "." for p in folder.iterdir())):
            return
        begun = is_dataset(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    # Whatever is there may be somebody's only copy: nothing of ours advises to delete it.
    remedy = "Choose another --out"
    if begun:
        remedy = "It holds a dataset: go on with it by --resume if it is unfinished, or choose another --out"
    raise OutputError("is not empty", file=folder, remedy=remedy)


def start_dataset(
    folder: Path,
    writer: str,
    settings: Settings,
    planned: Sequence[str] = (),
    *,
    resume: bool = False,
    **vouchers: Any,
) -> None:
    """Make an empty dataset: the folder and its manifest head, with the chains that it will hold.

    With ``resume``, one that is there is taken as it is. ``vouchers`` are ``certificates`` and
    ``uncertified``, of which only those enter the head that say anything.

    Raises
    ------
    OutputError
        When something is there already, or the folder can't be written.
    """
    require_place(folder, resume=resume)
    if resume and is_dataset(folder):
        return
    try:
        make_folder(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    head = {"format_version": FORMAT_VERSION, "writer": writer, "settings": settings, "planned": planned}
    head |= {name: value for name, value in vouchers.items() if value}
    publish_bytes(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(head), indent=2) + b"\n")


def finish_chain(folder: Path, chain: ChainManifest) -> None:
    """Record a chain that was written to its end."""
    # In order, for a summary that was read back from its commit has its keys in order, too.
    content = msgspec.json.format(msgspec.json.encode(chain, order="sorted"), indent=2) + b"\n"
    publish_bytes(chain_record(folder, chain.instrument), content)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a dataset with all chains that were finished.

    Raises
    ------
    DatasetError
        When the folder is no dataset, or one of another format version.
    """
    try:
        head = msgspec.json.decode((folder / MANIFEST).read_bytes())
        chains = [
            msgspec.json.decode(path.read_bytes(), type=ChainManifest)
            for path in sorted((folder / "chains").glob("*.json"))
        ]
        if head["format_version"] != FORMAT_VERSION:
            raise DatasetError(
                "was written by another version",
                file=folder,
                found=head["format_version"],
                expected=FORMAT_VERSION,
                remedy="Reconstruct it with this version",
            )
        settings, writer = msgspec.convert(head["settings"], Settings), str(head["writer"])
    except (OSError, msgspec.MsgspecError, KeyError, TypeError) as error:
        raise DatasetError(
            "is not a dataset (no readable rlx.json)",
            file=folder,
            remedy="Give the folder that rlx reconstruct --out made",
        ) from error
    return Manifest(
        writer=writer,
        settings=settings,
        chains=tuple(chains),
        planned=tuple(head.get("planned", ())),
        certificates=tuple(head.get("certificates", ())),
        uncertified=bool(head.get("uncertified", False)),
    )


def is_dataset(path: Path) -> bool:
    """Whether a path looks like a dataset of ours."""
    return (path / MANIFEST).is_file()
