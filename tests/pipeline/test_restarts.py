"""What follows a death: another life, a skipped range, one last try, or the end for this run."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.config import Settings
from rlx_datapipe.pipeline.job import Begins
from rlx_datapipe.pipeline.restarts import GiveUp, Poison, Restarts, Retry

SETTINGS = Settings(tries_max=3, skips_max=2, restart_ms=100, probe_ms=5_000)
HERE, THERE = Begins(0, 1, 200), Begins(0, 201, 400)
Death = tuple[int, Begins | None]


class Clock:
    """Seconds, as far as they were waited for."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def followed(deaths: list[Death], settings: Settings = SETTINGS) -> list[Retry | Poison | GiveUp]:
    """What follows each death, until it is given up; every wait is waited for."""
    clock = Clock()
    restarts = Restarts(settings, "BTCUSDT", clock)
    found: list[Retry | Poison | GiveUp] = []
    for epochs, suspect in deaths:
        restarts.starts()
        found.append(restarts.died(epochs, suspect))
        if isinstance(found[-1], GiveUp):
            break
        clock.now += found[-1].wait_s
    return found


def kinds(deaths: list[Death], settings: Settings = SETTINGS) -> list[str]:
    return [type(each).__name__ for each in followed(deaths, settings)]


def test_the_first_life_can_not_tell_the_next_two_can() -> None:
    assert kinds([(0, None), (0, HERE), (0, HERE)]) == ["Retry", "Retry", "Poison"]
    [*_, poison] = followed([(0, None), (0, HERE), (0, HERE)])
    assert isinstance(poison, Poison)
    assert poison.rows == HERE


def test_deaths_at_different_rows_are_no_poison() -> None:
    assert kinds([(0, None), (0, HERE), (0, THERE), (0, HERE)]) == ["Retry", "Retry", "Retry", "GiveUp"]


def test_without_a_suspect_there_is_one_probe_after_the_pause_and_then_an_end() -> None:
    first, second, probe, end = followed([(0, None)] * 9)
    assert isinstance(first, Retry)
    assert first.wait_s <= 0.1
    assert isinstance(second, Retry)
    assert second.wait_s <= 0.2
    assert probe == Retry(5.0)
    assert end == GiveUp(4)


def test_a_commit_between_deaths_wipes_the_slate() -> None:
    assert kinds([(n, None) for n in range(50)]) == ["Retry"] * 50
    assert kinds([(0, None), (0, None), (1, None), (1, None), (1, None), (1, None)])[-1] == "GiveUp"
    assert len(kinds([(0, None), (0, None), (1, None), (1, None), (1, None), (1, None)])) == 6


def test_no_more_is_skipped_than_allowed() -> None:
    rounds: list[Death] = [(0, None), (0, HERE), (0, HERE)]
    found = kinds(rounds * 9)
    assert found.count("Poison") == 2
    assert found[-1] == "GiveUp"


def test_one_try_can_be_all() -> None:
    assert kinds([(0, HERE)], Settings(tries_max=1, skips_max=1, probe_ms=1)) == ["Poison"]
    assert kinds([(0, None)] * 3, Settings(tries_max=1, probe_ms=1)) == ["Retry", "GiveUp"]


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from([None, HERE, THERE])), max_size=60),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_without_commits_it_always_ends(
    steps: list[tuple[int, Begins | None]], tries: int, skips: int
) -> None:
    settings = Settings(tries_max=tries, skips_max=skips, restart_ms=1, probe_ms=1)
    epochs, deaths = 0, []
    for commits, suspect in steps:
        epochs += commits
        deaths.append((epochs, suspect))
    found = followed(deaths, settings)
    assert sum(isinstance(each, Poison) for each in found) <= skips
    stretches = "".join("c" if later[0] > earlier[0] else "." for earlier, later in pairwise(deaths))
    longest = max((len(part) for part in stretches[: len(found)].split("c")), default=0)
    assert longest <= (tries + 1) * (skips + 1)
