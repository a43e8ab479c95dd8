"""A recorder on small disks of its own that fill up and get room again; tells what it held of each run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from tests.capture.scripted import RING, lines, recorder, trade, trades

from rlx_datapipe.capture.limits import RecorderLimits
from rlx_datapipe.core.errors import DatapipeError, OutputError

COUNT = 400
LIMITS = RecorderLimits(gather_bytes=1_000, ballast_bytes=16_384, resume_bytes=49_152)


def mount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)


def run(disk: Path, options: str, room: str) -> dict[str, Any]:
    """One capture on a disk that fills up; thirty trades behind that it gets room.

    ``options`` are those of the mount, and behind a slash the bytes at which the log is rotated; a third word
    asks for threads.
    """
    options, rotate_bytes, *threads = options.split("/")
    limits = msgspec.structs.replace(LIMITS, rotate_bytes=int(rotate_bytes))
    mount(disk, options)
    told: dict[str, Any] = {}
    try:
        into = recorder(disk / "c", RING, limits=limits, in_background=bool(threads))
        full_since = -1
        for number in range(COUNT):
            into.record(trade(number))
            if number % 3 == 0:
                into.tick_now()
            if into.status.state == "disk full" and full_since < 0:
                full_since = number
                told["has_failed"] = into._writer.has_failed
            if full_since >= 0 and number == full_since + 30:
                mount(disk, f"remount,{room}")
        if full_since < 0 or full_since + 30 >= COUNT:
            mount(disk, f"remount,{room}")
        while into.status.state == "disk full":
            into.tick_now()
        told |= {"full_since": full_since, "lost": into.status.lost_records}
        told["sealing_problem"] = into.status.sealing_problem
        into.close()
        told["trades"] = trades(disk / "c", RING)
        told["gaps"] = [line["data"] for line in lines(disk / "c", RING) if line["stream"] == "!gap"]
        told["open"] = [path.name for path in (disk / "c" / "open").iterdir()]
    except (OutputError, DatapipeError) as error:
        told["error"] = str(error)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    return told


if __name__ == "__main__":
    for given in sys.argv[2:]:
        sys.stdout.write(json.dumps(run(Path(sys.argv[1]), given, "size=64m,nr_inodes=1000")) + "\n")
