"""Windows that slide, and chances that keep to their seed."""

from __future__ import annotations

from rlx_datapipe.simulation.exchange.chance import Chance
from rlx_datapipe.simulation.exchange.limits import Window, Windows


def test_a_window_holds_what_was_used_in_its_seconds() -> None:
    window = Window(10.0)
    assert [window.add(now_s, 2) for now_s in (0.0, 4.0, 9.9)] == [2, 4, 6]
    assert window.free_after_s(9.9) == 0.0 + 10.0 - 9.9
    assert window.look(10.0) == 4
    assert window.look(25.0) == 0
    assert window.free_after_s(25.0) == 0.0


def test_addresses_have_windows_of_their_own_and_no_more_than_may_be() -> None:
    windows = Windows(10.0, addresses_max=2)
    windows.of("a").add(0.0)
    windows.of("b").add(0.0)
    assert windows.of("a").used == 1
    windows.of("c").add(0.0)
    assert windows.of("a").used == 0


def test_a_chance_keeps_to_its_rate_and_its_seed() -> None:
    def told(seed: str) -> list[bool]:
        chance = Chance(0.01, (), seed)
        return [chance.happens() for _ in range(100_000)]

    assert 850 < sum(told("1")) < 1150
    assert told("1") == told("1") != told("2")


def test_what_is_certain_happens_and_what_has_no_rate_never() -> None:
    chance = Chance(0.0, (0, 3), "x")
    assert [chance.happens() for _ in range(5)] == [True, False, False, True, False]
    assert all(Chance(1.0, (), "x").happens() for _ in range(5))
