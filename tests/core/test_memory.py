"""What memory this process holds, and giving back what it does not need."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rlx_datapipe.core import memory


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_it_follows_what_is_held() -> None:
    before = memory.resident_bytes()
    held = np.ones(8_000_000)
    during = memory.resident_bytes()
    assert during - before > 0.9 * held.nbytes
    del held
    memory.drop_caches()
    assert memory.resident_bytes() - before < 0.5 * (during - before)


def test_without_proc_the_peak_stands_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("_STATM", "_STATUS"):
        monkeypatch.setattr(memory, name, tmp_path / "absent")
    assert memory.resident_bytes() == memory.peak_bytes() > 10_000_000


@pytest.mark.parametrize(("platform", "factor"), [("linux", 1024), ("darwin", 1)])
def test_the_peak_has_one_unit_on_every_platform(
    platform: str, factor: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "absent")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert memory.peak_bytes() == peak * factor


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_the_peak_is_this_programs_own() -> None:
    held = np.ones(20_000_000)
    ask = "from rlx_datapipe.core.memory import peak_bytes; print(peak_bytes())"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert int(told.stdout) < held.nbytes < memory.peak_bytes()


_ROUNDS = """
import resource, sys
import numpy as np
from rlx_datapipe.core.memory import drop_caches, keep_freed_memory, resident_bytes
if sys.argv[1] == "keeps":
    keep_freed_memory()
before = resident_bytes()
for _ in range(2):
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [np.ones(400_000) for _ in range(20)]
    del held
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
kept = resident_bytes() - before
drop_caches()
print(faults, kept, resident_bytes() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_freed_memory_is_kept_for_the_next_arrays_until_caches_are_dropped() -> None:
    def rounds(how: str) -> list[int]:
        command = [sys.executable, "-c", _ROUNDS, how]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        return [int(word) for word in told.stdout.split()]

    faults, kept, left = rounds("keeps")
    assert faults < 1_000 < rounds("gives back")[0]
    assert left < 40_000_000
    assert kept > 60_000_000
