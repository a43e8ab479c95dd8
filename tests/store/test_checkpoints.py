"""Checkpoints come back as they were, with the same bytes each time; nothing damaged is believed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import zstandard

from rlx_datapipe.core.errors import DatasetError, OutputError
from rlx_datapipe.core.state import State
from rlx_datapipe.store import state_bytes
from rlx_datapipe.store.checkpoints import KEPT, CheckpointManager, MemoryStates, PipelineStateProvider
from rlx_datapipe.store.files import FileRecord
from rlx_datapipe.store.state_bytes import pack, unpack


def states() -> dict[str, State]:
    return {
        "replay": State(
            {"is_opened": True, "share": 0.1, "names": ["a", None]},
            {"book": np.arange(-5, 995), "empty": np.zeros((0, 3), dtype=np.int64)},
        ),
        "sink": State({"a/b": {"rows": 2**62}}, {"grid/1": np.arange(12).reshape(3, 4)[:, ::2]}),
    }


def same(found: dict[str, State], expected: dict[str, State]) -> bool:
    return (
        list(found) == list(expected)
        and all(found[stage].values == expected[stage].values for stage in expected)
        and all(found[stage].arrays.keys() == expected[stage].arrays.keys() for stage in expected)
        and all(
            array.dtype == np.int64 and np.array_equal(array, expected[stage].arrays[name])
            for stage in found
            for name, array in found[stage].arrays.items()
        )
    )


def manager(folder: Path) -> CheckpointManager:
    return CheckpointManager(folder, "BINANCE", "BTC/USDT")


def test_states_come_back_by_the_same_bytes() -> None:
    content = pack(states())
    assert content == pack(states())
    assert same(unpack(content), states())
    assert unpack(content)["replay"].arrays["book"].flags.writeable


def test_every_cut_and_every_flipped_bit_is_refused() -> None:
    content = pack({"a": State({"b": 1}, {"c": np.arange(3)})})
    for size in range(len(content)):
        with pytest.raises(ValueError, match=r"."):
            unpack(content[:size])
    for bit in range(32, 8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            found = unpack(bytes(flipped))
        except ValueError:
            continue
        # A bit of the frame's header that means nothing may pass: the states are the same then.
        assert same(found, {"a": State({"b": 1}, {"c": np.arange(3)})})


def test_lies_about_lengths_are_refused() -> None:
    def whole(head: object, rest: bytes) -> bytes:
        told = msgspec.json.encode(head)
        return zstandard.compress(b"RLXSTATE" + len(told).to_bytes(8, "little") + told + rest)

    honest = {"version": 1, "values": {"a": {}}, "arrays": [["a", "x", [2]]]}
    assert same(unpack(whole(honest, bytes(16))), {"a": State({}, {"x": np.zeros(2, dtype=np.int64)})})
    for change in (
        {"version": 2},
        {"more": 1},
        {"arrays": [["a", "x", [3]]]},
        {"arrays": [["a", "x", [1]]]},
        {"arrays": [["a", "x", [-2]]]},
        {"arrays": [["a", "x", [2**40, 2**40]]]},
        {"arrays": [["unknown", "x", [2]]]},
    ):
        with pytest.raises(ValueError, match=r"."):
            unpack(whole({**honest, **change}, bytes(16)))


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    content = pack({"a": State({}, {"zeros": np.zeros(100_000, dtype=np.int64)})})
    assert len(content) < 1_000
    monkeypatch.setattr(state_bytes, "SIZE_MAX", 100_000)
    with pytest.raises(ValueError, match="at most 100000 are read"):
        unpack(content)


@pytest.mark.parametrize("is_kept_on_disk", [True, False])
def test_each_provider_keeps_the_last_three_and_gives_them_back(
    tmp_path: Path, *, is_kept_on_disk: bool
) -> None:
    provider: PipelineStateProvider = manager(tmp_path) if is_kept_on_disk else MemoryStates()
    records: list[FileRecord | None] = []
    for epoch in range(6):
        records.append(provider.prepare(epoch, {"stage": State({"epoch": epoch})})())
        provider.collect(epoch)
    for epoch in range(6 - KEPT, 6):
        assert provider.load(epoch, records[epoch])["stage"].values == {"epoch": epoch}
    with pytest.raises(DatasetError):
        provider.load(5 - KEPT, records[5 - KEPT])
    provider.drop(5)
    provider.drop(5)
    with pytest.raises(DatasetError):
        provider.load(5, records[5])
    records[5] = provider.prepare(5, {"stage": State({"epoch": 5})})()
    assert provider.load(5, records[5])["stage"].values == {"epoch": 5}
    provider.collect(None)
    with pytest.raises(DatasetError):
        provider.load(5, records[5])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_only_the_committed_bytes_are_read(tmp_path: Path) -> None:
    provider = manager(tmp_path)
    record = provider.prepare(4, states())()
    assert same(provider.load(4, record), states())
    path = tmp_path / record.path
    content = path.read_bytes()
    other = pack({"replay": State()})
    for spoilt in (other, content[:-1], content + b"\0", content[:-1] + bytes([content[-1] ^ 1])):
        path.write_bytes(spoilt)
        with pytest.raises(DatasetError, match=r"has \d+ bytes|is not the checkpoint that was committed"):
            provider.load(4, record)
    with pytest.raises(DatasetError, match="not where a checkpoint lies"):
        provider.load(4, msgspec.structs.replace(record, path="../other.state"))
    with pytest.raises(DatasetError, match="kept its states in memory"):
        provider.load(4, None)


def test_a_checkpoint_is_never_replaced(tmp_path: Path) -> None:
    provider = manager(tmp_path)
    provider.prepare(0, states())()
    with pytest.raises(OutputError, match="there already"):
        provider.prepare(0, states())()
