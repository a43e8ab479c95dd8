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
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_MALLOC = {_MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 512 << 20, _ARENA_MAX: 1}
"""Parameters of ``mallopt`` by their numbers in glibc's ``malloc.h``. 32 MB is the most that it takes for the
first. One arena for all threads: what another one frees is there for each."""
STARTED_WITH = {"NUMPY_MADVISE_HUGEPAGE": "0"}
"""Variables for processes of our own, read when NumPy is loaded: the pages of a process that lives for
seconds are cheaper made small, one after the other, than huge at once. What the user has set goes before."""


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


def keep_freed_memory() -> None:
    """Let this process keep the memory of freed arrays for the next ones, which are as large.

    Given back to the system each time, pages come back one fault each, and zeroed: a tenth of a run. For
    processes of our own, before their threads start; `drop_caches` still gives back what is free. Does
    nothing where the C library is not glibc.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is not None:
        for parameter, value in _MALLOC.items():
            tell(parameter, value)


def spare_the_living() -> None:
    """Take all objects that there are now out of garbage collection: modules and kernels live to the end.

    A full collection looked at each of them, 50 ms at a time, while all other threads stood still. For
    processes of our own, once they are loaded; what they make from then on is collected as ever.
    """
    gc.freeze()


def drop_caches() -> None:
    """Give memory that is free, but kept for later, back to the system. Takes some tens of ms."""
    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(0)
