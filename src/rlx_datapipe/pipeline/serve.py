"""An exchange from recordings or a dataset: joins what reads them with what plays them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.pipeline.serve_dataset import dataset_batches, enlist_dataset
from rlx_datapipe.pipeline.serve_recordings import merged, tapes_of
from rlx_datapipe.simulation.exchange.books import ServedBook, warm_up
from rlx_datapipe.simulation.exchange.channels import Floor, Timed
from rlx_datapipe.simulation.exchange.fault_plan import FaultPlan
from rlx_datapipe.simulation.exchange.options import ExchangeOptions
from rlx_datapipe.simulation.exchange.server import Exchange
from rlx_datapipe.simulation.exchange.truth import Truth
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.store.layout import readable
from rlx_datapipe.store.manifest import is_dataset
from rlx_datapipe.venues.binance import MARKETS

_TOLD_EVERY_S = 0.5


@dataclass(frozen=True)
class ServeProgress:
    """How a served recording goes: messages so far, its time in ns UTC, connections open now."""

    url: str
    messages: int
    sent: int
    time_ns: int
    clients: int
    elapsed_s: float
    is_ended: bool


def exchange_of(
    paths: Iterable[str | Path],
    options: ExchangeOptions | None = None,
    *,
    plan: FaultPlan | None = None,
    truth: Path | None = None,
    settings: Settings | None = None,
    symbols: Iterable[str] = (),
    key_file: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    on_notice: Callable[[str], None] = lambda _: None,
) -> Exchange:
    """An exchange that plays recordings, or a dataset; enter it to begin.

    Parameters
    ----------
    paths
        Recordings as `find_sources` takes them, of any Binance market, merged by time; or one dataset.
    options, plan, truth
        As the exchange takes them; ``truth`` is a file for one JSON line for each fault.
    symbols
        Only these; all if empty.
    key_file
        Keys of captures that are encrypted.
    host, port
        Where it listens; port 0 takes a free one.
    on_notice
        Told of files that are passed over.

    Raises
    ------
    SourceError, DatasetError, OptionError
        When there is nothing to play.
    """
    given, settings, chosen = [Path(path) for path in paths], settings or Settings(), tuple(symbols)
    plan = plan or FaultPlan()
    warm_up()
    mark_every = plan.stale_snapshot.messages if plan.stale_snapshot else 0
    floor = Floor()
    if any(is_dataset(path) for path in given):
        if len(given) != 1:
            raise OptionError("a dataset is played alone", remedy="Give one dataset at a time")
        dataset = open_dataset(given[0])
        chains = enlist_dataset(dataset, floor, chosen, mark_every)

        def batches() -> Iterator[list[Timed]]:
            return dataset_batches(dataset, chains, floor)
    else:

        def ignored(path: Path) -> None:
            on_notice(f"ignored: {readable(str(path))} is no recording")

        sources = find_sources(given, settings, symbols=chosen, key_file=key_file, on_ignored=ignored)
        for source in sources:
            if not source.has_messages:
                raise SourceError(
                    "holds rows, not messages",
                    file=source.files[0],
                    remedy="Reconstruct it, then replay the dataset",
                )
            market = MARKETS[source.format]
            book = ServedBook(source.instrument, market, mark_every=mark_every)
            floor.enlist(source.format, source.instrument, book)
        tapes = tapes_of(sources, settings)

        def batches() -> Iterator[list[Timed]]:
            return merged(tapes, floor, only_listed=bool(chosen))

    return Exchange(floor, batches, options, plan=plan, truth=Truth(truth), host=host, port=port)


async def serve_until_end(exchange: Exchange, on_progress: Callable[[ServeProgress], None]) -> None:
    """Serve until everything has been played, or for ever where the exchange holds its last state."""
    began_s = time.monotonic()

    def tell() -> None:
        head = exchange.playhead
        clients = len(exchange.feed.sessions)
        elapsed_s = time.monotonic() - began_s
        on_progress(
            ServeProgress(
                exchange.url, head.played, head.sent, head.time_ns, clients, elapsed_s, head.is_ended
            )
        )

    async with exchange:
        tell()
        finished = asyncio.create_task(exchange.finished())
        while not finished.done():
            await asyncio.wait([finished], timeout=_TOLD_EVERY_S)
            tell()
        finished.result()


def serve(
    exchange: Exchange, on_progress: Callable[[ServeProgress], None] = lambda _: None
) -> dict[str, Any]:
    """Serve an exchange until its end or Ctrl-C; what it has done, for JSON."""
    began_s = time.monotonic()
    with suppress(KeyboardInterrupt):
        asyncio.run(serve_until_end(exchange, on_progress))
    elapsed_s = time.monotonic() - began_s
    return {
        "url": exchange.url,
        "speed": exchange.options.speed or "max",
        "elapsed_s": round(elapsed_s, 3),
        "complete": exchange.playhead.is_ended,
        **exchange.summary(),
    }
