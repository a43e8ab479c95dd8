"""What one recording is, told by its head: format, symbols, decimals; of a capture folder by what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.feed import Probe
from rlx_datapipe.core.instrument import plain_symbol
from rlx_datapipe.ingestion.lines import head_frames
from rlx_datapipe.ingestion.mixed import Taken, share_out
from rlx_datapipe.ingestion.segments import sealed_segments
from rlx_datapipe.store.capture_manifest import CaptureHead, read_head
from rlx_datapipe.store.capture_state import capture_state, sealing_hint
from rlx_datapipe.venues import binance

HEAD_FRAMES = 20_000
_TELLING_MESSAGES = 1_000
"""Of one symbol: depth comes every 100 ms at least wherever it was recorded."""
SEGMENTS_LOOKED_INTO = 10
"""Segments in which a symbol has to be seen to be found; so what is found does not grow with the capture."""


@dataclass(frozen=True)
class Seen:
    """One recording as one of its symbols sees it.

    ``held`` are all its symbols, if it has several; ``kinds`` the message types that it has, as far as that
    is known; ``paths`` more than one for a capture folder, in the order in which they were written.
    """

    paths: tuple[Path, ...]
    format: str
    symbol: str
    probe: Probe
    kinds: frozenset[str]
    first_received: int
    held: tuple[str, ...] = ()
    rate: float = 1.0
    folder: Path | None = None

    @property
    def is_telling(self) -> bool:
        """Whether a type of message that was not seen is not there: subscriptions say so, or a long head."""
        return self.folder is not None or self.probe.kinds.total() >= _TELLING_MESSAGES


def look_at(path: Path, format: str, settings: Settings) -> list[Seen]:
    """Recognise one recording by its head; one for each symbol that it holds.

    Raises
    ------
    SourceError
        When it is of no known format, or of another than ``format``, or names no symbol.
    """
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
            expected="lines '<receive time> <Binance JSON>', Crypto Lake Parquet, Tardis CSV, LOBSTER pairs, "
            "or a log of Bitstamp's orders",
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
    first = int(frames.received[0])
    if len(held) == 1:
        return [Seen((path,), found, held[0], probe, frozenset(probe.kinds), first)]
    shares = share_out(Taken(frames, [], 0, 0), held, path.name)
    probes = {name: binance.probe(shares[name].frames.payloads(), binance.MARKETS[found]) for name in held}
    return [
        Seen((path,), found, name, one, frozenset(one.kinds), first, held, count / probe.symbols.total())
        for name, count in sorted(probe.symbols.items())
        for one in (probes[name],)
    ]


def look_into(folder: Path, settings: Settings, key_file: Path | None) -> list[Seen]:
    """What the sealed segments of a capture folder hold, by symbol; those not seen at first are left out.

    Decimals are told by the first segment that has the symbol, so that they stay the same as it grows.

    Raises
    ------
    SourceError
        When a segment is missing or can't be read, or none is sealed yet.
    """
    folder = folder.absolute()
    head = read_head(folder)
    if head.venue not in binance.MARKETS:
        raise SourceError(
            "is a capture of an unknown venue",
            file=folder,
            found=head.venue,
            expected=", ".join(binance.MARKETS),
        )
    paths = _segments(folder)
    if not paths:
        raise SourceError(
            "holds no sealed segment yet",
            file=folder,
            remedy=sealing_hint(folder)
            if capture_state(folder) == "left open"
            else "Wait for the first one, or let --follow wait for it",
        )
    probes, first = _probes(paths, head, settings, key_file)
    if not probes:
        raise SourceError("holds no message of its symbols yet", file=folder, found=", ".join(head.symbols))
    # A stream is named symbol@kind@cadence; only kinds are ever asked for.
    kinds = frozenset(part for stream in head.streams for part in stream.split("@"))
    held = tuple(head.symbols) if len(head.symbols) > 1 else ()
    seen = sum(probe.symbols.total() for probe in probes.values()) or 1
    return [
        Seen(
            paths,
            head.venue,
            name,
            probe,
            kinds,
            first,
            held,
            probe.symbols.total() / seen,
            folder.absolute(),
        )
        for name, probe in sorted(probes.items())
    ]


def symbols_seen(folder: Path, settings: Settings, key_file: Path | None) -> frozenset[str]:
    """The symbols of a capture folder that `look_into` would find."""
    return frozenset(_probes(_segments(folder), read_head(folder), settings, key_file)[0])


def _segments(folder: Path) -> tuple[Path, ...]:
    return tuple(path for path, _ in sealed_segments(folder))


def _probes(
    paths: Sequence[Path], head: CaptureHead, settings: Settings, key_file: Path | None
) -> tuple[dict[str, Probe], int]:
    """What each symbol looks like where it is first seen, and the first receive time of all."""
    market = binance.MARKETS[head.venue]
    probes: dict[str, Probe] = {}
    first = 0
    for path in paths[:SEGMENTS_LOOKED_INTO]:
        frames, _ = head_frames(path, HEAD_FRAMES, settings.line_bytes_max, key_file=key_file)
        first = first or (int(frames.received[0]) if len(frames) else 0)
        shares = share_out(Taken(frames, [], 0, 0), head.symbols, path.name)
        for symbol in head.symbols:
            probe = binance.probe(shares[symbol].frames.payloads(), market)
            if symbol not in probes and any(
                plain_symbol(name) == plain_symbol(symbol) for name in probe.symbols
            ):
                probes[symbol] = probe
        if len(probes) == len(head.symbols):
            break
    return probes, first
