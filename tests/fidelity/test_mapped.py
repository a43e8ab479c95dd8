"""Sides in mapped files: the same numbers, and other processes get them by their place."""

from __future__ import annotations

import io
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np

from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.engine import run_metrics
from rlx_datapipe.fidelity.mapped import keep_derived, share_mapped_arrays
from rlx_datapipe.fidelity.market import Comparison
from rlx_datapipe.fidelity.synthetic import synthetic_side
from rlx_datapipe.fidelity.tiers import TierSettings


def kept(seed: int, folder: Path, name: str) -> Any:
    return keep_derived(synthetic_side(seed, name=name, windows=4), folder / name)


def sent(value: Any) -> bytes:
    share_mapped_arrays()
    out = io.BytesIO()
    ForkingPickler(out, 5).dump(value)
    return out.getvalue()


def test_what_is_kept_is_what_is_derived(tmp_path: Path) -> None:
    fresh, side = synthetic_side(3, windows=4), kept(3, tmp_path, "golden")
    for one, other in zip(fresh.windows, side.windows, strict=True):
        for kind in ("quotes", "trades"):
            assert isinstance(_root(getattr(other, kind).time_ns), np.memmap)
            for name, column in vars(getattr(one, kind)).items():
                assert np.array_equal(column, getattr(getattr(other, kind), name))


def _root(array: Any) -> Any:
    return array if isinstance(array, np.memmap) or array.base is None else _root(array.base)


def test_mapped_arrays_are_sent_by_their_place(tmp_path: Path) -> None:
    file = np.memmap(tmp_path / "file", dtype=np.int64, mode="w+", shape=(3, 100_000))
    file[:] = np.arange(300_000).reshape(3, -1)
    view = np.asarray(file)[1:, 10::2]
    content = sent(view)
    assert len(content) < 1_000
    again = ForkingPickler.loads(content)
    assert np.array_equal(again, view)
    assert again.flags.writeable, "kernels are compiled for arrays that may be written"
    again[0, 0] = -1
    assert file[1, 10] == 100_010, "what another process writes stays with it"
    plain = np.arange(7)[::2]
    assert np.array_equal(ForkingPickler.loads(sent(plain)), plain)


def test_processes_measure_what_threads_do(tmp_path: Path) -> None:
    data = Comparison(kept(1, tmp_path, "golden"), kept(2, tmp_path, "recon"))
    registry = standard_registry(with_plugins=False)
    names = [*registry.names(tier=3)[:2], "spread_l1"]
    threads, processes = (
        run_metrics(registry, data, names, TierSettings(workers=1, events_apart=apart))
        for apart in (10**9, 1)
    )
    assert processes.findings == threads.findings == []
    for name, result in threads.results.items():
        assert processes.results[name].told() == result.told()
