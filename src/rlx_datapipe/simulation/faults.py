"""Faults planted into a capture: each takes lines, as ``simulate`` yields them, and spoils one thing.

Counts begin at 0. Lines stay in the order of their receive times. A fault that finds no place to be planted
raises ``ValueError`` at the end of the lines, for a test with an unplanted fault proves nothing.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

_DEPTH_MARK: Final = b'"e":"depthUpdate"'
_SNAPSHOT_MARK: Final = b'"lastUpdateId"'


def is_depth(line: bytes) -> bool:
    """Tell whether a line is a depth update."""
    return _DEPTH_MARK in line[:160]


def is_snapshot(line: bytes) -> bool:
    """Tell whether a line is a REST snapshot."""
    return _SNAPSHOT_MARK in line[:60]


def drop_depth(lines: Iterable[bytes], k: int) -> Iterator[bytes]:
    """Leave out the k-th depth update: a gap."""
    for line, here in _at_depth(lines, k, "dropped"):
        if not here:
            yield line


def duplicate_depth(lines: Iterable[bytes], k: int) -> Iterator[bytes]:
    """Repeat the k-th depth update, 1 ns later."""
    for line, here in _at_depth(lines, k, "duplicated"):
        yield line
        if here:
            received_ns, message = _split(line)
            yield _join(received_ns + 1, message)


def swap_depth(lines: Iterable[bytes], k: int) -> Iterator[bytes]:
    """Let the depth updates k and k+1 change places; the receive times stay where they are."""
    held: list[bytes] = []
    swapped = False
    for line, here in _at_depth(lines, k, "swapped"):
        if here:
            held = [line]
        elif held and is_depth(line):
            (first_ns, first), (second_ns, second) = _split(held[0]), _split(line)
            yield _join(first_ns, second)
            yield from held[1:]
            yield _join(second_ns, first)
            held = []
            swapped = True
        elif held:
            held.append(line)
        else:
            yield line
    if not swapped:
        raise ValueError(f"depth update {k} is the last of the capture, so it could not be swapped")


def insert_garbage(
    lines: Iterable[bytes], k: int, garbage: bytes = b'17231615 {"stream":"btcu'
) -> Iterator[bytes]:
    """Put a line that cannot be parsed after line k; by default a torn one."""
    count = 0
    for line in lines:
        yield line
        if count == k:
            yield garbage
        count += 1
    if count <= k:
        raise ValueError(f"the capture has {count} lines, so no garbage could be put after line {k}")


def remove_snapshots(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Leave out every snapshot."""
    found = False
    for line in lines:
        if is_snapshot(line):
            found = True
        else:
            yield line
    if not found:
        raise ValueError("the capture has no snapshot, so none could be removed")


def delay_snapshot(lines: Iterable[bytes], n: int) -> Iterator[bytes]:
    """Let the first snapshot arrive n lines later (at the end, if there are fewer), 1 ns after the n-th."""
    late: bytes | None = None
    left = n
    last = b""
    found = False
    for line in lines:
        if not found and is_snapshot(line):
            late, found = line, True
        else:
            yield line
            last = line
            left -= late is not None
        if late is not None and left <= 0:
            yield _restamp(late, last)
            late = None
    if late is not None:
        yield _restamp(late, last)
    if not found:
        raise ValueError("the capture has no snapshot, so none could be delayed")


def corrupt_quantity(lines: Iterable[bytes], k: int, level: int = 0) -> Iterator[bytes]:
    """Add 1 to one quantity of the k-th depth update: a book error that no sequence check can see.

    ``level`` counts the levels that are not deletes, bids first.
    """
    for line, here in _at_depth(lines, k, "corrupted"):
        if not here:
            yield line
            continue
        received_ns, message = _split(line)
        envelope = json.loads(message)
        standing = [one for side in "ba" for one in envelope["data"][side] if one[1].strip("0.")]
        if not level < len(standing):
            raise ValueError(f"depth update {k} sets {len(standing)} levels, so level {level} is not there")
        whole, _, part = standing[level][1].partition(".")
        standing[level][1] = f"{int(whole) + 1}.{part}"
        yield _join(received_ns, _write(envelope))


def change_symbol(lines: Iterable[bytes], k: int, symbol: str = "LUNAUSDT") -> Iterator[bytes]:
    """Give the k-th stream message another symbol, in its body and in its stream name.

    Snapshots and lines that are no stream message are not counted.
    """
    count = 0
    for line in lines:
        if b'{"stream":' not in line[:40] or not line.endswith(b"}}"):
            yield line
            continue
        if count == k:
            received_ns, message = _split(line)
            envelope = json.loads(message)
            _, at, kind = envelope["stream"].partition("@")
            envelope["stream"] = symbol.lower() + at + kind
            envelope["data"]["s"] = symbol
            yield _join(received_ns, _write(envelope))
        else:
            yield line
        count += 1
    if count <= k:
        raise ValueError(
            f"the capture has {count} stream messages, so the symbol of {k} could not be changed"
        )


def _at_depth(lines: Iterable[bytes], k: int, deed: str) -> Iterator[tuple[bytes, bool]]:
    """Lines, each with whether it is the k-th depth update; complain if that never came."""
    count = 0
    for line in lines:
        depth = is_depth(line)
        yield line, depth and count == k
        count += depth
    if count <= k:
        raise ValueError(f"the capture has {count} depth updates, so update {k} could not be {deed}")


def _split(line: bytes) -> tuple[int, bytes]:
    """Receive time and message of a line."""
    received, _, message = line.partition(b" ")
    return int(received), message


def _join(received_ns: int, message: bytes) -> bytes:
    """Line of a receive time and a message."""
    return b"%d %b" % (received_ns, message)


def _restamp(line: bytes, last: bytes) -> bytes:
    """Let a line arrive 1 ns after another one, or when it did if there is none."""
    return _join(_split(last)[0] + 1, _split(line)[1]) if last else line


def _write(envelope: dict[str, Any]) -> bytes:
    """JSON as the venue writes it: no blanks, no escapes."""
    return json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode()
