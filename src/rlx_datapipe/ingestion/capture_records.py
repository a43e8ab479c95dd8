"""What a capture says of itself among its messages: connections opened and closed, ids that it lacks."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
import numpy as np

from rlx_datapipe.core.feed import Frames, Parsed, Reject
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.core.instrument import same_symbol
from rlx_datapipe.core.replayed import Quality

_MARK = b'{"stream":"!'
_NO_MESSAGE = "not a message of a combined stream"


class _Said(msgspec.Struct):
    stream: str
    data: dict[str, Any] | str


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    """The venue's answer to a request of the recorder's, granted: nothing is missing, nothing is wrong."""

    result: None
    id: int


_SAID = msgspec.json.Decoder(_Said)
_ANSWER = msgspec.json.Decoder(_Answer)


def take_out(frames: Frames, file: str, symbol: str) -> tuple[Frames, Parsed]:
    """Messages without a capture's own records, and what those say.

    Gaps and the ends of connections become ``records`` for ``quality``, what was received but is no message
    becomes rejects, unless it grants a request of the recorder's; all are counted as ``capture:<stream>``. A
    gap of another symbol is only counted. What can't be understood stays among the messages, and is dealt
    with there.
    """
    # Room is left behind the last message, so that its head may be looked for beyond its end.
    marked = np.flatnonzero(frames.data[frames.starts + len(_MARK) - 1] == ord("!"))
    said = Parsed()
    understood = [
        index
        for index in marked.tolist()
        if frames.payload(index).startswith(_MARK) and _add(said, frames, index, file, symbol)
    ]
    if not understood:
        return frames, said
    rest = np.ones(len(frames), dtype=bool)
    rest[understood] = False
    return frames.take(np.flatnonzero(rest)), said


def _add(said: Parsed, frames: Frames, index: int, file: str, symbol: str) -> bool:
    """Take in what one record says; False where it is not ours."""
    try:
        record = _SAID.decode(frames.payload(index))
    except (msgspec.MsgspecError, RecursionError):
        return False
    received, data = int(frames.received[index]), record.data
    if record.stream == "!raw" and isinstance(data, str):
        try:
            raw = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            return False
        if _is_granted(raw):
            said.counts["capture:answer"] += 1
        else:
            said.rejects.append(Reject(file, int(frames.rows[index]), _NO_MESSAGE, raw=raw))
        return True
    if not isinstance(data, dict) or record.stream not in ("!open", "!close", "!gap", "!note"):
        return False
    if record.stream == "!gap":
        if _is_of(data.get("stream"), symbol):
            said.records.append(_gap(data, received))
    elif record.stream != "!note":
        said.records.append(_boundary(record.stream, data, received))
    said.counts[f"capture:{record.stream[1:]}"] += 1
    return True


def _is_granted(raw: bytes) -> bool:
    try:
        _ANSWER.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _is_of(stream: object, symbol: str) -> bool:
    """Whether a stream is one of a symbol; one that is not named may be."""
    name, channel, _ = stream.partition("@") if isinstance(stream, str) else ("", "", "")
    return not channel or same_symbol(name, symbol)


def _gap(data: dict[str, Any], received: int) -> Quality:
    first, last = (data.get(name) for name in ("from_id", "to_id"))
    measures = {}
    if isinstance(first, int) and isinstance(last, int):
        measures = {"count": last - first + 1, "expected_id": first, "found_id": last + 1}
    ids = f"ids {first} to {last}" if measures else "an unknown number of messages"
    detail = f"the capture lacks {ids} of {data.get('stream') or 'a stream'}: {data.get('reason')}"
    return Quality(
        kind="capture_gap",
        severity=Severity.WARN,
        detail=detail,
        from_time=received,
        to_time=received,
        measures=measures,
    )


def _boundary(stream: str, data: dict[str, Any], received: int) -> Quality:
    told = data.get("reason") if stream == "!close" else data.get("url")
    return Quality(
        kind="capture_boundary",
        severity=Severity.NOTE,
        detail=f"a connection {'closed' if stream == '!close' else 'opened'}: {told}",
        from_time=received,
        to_time=received,
    )
