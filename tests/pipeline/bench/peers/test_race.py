"""`rlx bench peers` compares answers first: a difference is told, a missing package is named."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.pipeline.bench.workbenches import named, small, without_peers

from rlx_datapipe.book.layout import IntArray
from rlx_datapipe.pipeline.bench.peers import plain, race
from rlx_datapipe.pipeline.bench.peers.race import PEERS, Peer
from rlx_datapipe.pipeline.bench.peers.stream import Asked, stream
from rlx_datapipe.simulation.updates import UpdatesConfig

TINY = stream(UpdatesConfig(seed=3, rows=3_000, levels=100))
OTHERS = ("hftbacktest", "lakeapi", "nautilus_trader")


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer.name} {peer.what} {peer.asked.name}")
def test_each_peer_that_is_installed_tells_what_we_tell(peer: Peer) -> None:
    if peer.name and find_spec(peer.name) is None:
        pytest.skip(f"{peer.name} is not installed: uv run --group dev --group peers pytest")
    figure = race.race(peer, TINY, repeats=1)
    assert figure.detail["difference"] == ""
    assert figure.detail["rows"] == 3_000
    assert figure.detail["asked"] == peer.asked.value
    assert figure.ratio == pytest.approx(figure.figure / figure.detail["rows_per_second"])
    assert (figure.target == "") == (peer.target == 0)


@pytest.fixture
def without_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without the group of peers."""
    without_peers(monkeypatch)


@pytest.mark.usefixtures("without_others")
def test_a_missing_package_is_one_sentence_and_the_others_run(tmp_path: Path) -> None:
    measured = race.measure(small(tmp_path, rows=3_000))
    missing = measured.told["missing"]
    assert sorted(missing) == sorted(OTHERS)
    for name, sentence in missing.items():
        assert sentence.startswith(f"{name} is not installed")
        assert sentence.endswith("run: uv run --group peers rlx bench peers")
    assert set(named(measured.figures)) == {
        "sortedcontainers, two SortedDict: best after each message",
        "Python, two dicts: best after each message",
    }
    assert measured.wrong == []


def test_a_planted_difference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = plain.SortedBook.answer

    def wrong(self: plain.SortedBook) -> IntArray:
        answer = right(self).copy()
        answer[3, 100] += 1
        return answer

    monkeypatch.setattr(plain.SortedBook, "answer", wrong)
    peer = Peer("sortedcontainers", "planted", ("plain", "SortedBook"), Asked.MESSAGE, target=0.001)
    figure = race.race(peer, TINY, repeats=1)
    assert figure.detail["difference"].startswith(
        f"1 of {len(TINY.ends):,} answers; the first is number 100:"
    )
    assert figure.is_met is False, "however fast: a wrong answer meets no target"


@pytest.mark.usefixtures("without_others")
def test_a_book_that_keeps_what_was_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: plain.DictBook) -> None:
        for message in self.messages:
            for side, price, quantity in message:
                if quantity:
                    side[price] = quantity
            bid, ask = max(self.bids), min(self.asks)
            self.told.append(((bid, self.bids[bid]), (ask, self.asks[ask])))

    monkeypatch.setattr(plain.DictBook, "run", forgetful)
    measured = race.measure(small(tmp_path, rows=3_000))
    assert len(measured.wrong) == 1
    assert measured.wrong[0].startswith("Python, two dicts: best after each message: ")
