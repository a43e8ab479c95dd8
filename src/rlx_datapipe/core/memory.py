"""Memory of this process: how much it holds, and how to give back what it does not need."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import resource
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
_STATUS = Path("/proc/self/status")
_PEAK = re.compile(rb"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Bytes of memory that this process holds now.

    Where there is no ``/proc`` it is the most that the process ever held: a limit is still kept, but what
    was begun to keep it is not ended again.
    """
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return peak_bytes()


def peak_bytes() -> int:
    """The most bytes of memory that this program ever held.

    ``getrusage`` also counts the moment before the program was loaded into a new process, when the memory
    was that of the parent; it is asked only where there is no ``/proc``.
    """
    try:
        told = _PEAK.search(_STATUS.read_bytes())
    except OSError:
        told = None
    if told:
        return int(told[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # The one figure with two units: bytes on macOS, KiB elsewhere.
    return peak if sys.platform == "darwin" else peak * 1024


def drop_caches() -> None:
    """Give memory that is free, but kept for later, back to the system. Takes some tens of ms."""
    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(0)
