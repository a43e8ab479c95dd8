"""Stream names and envelopes: what stream a payload came from, and its bytes without the envelope."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from rlx_datapipe.venues.binance_messages import (
    AggregateTrade,
    BookTicker,
    DepthUpdate,
    Snapshot,
    Trade,
    decode,
)

SNAPSHOT_CHANNEL = "snapshot"
"""What stands behind the ``@`` for the answer of a REST depth request, which is no stream of the venue."""

_HEAD = b'{"stream":"'
_BETWEEN = b'","data":'
_HEAD_BYTES, _BETWEEN_BYTES = len(_HEAD), len(_BETWEEN)
_DEPTH = re.compile(r"(?P<symbol>[^@]+)@depth(@\d+ms)?")
_CHANNELS: dict[type, str] = {
    DepthUpdate: "depth",
    Trade: "trade",
    AggregateTrade: "aggTrade",
    BookTicker: "bookTicker",
    Snapshot: SNAPSHOT_CHANNEL,
}


class Streamed(NamedTuple):
    """A payload taken out of its envelope: ``stream`` is empty where nothing tells it."""

    stream: str
    data: bytes


class _Envelope(msgspec.Struct, gc=False):
    stream: str
    data: msgspec.Raw


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def unwrap(payload: bytes) -> Streamed:
    """The stream of a recorded payload, and its data byte for byte as received; never raises.

    Of a payload without an envelope the stream is told by its fields: ``btcusdt@depth`` for a depth update
    (its cadence is not to be seen), ``@snapshot`` for the answer of a depth request that names no symbol.
    """
    if payload.startswith(_HEAD) and payload.endswith(b"}"):
        at = payload.find(b'"', _HEAD_BYTES)
        if payload.startswith(_BETWEEN, at):
            name = payload[_HEAD_BYTES:at].decode("utf-8", "replace")
            return Streamed(name, payload[at + _BETWEEN_BYTES : -1])
    try:
        envelope = _ENVELOPE.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _bare(payload)
    return Streamed(envelope.stream, bytes(envelope.data))


def _bare(payload: bytes) -> Streamed:
    message = decode(payload)[1]
    channel = _CHANNELS.get(type(message))
    if channel is None:
        return Streamed("", payload)
    symbol: str = message.symbol  # type: ignore[union-attr]
    return Streamed(f"{symbol.lower()}@{channel}", payload)


def depth_symbol(stream: str) -> str:
    """The symbol, in small letters, of a stream of whole depth updates at any cadence; empty for others."""
    match = _DEPTH.fullmatch(stream)
    return match["symbol"] if match else ""
