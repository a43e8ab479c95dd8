"""A dataset as what an exchange plays: events back to messages, in the words of their venue."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.event import Flag
from rlx_datapipe.core.instrument import same_symbol
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.pipeline.strategy import refuse_inferred
from rlx_datapipe.simulation.exchange.books import ServedBook
from rlx_datapipe.simulation.exchange.channels import Floor, Listing, Timed
from rlx_datapipe.store.chain_rows import chain_batches
from rlx_datapipe.store.dataset import Dataset
from rlx_datapipe.store.manifest import ChainManifest
from rlx_datapipe.venues.binance import MARKETS
from rlx_datapipe.venues.binance_streams import SNAPSHOT_CHANNEL

_BATCH_MESSAGES = 1024
_NS_PER_MS = 1_000_000
_BREAKS = ("gap", "reset")
_EVENT_COLUMNS = [
    "event_id",
    "event_type",
    "origin_time",
    "received_time",
    "update_id",
    "trade_id",
    "side",
    "price",
    "quantity",
    "flags",
]
Row = dict[str, Any]


def enlist_dataset(
    dataset: Dataset, floor: Floor, symbols: Iterable[str], mark_every: int
) -> list[tuple[ChainManifest, Listing]]:
    """List the symbols of a dataset, each in the market of its exchange.

    Raises
    ------
    DatasetError
        When none of them is of a market whose protocol we speak, or deltas were inferred.
    """
    formats = {market.exchange: format for format, market in MARKETS.items()}
    wanted, listed = list(symbols), []
    for chain in dataset.manifest.chains:
        instrument = chain.instrument
        format = formats.get(instrument.exchange)
        is_wanted = not wanted or any(same_symbol(symbol, instrument.symbol) for symbol in wanted)
        if format is not None and is_wanted:
            book = ServedBook(instrument, MARKETS[format], mark_every=mark_every)
            listed.append((chain, floor.enlist(format, instrument, book)))
    if not listed:
        raise DatasetError(
            "has nothing that can be played",
            file=dataset.path,
            found=", ".join(chain.instrument.exchange for chain in dataset.manifest.chains),
            expected=", ".join(formats),
        )
    refuse_inferred((chain for chain, _ in listed), dataset.path)
    return listed


def dataset_batches(
    dataset: Dataset, chains: list[tuple[ChainManifest, Listing]], floor: Floor
) -> Iterator[list[Timed]]:
    """Messages of all chains by the time of their receipt, some at a time.

    Of each chain they come in the order of its events; the venue's quotes fall in between by their times.
    """
    tracks = []
    for chain, listing in chains:
        script = _Script(dataset, chain, listing, floor)
        tracks += [_rising(script.events()), _rising(script.quotes())]
    batch: list[Timed] = []
    for _, message in heapq.merge(*tracks, key=lambda timed: timed[0]):
        batch.append(message)
        if len(batch) >= _BATCH_MESSAGES:
            yield batch
            batch = []
    if batch:
        yield batch


def _rising(messages: Iterable[Timed]) -> Iterator[tuple[int, Timed]]:
    """Messages with times to merge them by, which never run backwards."""
    latest = 0
    for message in messages:
        latest = max(latest, message[0])
        yield latest, message


class _Script:
    """Writes one chain's rows as messages."""

    def __init__(self, dataset: Dataset, chain: ChainManifest, listing: Listing, floor: Floor) -> None:
        self._dataset, self._chain = dataset, chain
        self._symbol = listing.symbol
        format = listing.rules.format
        self._is_futures = MARKETS[format].rule.link is Link.PREVIOUS_ID
        stream = self._symbol.lower()
        self._depth = floor.channel(format, f"{stream}@depth@100ms")
        self._ticker = floor.channel(format, f"{stream}@bookTicker")
        self._snapshot = floor.channel(format, f"{stream}@{SNAPSHOT_CHANNEL}")
        self._trades = {name: floor.channel(format, f"{stream}@{name}") for name in ("trade", "aggTrade")}
        step = Decimal(listing.instrument.price_step).scaleb(-listing.instrument.price_decimals)
        self._price_places = max(0, -int(step.normalize().as_tuple().exponent))

    def events(self) -> Iterator[Timed]:
        """Trades, depth updates and snapshots; a break in the recorded ids is one here."""
        broken = self._broken()
        group: list[Row] = []
        last_id: int | None = None
        for table in chain_batches(self._dataset.path, "events", self._chain, _EVENT_COLUMNS):
            for row in table.to_pylist():
                if row["event_type"] == "TRADE":
                    yield self._trade(row)
                    continue
                group.append(row)
                if not row["flags"] & Flag.GROUP_END:
                    continue
                rows, group = group, []
                if row["event_type"] == "BOOK_SNAPSHOT":
                    yield row["received_time"], self._snapshot, self._stated(rows)
                    continue
                is_broken = last_id is None or not broken.isdisjoint(one["event_id"] for one in rows)
                yield row["received_time"], self._depth, self._update(rows, None if is_broken else last_id)
                last_id = row["update_id"]

    def _broken(self) -> set[int]:
        """Events before which update ids are missing."""
        ids: set[int] = set()
        for table in chain_batches(self._dataset.path, "quality", self._chain, ["kind", "to_event_id"]):
            ids.update(row["to_event_id"] for row in table.to_pylist() if row["kind"] in _BREAKS)
        return ids

    def quotes(self) -> Iterator[Timed]:
        """The venue's statements of its best prices."""
        for table in chain_batches(self._dataset.path, "quotes", self._chain):
            for row in table.to_pylist():
                best = (
                    f'"b":"{self._price(row["bid_price"])}","B":"{_plain(row["bid_quantity"])}",'
                    f'"a":"{self._price(row["ask_price"])}","A":"{_plain(row["ask_quantity"])}"'
                )
                head = f'"u":{row["update_id"]},"s":"{self._symbol}",{best}'
                if self._is_futures:
                    time_ms = (row["origin_time"] or row["received_time"]) // _NS_PER_MS
                    text = f'{{"e":"bookTicker",{head},"T":{time_ms},"E":{time_ms}}}'
                else:
                    text = f"{{{head}}}"
                yield row["received_time"], self._ticker, text.encode()

    def _trade(self, row: Row) -> Timed:
        is_aggregate = bool(row["flags"] & Flag.AGGREGATE)
        name, key = ("aggTrade", "a") if is_aggregate else ("trade", "t")
        time_ms = row["origin_time"] // _NS_PER_MS
        is_sold = "true" if row["side"] == "sell" else "false"
        identity = f'"{key}":{row["trade_id"]}'
        terms = f'"p":"{self._price(row["price"])}","q":"{_plain(row["quantity"])}"'
        if is_aggregate:
            terms += f',"f":{row["trade_id"]},"l":{row["trade_id"]}'
        head = f'"e":"{name}","E":{time_ms}'
        if self._is_futures:
            kind = "" if is_aggregate else f'"X":"{"NA" if row["flags"] & Flag.NOT_MARKET else "MARKET"}",'
            text = f'{{{head},"T":{time_ms},"s":"{self._symbol}",{identity},{terms},{kind}"m":{is_sold}}}'
        else:
            text = f'{{{head},"s":"{self._symbol}",{identity},{terms},"T":{time_ms},"m":{is_sold},"M":true}}'
        return row["received_time"], self._trades[name], text.encode()

    def _update(self, rows: list[Row], last_id: int | None) -> bytes:
        """A depth update; where ids are missing before it, it does not say that it follows."""
        last = rows[-1]
        time_ms, final = last["origin_time"] // _NS_PER_MS, last["update_id"]
        first = final if last_id is None else last_id + 1
        ids = f'"U":{first},"u":{final}'
        if self._is_futures:
            ids += f',"pu":{first - 1}'
        times = f'"E":{time_ms},"T":{time_ms}' if self._is_futures else f'"E":{time_ms}'
        bids, asks = self._levels(rows, "bid"), self._levels(rows, "ask")
        head = f'"e":"depthUpdate",{times},"s":"{self._symbol}",{ids}'
        return f'{{{head},"b":[{bids}],"a":[{asks}]}}'.encode()

    def _stated(self, rows: list[Row]) -> bytes:
        time_ms = rows[-1]["origin_time"] // _NS_PER_MS
        times = f'"E":{time_ms},"T":{time_ms},' if self._is_futures else ""
        bids, asks = self._levels(rows, "bid"), self._levels(rows, "ask")
        last_id = rows[-1]["update_id"]
        return f'{{"lastUpdateId":{last_id},{times}"bids":[{bids}],"asks":[{asks}]}}'.encode()

    def _levels(self, rows: list[Row], side: str) -> str:
        levels = [row for row in rows if row["side"] == side and row["price"] is not None]
        return ",".join(f'["{self._price(row["price"])}","{_plain(row["quantity"])}"]' for row in levels)

    def _price(self, price: Decimal | None) -> str:
        return "0" if price is None else f"{price:.{self._price_places}f}"


def _plain(value: Decimal | None) -> str:
    """A decimal in plain digits, without trailing zeros; 0 where a side is empty."""
    text = "0" if value is None else format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
