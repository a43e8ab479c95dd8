"""The states of all stages as bytes and back: the same bytes for the same states, never code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import zstandard

from rlx_datapipe.core.state import State

SIZE_MAX = 1 << 30
"""Bytes that a checkpoint may hold, packed or unpacked; the book of a wild market needs some megabytes."""
_MAGIC = b"RLXSTATE"
_VERSION = 1
_LEVEL = 1
"""Higher levels of zstd save a few percent of the size for several times the time."""


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    """What stands before the arrays: small values by stage, and of each array its stage, name and shape."""

    version: int
    values: dict[str, dict[str, Any]]
    arrays: list[tuple[str, str, tuple[int, ...]]]


def pack(states: Mapping[str, State]) -> bytes:
    """States by stage as bytes: a word, the length of the head, the head as JSON, then all arrays as int64.

    The whole is one frame of zstd with its length and a checksum.
    """
    arrays = {
        (stage, name): np.ascontiguousarray(array, dtype="<i8")
        for stage, state in states.items()
        for name, array in state.arrays.items()
    }
    head = msgspec.json.encode(
        _Head(
            _VERSION,
            {stage: state.values for stage, state in states.items()},
            [(*key, array.shape) for key, array in arrays.items()],
        )
    )
    start = _MAGIC + len(head).to_bytes(8, "little") + head
    size = len(start) + sum(array.nbytes for array in arrays.values())
    # Piece by piece: the arrays are not copied once more.
    frame = zstandard.ZstdCompressor(_LEVEL, write_checksum=True).compressobj(size)
    packed = [frame.compress(start)]
    packed += [frame.compress(array.reshape(-1).view(np.uint8).data) for array in arrays.values()]
    return b"".join([*packed, frame.flush()])


def unpack(content: bytes) -> dict[str, State]:
    """The states that were packed.

    Raises
    ------
    ValueError
        When these are not the bytes of states, or are more than `SIZE_MAX`.
    """
    whole = _unzipped(content)
    start = len(_MAGIC) + 8
    if whole[: len(_MAGIC)] != _MAGIC or len(whole) < start:
        raise ValueError("not the states of a run")
    at = start + int.from_bytes(whole[len(_MAGIC) : start], "little")
    head = msgspec.json.decode(whole[start:at], type=_Head)
    if head.version != _VERSION:
        raise ValueError(f"states of version {head.version}; this release reads version {_VERSION}")
    states = {stage: State(values) for stage, values in head.values.items()}
    for stage, name, shape in head.arrays:
        size = math.prod(shape)
        if stage not in states or min(shape, default=0) < 0 or at + 8 * size > len(whole):
            raise ValueError("states whose arrays are not those that they tell of")
        states[stage].arrays[name] = np.frombuffer(whole, "<i8", size, at).astype(np.int64).reshape(shape)
        at += 8 * size
    if at != len(whole):
        raise ValueError("states with more bytes than they tell of")
    return states


def _unzipped(content: bytes) -> bytes:
    try:
        size = zstandard.get_frame_parameters(content).content_size
        if size > SIZE_MAX:
            raise ValueError(f"states of {size} bytes, at most {SIZE_MAX} are read")
        return zstandard.ZstdDecompressor().decompress(content)
    except zstandard.ZstdError as error:
        raise ValueError(f"not the states of a run ({error})") from error
