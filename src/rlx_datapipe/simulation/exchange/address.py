"""Addresses of streams: what market, mode and streams a WebSocket path asks for."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from rlx_datapipe.simulation.exchange.rules import PUBLIC_CHANNELS, RULES

_SPLIT = ("public", "market", "private")


class Address(NamedTuple):
    """A WebSocket path, read.

    ``part`` is ``public``, ``market`` or ``private`` where the path names one, as USD-M's do;
    ``is_micro`` tells whether times are wanted in microseconds.
    """

    format: str
    part: str
    is_combined: bool
    streams: tuple[str, ...]
    is_micro: bool = False

    def delivers(self, stream: str) -> bool:
        """Whether this address has a stream: ``/public`` and ``/market`` share them out between them."""
        if not self.part:
            return True
        is_public = stream.partition("@")[2].startswith(PUBLIC_CHANNELS)
        return is_public if self.part == "public" else self.part == "market" and not is_public


def read_address(target: str, formats: list[str]) -> Address | None:
    """The address that a request names, among the markets that are served; None where there is no such.

    A path may begin with ``/spot``, ``/usdm`` or ``/coinm``, which the venue tells apart by their hosts. One
    without belongs to USD-M if it is split into public and market, else to the first market served.
    """
    parts = urlsplit(target)
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    labels = {rules.label: format for format, rules in RULES.items() if format in formats}
    format = ""
    if segments and segments[0] in labels:
        format = labels[segments.pop(0)]
    part = segments.pop(0) if segments and segments[0] in _SPLIT else ""
    if not format:
        format = "binance-usdm" if part else next(iter(formats), "")
    if format not in formats or not segments or (part and format == "binance-spot"):
        return None
    mode, named = segments[0], segments[1:]
    query = parse_qs(parts.query)
    if mode == "stream" and not named:
        named = [name for text in query.get("streams", []) for name in text.split("/") if name]
    elif mode != "ws":
        return None
    unit = query.get("timeUnit", query.get("timeunit", ["MILLISECOND"]))[0].upper()
    if unit not in ("MILLISECOND", "MICROSECOND"):
        return None
    is_micro = unit == "MICROSECOND" and format == "binance-spot"
    return Address(format, part, mode == "stream", tuple(dict.fromkeys(named)), is_micro)
