"""Which strategy a chain is reconstructed by: the one asked for, or what suits its source."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from rlx_datapipe.assessment.strategy import BookStated, Facts, recommend
from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.ingestion.sources import Source
from rlx_datapipe.venues import crypto_lake

_DELTAS, _SNAPSHOTS = {"depthUpdate", "depth"}, {"snapshot", "depthSnapshot"}


class Chosen(NamedTuple):
    """A strategy by name, and why."""

    name: str
    reasons: tuple[str, ...]


def facts_of(source: Source) -> Facts:
    """What is known of a source before it is read.

    Of a recording only the head was looked at. Deltas that are not in a head of a thousand messages are
    nowhere; a snapshot may come at any time, so one is expected wherever there are deltas.
    """
    tables = {file.table for file in source.lake_files}
    is_provable = source.rule.link not in (Link.UNPROVABLE, Link.INFERRED)
    if tables:
        return Facts(
            has_deltas=crypto_lake.DELTAS in tables,
            has_trades=crypto_lake.TRADES in tables,
            book=BookStated.SAMPLED if crypto_lake.BOOK in tables else BookStated.NEVER,
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
        names = sorted({file.table for file in source.lake_files} or source.kinds)
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
    if choose_strategy(source, settings).name != "snapshot" or not source.lake_files:
        return source
    files = tuple(file for file in source.lake_files if file.table != crypto_lake.DELTAS)
    return replace(source, files=tuple(file.path for file in files), lake_files=files)
