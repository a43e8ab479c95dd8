"""The program of a process that reports on what a reconstruction has committed: with guests, and apart."""

from __future__ import annotations

import os
import signal
import sys

from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.pipeline.child import die_with
from rlx_datapipe.pipeline.fidelity_order import fulfil
from rlx_datapipe.pipeline.fidelity_told import Answer, decode_order, encode


def main() -> None:
    """Do the order on the standard input; arguments: our pipe, -1, the parent."""
    telling, _, parent = (int(argument) for argument in sys.argv[-3:])
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = decode_order(sys.stdin.buffer.readline())
    try:
        answer = fulfil(order)
    except DatapipeError as error:
        answer = Answer(problem=str(error))
    line = encode(answer)
    while line:
        line = line[os.write(telling, line) :]


if __name__ == "__main__":
    main()
