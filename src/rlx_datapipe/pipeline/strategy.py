"""Which strategy a chain is reconstructed by: the one asked for, or what suits its source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rlx_datapipe.assessment.strategy import BookStated, Facts, recommend
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError, SourceError
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.ingestion.archives import LAKE
from rlx_datapipe.ingestion.source import Source
from rlx_datapipe.store.manifest import ChainManifest
from rlx_datapipe.venues import crypto_lake, tardis

_DELTAS, _SNAPSHOTS = {"depthUpdate", "depth"}, {"snapshot", "depthSnapshot"}


class _Tables(NamedTuple):
    """What the tables of an archive are called; that of snapshots may have their depth behind its name."""

    deltas: str
    snapshots: str
    trades: str
    is_anchored: bool
    """Whether the deltas bring snapshots to start from with them."""


_ARCHIVES = {
    LAKE: _Tables(crypto_lake.DELTAS, crypto_lake.BOOK, crypto_lake.TRADES, is_anchored=False),
    tardis.FORMAT: _Tables(tardis.L2, tardis.BOOK, tardis.TRADES, is_anchored=True),
}


class Chosen(NamedTuple):
    """A strategy by name, and why."""

    name: str
    reasons: tuple[str, ...]


def facts_of(source: Source) -> Facts:
    """What is known of a source before it is read.

    Of a recording only the head was looked at. Deltas that are not in a head of a thousand messages are
    nowhere; a snapshot may come at any time, so one is expected wherever there are deltas. Any other source
    changes its book and states where to start, as logs of orders do.
    """
    is_provable = source.rule.link not in (Link.UNPROVABLE, Link.INFERRED)
    if (named := _ARCHIVES.get(source.format)) is not None:
        has_deltas = named.deltas in source.tables
        anchored = BookStated.ANCHORED if has_deltas and named.is_anchored else BookStated.NEVER
        return Facts(
            has_deltas=has_deltas,
            has_trades=named.trades in source.tables,
            book=BookStated.SAMPLED if _has_samples(source, named) else anchored,
            contiguity_provable=is_provable,
        )
    has_deltas = not source.kinds or bool(source.kinds & _DELTAS)
    is_stated = has_deltas or bool(source.kinds & _SNAPSHOTS)
    return Facts(
        has_deltas=has_deltas,
        has_trades=not source.kinds or bool(source.kinds & {"trade", "aggTrade"}),
        book=BookStated.ANCHORED if is_stated else BookStated.NEVER,
        contiguity_provable=is_provable,
    )


def _has_samples(source: Source, named: _Tables) -> bool:
    return any(table.startswith(named.snapshots) and table != named.deltas for table in source.tables)


def choose_strategy(source: Source, settings: Settings) -> Chosen:
    """The strategy of a chain; the same for the same source and settings.

    Raises
    ------
    SourceError
        When the one that was asked for needs what the source has not.
    """
    facts, asked = facts_of(source), settings.strategy
    if asked == "auto":
        recommended = recommend(facts)
        return Chosen(recommended.strategy.value, recommended.reasons)
    needs = {
        "full": (facts.has_deltas, "deltas"),
        "snapshot": (facts.book is not BookStated.NEVER, "snapshots"),
        "origin_time_sort": (True, ""),
    }
    is_there, what = needs[asked]
    if not is_there:
        names = sorted(set(source.tables) or source.kinds)
        raise SourceError(
            f"has no {what}, which the strategy {asked} is made of",
            file=f"{source.instrument.exchange} {source.instrument.symbol}",
            found=", ".join(names),
            remedy=f"Leave --strategy out: {recommend(facts).strategy} suits it",
        )
    return Chosen(asked, ("it was asked for",))


def narrowed(source: Source, settings: Settings) -> Source:
    """The source without the files that its strategy makes no use of.

    Raises
    ------
    SourceError
        See `choose_strategy`.
    """
    named = _ARCHIVES.get(source.format)
    if choose_strategy(source, settings).name != "snapshot" or not (named and _has_samples(source, named)):
        return source
    kept = [i for i, table in enumerate(source.tables) if table != named.deltas]
    return replace(
        source,
        files=tuple(source.files[i] for i in kept),
        tables=tuple(source.tables[i] for i in kept),
    )


def refuse_inferred(chains: Iterable[ChainManifest], dataset: Path) -> None:
    """Refuse to hand on what was inferred as if a venue had sent it: no other layout has a flag for it.

    Raises
    ------
    DatasetError
        When a chain was made by the strategy ``snapshot``.
    """
    for chain in chains:
        if chain.strategy == "snapshot":
            raise DatasetError(
                "has no deltas but inferred ones, and no other layout or protocol can say that they are",
                file=dataset,
                found=f"{chain.instrument.exchange} {chain.instrument.symbol}, strategy {chain.strategy}",
                remedy="Take a dataset or a source that has deltas",
            )
