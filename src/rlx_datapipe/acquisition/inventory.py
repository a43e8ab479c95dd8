"""What an archive holds of what is wanted: found by its index, or by listing it, which is the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from rlx_datapipe.acquisition.archive import Archive, ArchiveObject
from rlx_datapipe.acquisition.holdings import Inventory, LakeFile, Series, Wanted
from rlx_datapipe.acquisition.index import NAME, NO_INDEX, read_index
from rlx_datapipe.acquisition.refusals import DeniedError
from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.acquisition.staged import ArchiveKey
from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.venues import crypto_lake as lake

USUAL_TABLES = (lake.TRADES, lake.BOOK, lake.DELTAS)
_HOME = "market-data/cryptofeed"
"""Where the archive's root is in a bucket that holds it."""
_LISTED_MAX = 64
"""Series whose sizes are asked for one by one behind an index; of more, only the index is told."""


def find_root(archive: Archive) -> Archive:
    """The archive with its root where the tables are: at the given place, or in the usual folder below it.

    Raises
    ------
    SourceError
        When there are no tables at either.
    """
    try:
        there = archive.folders()
    except DeniedError:
        # Whoever may not look must know the place.
        return archive
    if not _has_tables(there) and _HOME.partition("/")[0] in there:
        archive = archive.below(_HOME)
        there = archive.folders()
    if _has_tables(there):
        return archive
    found = ", ".join(there[:5]) or "nothing"
    raise SourceError(
        "has no table of Crypto Lake",
        file=archive.address.url,
        found=found,
        expected=", ".join(USUAL_TABLES),
        remedy="Name the folder above the tables by --archive",
    )


def _has_tables(names: Iterable[str]) -> bool:
    return any(name in (*USUAL_TABLES, *lake.OTHER_TABLES) for name in names)


def take_inventory(
    archive: Archive, wanted: Wanted, settings: AcquisitionSettings, *, by_list: bool = False
) -> Inventory:
    """Find what there is of what is wanted.

    Parameters
    ----------
    archive
        With its root above the tables, see `find_root`.
    by_list
        Whether to list all there is, and to believe no index: the truth, in one request for each 1,000
        objects.

    Raises
    ------
    SourceError
        When a table is not there, or the store refuses.
    """
    told: list[str] = []
    try:
        there = [name for name in archive.folders() if "=" not in name]
    except DeniedError:
        there = list(wanted.tables or USUAL_TABLES)
        told.append("the key may not list the archive: the indexes of its tables are all there is to go by")
    tables = wanted.tables or tuple(name for name in there if name in (*USUAL_TABLES, *lake.OTHER_TABLES))
    series: list[Series] = []
    found_by: dict[str, str] = {}
    for table in tables:
        if table not in there:
            raise OptionError("no such table in the archive", found=table, expected=", ".join(there))
        found, found_by[table] = _table(archive, table, wanted, settings, told, by_list=by_list)
        series += _series(found, wanted, told)
    return Inventory(archive.address.url, tuple(series), found_by, tuple(told))


def only_symbol(archive: Archive, wanted: Wanted) -> str:
    """The one symbol of which an archive has files, looked for in the tables and exchanges that are wanted.

    Raises
    ------
    OptionError
        When there are several: which of them is meant must be said.
    SourceError
        When there is none, or the store refuses.
    """
    tables = wanted.tables or (*USUAL_TABLES, *lake.OTHER_TABLES)
    there = sorted(
        {
            symbol.removeprefix("symbol=")
            for table in archive.folders()
            if table in tables
            for exchange in archive.folders(table)
            if wanted.takes_exchange(exchange.removeprefix("exchange="))
            for symbol in archive.folders(f"{table}/{exchange}")
            if symbol.startswith("symbol=")
        }
    )
    if len(there) == 1:
        return there[0]
    if not there:
        raise SourceError("holds nothing of what is wanted", file=archive.address.url)
    shown = ", ".join(there[:5]) + (f" and {len(there) - 5:,} more" if len(there) > 5 else "")
    raise OptionError(
        "--symbols is missing", found=shown, remedy=f"Name those you want, such as --symbols {there[0]}"
    )


def _table(
    archive: Archive,
    table: str,
    wanted: Wanted,
    settings: AcquisitionSettings,
    told: list[str],
    *,
    by_list: bool,
) -> tuple[Iterable[ArchiveObject], str]:
    """Objects of a table, and how they were found."""
    if by_list:
        with suppress(DeniedError):
            return list(_listed(archive, table, wanted)), "list"
    index = read_index(archive, table, settings.index_mb_max * 10**6)
    if not index.is_usable:
        if index.problem != NO_INDEX:
            told.append(f"{table}: {index.problem}; it was listed instead")
        return list(_listed(archive, table, wanted)), "list"
    indexed = [ArchiveObject(path, -1, "") for path in index.paths]
    chosen = [file for file in _files(indexed, []) if wanted.takes(file.key)]
    folders = sorted({str(PurePosixPath(file.path).parent.parent) for file in chosen})
    if len(folders) > _LISTED_MAX:
        return indexed, "index"
    if not folders:
        # It may be younger than the index.
        return list(_listed(archive, table, wanted)), "list"
    try:
        listed = [one for folder in folders for one in archive.listed(folder)]
    except DeniedError:
        return indexed, "index"
    _compare(table, {file.path for file in chosen}, listed, wanted, told)
    return listed, "index and list"


def _compare(
    table: str, indexed: set[str], listed: Sequence[ArchiveObject], wanted: Wanted, told: list[str]
) -> None:
    """Tell how an index differs from the list, which is the truth."""
    there = {file.path for file in _files(listed, []) if wanted.takes(file.key)}
    gone, new = len(indexed - there), len(there - indexed)
    if gone or new:
        parts = [f"names {gone:,} that are gone"] * (gone > 0) + [f"lacks {new:,} that are there"] * (new > 0)
        told.append(f"{table}: the index is stale: of files it {' and '.join(parts)}; the list was believed")


def _listed(archive: Archive, table: str, wanted: Wanted) -> Iterator[ArchiveObject]:
    """Objects of a table, listed below as narrow prefixes as what is wanted allows."""
    if not wanted.exchanges and not wanted.symbols:
        yield from archive.listed(table)
        return
    there = [
        name.removeprefix("exchange=") for name in archive.folders(table) if name.startswith("exchange=")
    ]
    for exchange in there:
        if not wanted.takes_exchange(exchange):
            continue
        folder = f"{table}/exchange={exchange}"
        if not wanted.symbols:
            yield from archive.listed(folder)
            continue
        for name in archive.folders(folder):
            if wanted.takes_symbol(name.removeprefix("symbol="), exchange):
                yield from archive.listed(f"{folder}/{name}")


def _series(found: Iterable[ArchiveObject], wanted: Wanted, told: list[str]) -> list[Series]:
    by_key: dict[tuple[str, str, str], list[LakeFile]] = defaultdict(list)
    for file in _files(found, told):
        if wanted.takes(file.key):
            by_key[file.key.table, file.key.exchange, file.key.symbol].append(file)
    return [
        Series(*key, tuple(sorted(files, key=lambda file: file.key)))
        for key, files in sorted(by_key.items(), key=lambda pair: pair[0])
    ]


def _files(found: Iterable[ArchiveObject], told: list[str]) -> Iterator[LakeFile]:
    """Files that are a day's; the others are counted and told by the first of them."""
    strange: list[str] = []
    for one in found:
        path = PurePosixPath(one.path)
        if path.name == NAME:
            continue
        if (key := _key(path)) is None:
            strange.append(one.path)
        else:
            yield LakeFile(key, one.path, one.size_bytes, one.etag)
    if strange:
        more = f" and {len(strange) - 1:,} more" if len(strange) > 1 else ""
        told.append(f"passed over, for they are no day's file: {strange[0][:100]!a}{more}")


def _key(path: PurePosixPath) -> ArchiveKey | None:
    """What a path says, if it is that of a day's file with plain names."""
    try:
        says = lake.parse_path(path)
        if says.exchange and says.symbol and says.date and path.suffix == ".parquet":
            return ArchiveKey(path.parts[0], says.exchange, says.symbol, says.date, path.name)
    except (SourceError, OptionError):
        pass
    return None
