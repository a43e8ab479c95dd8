"""`rlx bench peers`: one row for each book, red and status 1 where an answer is not ours."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pytest
from rich.console import Console
from tests.cli.door import rlx
from tests.depth import deep
from tests.pipeline.bench.workbenches import without_peers

from rlx_datapipe.cli.peers_table import show_peers
from rlx_datapipe.pipeline.bench.peers import plain

SMALL = ("bench", "peers", "--rows", "3000", "--repeats", "1")


@pytest.fixture(autouse=True)
def without_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without the group of peers."""
    without_peers(monkeypatch)


def test_the_table_tells_theirs_ours_and_what_is_left_out() -> None:
    said = rlx(*SMALL)
    assert said.status == 0
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0] == ["peer", "tells", "theirs", "ours", "ratio", "target", "equal"]
    assert ["sortedcontainers", version("sortedcontainers")] in lines
    row = next(line for line in lines if line[:2] == ["two", "SortedDict"])
    assert row[-1] == "✓"
    told = " ".join(said.out.split())
    for name in ("hftbacktest", "lakeapi", "nautilus_trader"):
        assert f"left out: {name} is not installed" in told
    assert told.count("run: uv run --group peers rlx bench peers") == 3


@deep
def test_the_object_names_what_is_missing_and_what_was_wrong() -> None:
    told = rlx(*SMALL, "--json").json()
    assert sorted(told["missing"]) == ["hftbacktest", "lakeapi", "nautilus_trader"]
    assert told["wrong"] == []
    for figure in told["figures"]:
        assert len(figure["detail"]["checksum"]) == 64
        assert figure["detail"]["difference"] == ""


@pytest.mark.parametrize("flags", [(), pytest.param(("--json",), marks=deep)])
def test_a_wrong_answer_is_status_one(flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain.DictBook, "answer", lambda book: np.zeros((4, 1), dtype=np.int64))
    said = rlx(*SMALL, *flags)
    assert said.status == 1
    if flags:
        assert len(said.json()["wrong"]) == 2, "both books of plain Python answer so"
    else:
        assert "wrong answer: Python, two dicts: best after each message: 1 answers, ours" in said.out


@deep
def test_the_row_of_a_wrong_answer_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    told = rlx(*SMALL, "--json").json()
    told["figures"][0]["detail"]["difference"] = "planted"
    screen = Console(force_terminal=True, color_system="standard", width=80, no_color=False)
    with screen.capture() as shown:
        show_peers(told, screen)
    rows = [line for line in shown.get().splitlines() if "two " in line]
    assert "\x1b[31m" in rows[0].split("two ")[0], rows[0]
    assert "✗" in rows[0]
    assert "\x1b[31m" not in rows[1]
