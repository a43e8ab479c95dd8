"""What the paths that a user gives hold: recognised by content, split into chains, scaled."""

from __future__ import annotations

import math
from collections import Counter
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
from rlx_datapipe.ingestion.lines import head_frames
from rlx_datapipe.ingestion.mixed import Taken, share_out
from rlx_datapipe.venues import binance, crypto_lake

HEAD_FRAMES = 20_000
LAKE = "crypto-lake"
FORMATS = (*binance.MARKETS, LAKE)


@dataclass(frozen=True)
class Source:
    """All files of one chain, in the order in which they are read.

    ``trades`` names the message type that gives the trades where a capture has two (``trade``, ``aggTrade``).
    ``held`` has the symbols of each file that mixes several, nothing for the others; ``rate`` is the share of
    this one among the first messages.
    """

    instrument: Instrument
    format: str
    rule: SequenceRule
    files: tuple[Path, ...]
    lake_files: tuple[LakeFile, ...] = ()
    trades: str = "trade"
    held: tuple[tuple[str, ...], ...] = ()
    rate: float = 1.0

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


@dataclass(frozen=True)
class _Capture:
    """One recording as one of its symbols sees it; ``held`` are all, if it has several."""

    path: Path
    format: str
    symbol: str
    probe: Probe
    first_received: int
    held: tuple[str, ...]
    rate: float


def find_sources(
    paths: Iterable[str | Path],
    settings: Settings,
    *,
    format: str = "auto",
    exchange: str = "",
    symbols: Iterable[str] = (),
    decimals: tuple[int | None, int | None] = (None, None),
    apart: Path | None = None,
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
    captures, lake_paths = split_paths(
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
    seen = [capture for path in captures for capture in _look(path, format, settings)]
    sources += _capture_sources(seen, decimals)
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


def _look(path: Path, format: str, settings: Settings) -> list[_Capture]:
    """Recognise one capture by its head; one for each symbol that it holds."""
    frames, rejects = head_frames(path, HEAD_FRAMES, settings.line_bytes_max)
    payloads = frames.payloads()
    told = binance.recognise(payloads)
    found = format if format != "auto" else told
    if told is not None and found != told:
        raise SourceError("is not of the format that was named", file=path, found=told, expected=found)
    if found is None or not payloads:
        example = rejects[0].reason if rejects else "no message of a known venue"
        raise SourceError(
            "is of no known format",
            file=path,
            found=example,
            expected="lines '<receive time> <Binance JSON>', or Crypto Lake Parquet",
            remedy=f"If it is of a known venue, name its format with --format ({', '.join(binance.MARKETS)})"
            if payloads
            else "Give recordings, and leave this file out",
        )
    probe = binance.probe(payloads, binance.MARKETS[found])
    held = tuple(sorted(probe.symbols))
    if not held:
        raise SourceError(
            "names no symbol",
            file=path,
            found="only messages without a symbol",
            remedy="Give a recording with trades or depth updates",
        )
    if len(held) == 1:
        return [_Capture(path, found, held[0], probe, int(frames.received[0]), (), 1.0)]
    shares = share_out(Taken(frames, [], 0, 0), held, path.name)
    probes = {name: binance.probe(shares[name].frames.payloads(), binance.MARKETS[found]) for name in held}
    return [
        _Capture(
            path, found, name, probes[name], int(frames.received[0]), held, count / probe.symbols.total()
        )
        for name, count in sorted(probe.symbols.items())
    ]


def _capture_sources(captures: list[_Capture], decimals: tuple[int | None, int | None]) -> list[Source]:
    chains: dict[tuple[str, str], list[_Capture]] = {}
    for capture in captures:
        chains.setdefault((capture.format, capture.symbol), []).append(capture)
    sources = []
    for (found, symbol), parts in chains.items():
        parts.sort(key=lambda part: (part.first_received, part.path.name, str(part.path)))
        market = binance.MARKETS[found]
        kinds = sum((part.probe.kinds for part in parts), Counter[str]())
        sources.append(
            Source(
                instrument=_instrument(market.exchange, symbol, [part.probe for part in parts], decimals),
                format=found,
                rule=market.rule,
                files=tuple(part.path for part in parts),
                trades="aggTrade" if kinds["aggTrade"] and not kinds["trade"] else "trade",
                held=tuple(part.held for part in parts),
                rate=max(part.rate for part in parts),
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
