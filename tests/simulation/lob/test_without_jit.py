"""The market is the same as plain Python, and with every array access checked."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlx_datapipe.simulation.lob.episode_kinds import (
    Iceberg,
    Layering,
    MomentumIgnition,
    QuoteStuffing,
    Spoofing,
)
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import MarketParameters, Modulation, Placement
from rlx_datapipe.simulation.lob.source import play

HERE = Path(__file__)


def digest() -> str:
    """Of all messages of three seconds with one episode of each kind."""
    episodes = (
        Spoofing(at_s=0.2, hold_ms=400, offset_ticks=1),
        Layering(at_s=0.4, hold_ms=300),
        QuoteStuffing(at_s=0.9, duration_ms=150),
        MomentumIgnition(at_s=1.2, orders=10, rest_ms=100, unwind_ms=300),
        Iceberg(at_s=1.7, duration_ms=1_000, size="1", shown="0.02", follow_ms=100),
    )
    modulation, placement = Modulation(step_s=0.1), Placement(deep_orders=150)
    parameters = MarketParameters(duration_s=3, modulation=modulation, placement=placement, episodes=episodes)
    found = hashlib.sha256()
    for batch in play(LobMarket(parameters)):
        for message in batch:
            found.update(message.stream.encode() + message.data)
    return found.hexdigest()


@pytest.mark.parametrize("switch", ["NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"])
def test_the_messages_are_the_same_with_the_switch_on(switch: str, tmp_path: Path) -> None:
    if switch == "NUMBA_BOUNDSCHECK" and not os.environ.get("RLX_TEST_BOUNDS"):
        pytest.skip("compiles everything anew for most of a minute; RLX_TEST_BOUNDS=1 does it")
    environment = os.environ | {switch: "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-W", "error", str(HERE)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.strip() == digest()


if __name__ == "__main__":
    sys.stdout.write(digest())
