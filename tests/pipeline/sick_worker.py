"""A worker that falls ill on some content: it crashes, is killed, hangs, raises, or grows."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from rlx_datapipe.core.crash import arm
from rlx_datapipe.core.feed import Frames, Parsed
from rlx_datapipe.pipeline import worker
from rlx_datapipe.venues import binance

PARSE = binance.parse
HELD: list[bytearray] = []


def fall_ill(illness: str) -> None:
    """What happens when the content is met."""
    match illness:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            while True:
                time.sleep(0.01)
        case "raise":
            raise RuntimeError("a fault of ours")
        case "grow":
            while True:
                HELD.append(bytearray(os.urandom(1 << 20) * 16))
                time.sleep(0.01)


def main() -> None:
    """Arguments: the illness, the content (or a number of commits), then those of a worker."""
    illness, content = sys.argv[1], sys.argv[2]
    if illness == "mortal":
        arm("epoch committed", int(content))

    def parse(frames: Frames, *others: Any) -> Parsed:
        if any(content.encode() in payload for payload in frames.payloads()):
            fall_ill(illness)
        return PARSE(frames, *others)

    binance.parse = parse  # type: ignore[assignment]
    worker.main()


if __name__ == "__main__":
    main()
