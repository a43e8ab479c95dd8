"""What the paths that a user gives hold: recognised by content, split into chains, scaled."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import OptionError, SourceError
from rlx_datapipe.core.feed import Probe
from rlx_datapipe.core.instrument import MAX_DECIMALS, Instrument, same_symbol
from rlx_datapipe.core.sequence import SequenceRule
from rlx_datapipe.core.units import Exactness, fitting_decimals, grid_step, parse_many
from rlx_datapipe.ingestion.found import Ignored, refuse_copies, refuse_lake_copies, split_paths
from rlx_datapipe.ingestion.lake import LakeFile, find_lake_files, probe_lake
from rlx_datapipe.ingestion.recognise import Seen, look_at, look_into
from rlx_datapipe.venues import binance, crypto_lake

LAKE = "crypto-lake"
FORMATS = (*binance.MARKETS, LAKE)


@dataclass(frozen=True)
class Source:
    """All files of one chain, in the order in which they are read.

    ``trades`` names the message type that gives the trades where a capture has two (``trade``, ``aggTrade``).
    ``held`` has the symbols of each file that mixes several, nothing for the others; ``rate`` is the share of
    this one among the first messages. ``capture`` is the folder whose sealed segments the files are, all of
    them; with ``is_followed`` those that are sealed later come behind them. ``key_file`` has the keys of
    captures that are encrypted. ``kinds`` are the message types that captures hold, empty where too little
    was looked at to tell that there are no others.
    """

    instrument: Instrument
    format: str
    rule: SequenceRule
    files: tuple[Path, ...]
    lake_files: tuple[LakeFile, ...] = ()
    trades: str = "trade"
    held: tuple[tuple[str, ...], ...] = ()
    rate: float = 1.0
    capture: Path | None = None
    is_followed: bool = False
    key_file: Path | None = None
    kinds: frozenset[str] = frozenset()

    @property
    def is_mixed(self) -> bool:
        """Whether any of its files holds other symbols too."""
        return any(self.held)

    @property
    def bytes_total(self) -> int:
        """Size of all files."""
        return sum(file_bytes(path) for path in self.files)


def file_bytes(path: Path) -> int:
    """Size of a file that is being read.

    Raises
    ------
    SourceError
        When it can't be reached any more.
    """
    try:
        return path.stat().st_size
    except OSError as error:
        raise SourceError(f"can't be read ({error.strerror or error})", file=path) from error


def find_sources(
    paths: Iterable[str | Path],
    settings: Settings,
    *,
    format: str = "auto",
    exchange: str = "",
    symbols: Iterable[str] = (),
    decimals: tuple[int | None, int | None] = (None, None),
    apart: Path | None = None,
    key_file: Path | None = None,
    on_ignored: Ignored = lambda _: None,
) -> list[Source]:
    """Chains that the paths hold, by exchange and symbol.

    Parameters
    ----------
    paths
        Files or folders.
    format
        One of `FORMATS`, or ``auto``.
    exchange
        Exchange of Crypto Lake files whose path does not tell it.
    symbols
        Only these, in any spelling; all if empty.
    decimals
        Decimals of prices and of quantities; found from the data where None.
    apart
        Folder that is passed over wherever it lies: that of the dataset that is made of the sources.
    key_file
        Where the keys are of captures that are encrypted.
    on_ignored
        Told of each file of a folder that is plainly no recording, and passed over.

    Raises
    ------
    SourceError
        When a path is absent, empty, unreadable, of no known format, or has the bytes of another.
    OptionError
        When no such symbol is there.
    """
    if format not in ("auto", *FORMATS):
        raise OptionError("unknown format", found=format, expected=", ".join(("auto", *FORMATS)))
    wanted = list(symbols)
    captures, lake_paths, folders = split_paths(
        list(dict.fromkeys(Path(path) for path in paths)),
        as_lake=format == LAKE,
        is_auto=format == "auto",
        apart=apart,
        on_ignored=on_ignored,
    )
    refuse_copies((path, file_bytes(path)) for path in captures)
    sources: list[Source] = []
    if lake_paths:
        symbol = wanted[0] if len(wanted) == 1 else ""
        files = find_lake_files(lake_paths, exchange, symbol)
        refuse_lake_copies(files)
        sources += _lake_sources(files, decimals)
    seen = [one for path in captures for one in look_at(path, format, settings)]
    seen += [one for folder in folders for one in look_into(folder, settings, key_file)]
    sources += _capture_sources(seen, decimals, key_file)
    sources.sort(key=lambda source: (source.instrument.exchange, source.instrument.symbol))
    return _chosen(sources, wanted)


def _chosen(sources: list[Source], wanted: list[str]) -> list[Source]:
    held = [source.instrument.symbol for source in sources]
    for symbol in wanted:
        if not any(same_symbol(symbol, name) for name in held):
            raise OptionError("no such symbol in the source", found=symbol, expected=", ".join(held))
    return [
        s for s in sources if not wanted or any(same_symbol(s.instrument.symbol, name) for name in wanted)
    ]


def _capture_sources(
    seen: list[Seen], decimals: tuple[int | None, int | None], key_file: Path | None
) -> list[Source]:
    chains: dict[tuple[str, str], list[Seen]] = {}
    for one in seen:
        chains.setdefault((one.format, one.symbol), []).append(one)
    sources = []
    for (found, symbol), parts in chains.items():
        parts.sort(key=lambda part: (part.first_received, part.paths[0].name, str(part.paths[0])))
        market = binance.MARKETS[found]
        kinds = frozenset[str]().union(*(part.kinds for part in parts))
        sources.append(
            Source(
                instrument=_instrument(market.exchange, symbol, [part.probe for part in parts], decimals),
                format=found,
                rule=market.rule,
                files=tuple(path for part in parts for path in part.paths),
                trades="aggTrade" if "aggTrade" in kinds and "trade" not in kinds else "trade",
                held=tuple(part.held for part in parts for _ in part.paths),
                rate=max(part.rate for part in parts),
                capture=parts[0].folder if len(parts) == 1 else None,
                key_file=key_file,
                kinds=kinds if all(part.is_telling for part in parts) else frozenset(),
            )
        )
    return sources


def _lake_sources(files: list[LakeFile], decimals: tuple[int | None, int | None]) -> list[Source]:
    chains: dict[tuple[str, str], list[LakeFile]] = {}
    for file in files:
        chains.setdefault((file.exchange, file.symbol), []).append(file)
    return [
        Source(
            instrument=_instrument(exchange, symbol, [probe_lake(parts)], decimals),
            format=LAKE,
            rule=crypto_lake.SEQUENCE,
            files=tuple(part.path for part in parts),
            lake_files=tuple(parts),
        )
        for (exchange, symbol), parts in chains.items()
    ]


def _instrument(
    exchange: str, symbol: str, probes: list[Probe], decimals: tuple[int | None, int | None]
) -> Instrument:
    """Scales that hold a thousand times the largest value seen; the tick that the prices share."""
    price, quantity = decimals
    if price is None:
        needed = max(probe.price_decimals for probe in probes)
        price = fitting_decimals(min(needed, MAX_DECIMALS), max(probe.price_largest for probe in probes))
    if quantity is None:
        needed = max(probe.quantity_decimals for probe in probes)
        largest = max(probe.quantity_largest for probe in probes)
        quantity = fitting_decimals(min(needed, MAX_DECIMALS), largest)
    texts = [text for probe in probes for text in probe.price_texts]
    values, status = parse_many(texts, price)
    step = grid_step(values[status == Exactness.OK])
    return Instrument(exchange, symbol, price, quantity, math.gcd(step, 10**price) if step > 1 else 1)
