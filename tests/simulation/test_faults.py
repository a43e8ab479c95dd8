"""Each fault does what its name says, changes nothing else, and complains when it finds no place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise

import pytest

from rlx_datapipe.simulation import faults
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate

Fault = Callable[[Iterable[bytes]], Iterator[bytes]]


@pytest.fixture(scope="module", params=["binance-spot", "binance-usdm"])
def lines(request: pytest.FixtureRequest) -> list[bytes]:
    return list(simulate(MarketConfig(venue=request.param, duration_s=1, orders_per_s=800)))


def depths(lines: Iterable[bytes]) -> list[bytes]:
    """Messages of the depth updates, without receive times."""
    return [line[20:] for line in lines if faults.is_depth(line)]


def test_the_marks_tell_the_kinds_apart(lines: list[bytes]) -> None:
    kinds = [(faults.is_depth(line), faults.is_snapshot(line)) for line in lines]
    assert kinds.count((False, True)) == 1
    assert sum(depth for depth, _ in kinds) == len([line for line in lines if b"@depth@" in line])


def test_a_drop_leaves_out_one_depth_update(lines: list[bytes]) -> None:
    found = list(faults.drop_depth(lines, 3))
    assert [line for line in lines if line not in set(found)] == [
        line for line in lines if line[20:] == depths(lines)[3]
    ]
    assert len(found) == len(lines) - 1


def test_a_duplicate_follows_its_original(lines: list[bytes]) -> None:
    found = list(faults.duplicate_depth(lines, 0))
    twice = depths(found)[:2]
    assert twice == [depths(lines)[0]] * 2
    assert len(found) == len(lines) + 1


def test_a_swap_exchanges_two_messages_and_no_receive_time(lines: list[bytes]) -> None:
    found = list(faults.swap_depth(lines, 2))
    before, after = depths(lines), depths(found)
    assert after == [*before[:2], before[3], before[2], *before[4:]]
    assert [line[:19] for line in found] == [line[:19] for line in lines]


def test_garbage_stands_after_its_line(lines: list[bytes]) -> None:
    found = list(faults.insert_garbage(lines, 10, b"rubbish"))
    assert found == [*lines[:11], b"rubbish", *lines[11:]]
    (torn,) = set(faults.insert_garbage(lines, 10)) - set(lines)
    with pytest.raises(ValueError):
        json.loads(torn.partition(b" ")[2])


def test_a_removed_snapshot_is_gone(lines: list[bytes]) -> None:
    assert list(faults.remove_snapshots(lines)) == [line for line in lines if not faults.is_snapshot(line)]


@pytest.mark.parametrize("n", [0, 1, 50, 1_000_000])
def test_a_delayed_snapshot_comes_n_lines_later(lines: list[bytes], n: int) -> None:
    found = list(faults.delay_snapshot(lines, n))
    (old,) = (at for at, line in enumerate(lines) if faults.is_snapshot(line))
    (new,) = (at for at, line in enumerate(found) if faults.is_snapshot(line))
    assert new == min(old + n, len(lines) - 1)
    assert found[new][20:] == lines[old][20:]
    assert [line for line in found if not faults.is_snapshot(line)] == list(faults.remove_snapshots(lines))


def test_a_corrupted_quantity_is_one_too_large(lines: list[bytes]) -> None:
    found = list(faults.corrupt_quantity(lines, 4, level=1))
    ((old, new),) = ((a, b) for a, b in zip(lines, found, strict=True) if a != b)
    before, after = (json.loads(line[20:])["data"] for line in (old, new))
    changes = [
        (float(a[1]), float(b[1]))
        for side in "ba"
        for a, b in zip(before[side], after[side], strict=True)
        if a != b
    ]
    assert len(changes) == 1
    assert changes[0][1] - changes[0][0] == pytest.approx(1)
    assert changes[0][0] > 0
    assert len(old) == len(new) or len(new) == len(old) + 1


def test_a_changed_symbol_is_in_the_body_and_the_stream(lines: list[bytes]) -> None:
    found = list(faults.change_symbol(lines, 7, "ETHUSDT"))
    assert found[7] == lines[7].replace(b"BTC", b"ETH").replace(b"btc", b"eth")
    assert found[:7] + found[8:] == lines[:7] + lines[8:]


FAULTS: list[Fault] = [
    partial(faults.drop_depth, k=1),
    partial(faults.duplicate_depth, k=1),
    partial(faults.swap_depth, k=1),
    faults.remove_snapshots,
    partial(faults.delay_snapshot, n=40),
    partial(faults.corrupt_quantity, k=1),
    partial(faults.change_symbol, k=1),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_receive_times_still_rise(lines: list[bytes], fault: Fault) -> None:
    received = [int(line[:19]) for line in fault(lines)]
    assert all(earlier < later for earlier, later in pairwise(received))


@pytest.mark.parametrize("fault", [*FAULTS, partial(faults.insert_garbage, k=1)])
def test_a_fault_without_a_place_complains(fault: Fault) -> None:
    with pytest.raises(ValueError, match=r"the capture has|is the last"):
        list(fault([]))


def test_the_last_depth_update_has_no_other_to_change_places_with(lines: list[bytes]) -> None:
    with pytest.raises(ValueError, match="is the last"):
        list(faults.swap_depth(lines, len(depths(lines)) - 1))


def test_a_level_that_is_not_there_cannot_be_corrupted(lines: list[bytes]) -> None:
    with pytest.raises(ValueError, match="level 9999 is not there"):
        list(faults.corrupt_quantity(lines, 0, level=9_999))
