"""A dataset that is not finished, or not what was committed: said plainly, with the way on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.door import rlx
from tests.pipeline.captures import SPOT, capture

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatasetError, UnfinishedError
from rlx_datapipe.pipeline.book import book_at
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.store.dataset import open_dataset

SETTINGS = Settings(batch_rows=200, epoch_events=800, keyframe_events=1_000, horizon_ms=200)
OTHER = MarketConfig(duration_s=5, orders_per_s=400, levels=200, symbol="AAVEUSDT")
"""Comes before BTCUSDT, so it is finished first."""


def interrupted(sources: list[Path], out: Path) -> Path:
    """A dataset whose making was stopped in the middle of BTCUSDT."""

    def stop(progress: Progress) -> None:
        if progress.symbol == "BTCUSDT" and progress.events > 4_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct(sources, out, SETTINGS, on_progress=stop)
    return out


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("captures")
    return [capture(folder / "btc.gz", SPOT), capture(folder / "aave.gz", OTHER)]


@pytest.fixture(scope="module")
def begun(captures: list[Path]) -> Path:
    return interrupted(captures[:1], captures[0].parent / "begun")


@pytest.fixture(scope="module")
def half(captures: list[Path]) -> Path:
    return interrupted(captures, captures[0].parent / "half")


@pytest.mark.parametrize(
    "command", [["inspect"], ["inspect", "--deep"], ["book", "--event", "1"], ["validate"], ["export"]]
)
def test_without_a_finished_symbol_the_advice_is_to_go_on(
    command: list[str], begun: Path, tmp_path: Path
) -> None:
    out: list[str | Path] = ["--out", tmp_path / "lake"] if command == ["export"] else []
    said = rlx(*command, begun, *out)
    assert said.status == 3
    assert "holds no finished symbol yet" in said.sentence()
    assert "BINANCE/BTCUSDT" in said.sentence()
    assert "--resume" in said.sentence()
    assert "elete" not in said.sentence()


def test_in_python_it_is_an_error_of_its_own(begun: Path) -> None:
    for call in (open_dataset, lambda path: book_at(path, event=1)):
        with pytest.raises(UnfinishedError, match="same rlx reconstruct command with --resume"):
            call(begun)


@pytest.mark.parametrize("options", [[], ["--deep"]])
def test_what_is_missing_from_a_half_finished_dataset_is_shown(options: list[str], half: Path) -> None:
    said = rlx("inspect", half, *options)
    assert said.status == 3
    shown = " ".join(said.out.split())
    assert "1 of 2 symbols is unfinished" in shown
    assert "BINANCE/BTCUSDT: " in shown
    assert "events committed" in shown
    assert "(of the finished symbols only)" in shown
    assert "--resume" in shown
    told = rlx("inspect", half, *options, "--json")
    assert told.status == 3
    [unfinished] = told.json()["unfinished"]
    assert unfinished["chain"] == "BINANCE/BTCUSDT"
    assert unfinished["epochs"] >= 3
    assert "unfinished, not in it: BINANCE/BTCUSDT" in repr(open_dataset(half))


def test_a_whole_dataset_is_said_to_be_verified(captures: list[Path], tmp_path: Path) -> None:
    reconstruct(captures[1], tmp_path / "out", SETTINGS)
    said = rlx("inspect", tmp_path / "out", "--deep")
    assert said.status == 0
    verified = rlx("inspect", tmp_path / "out", "--deep", "--json").json()["verified"]
    assert f"verified ✓ {verified['files']} files, {verified['epochs']} epochs" in said.out
    written = [path for kind in ("parquet", "windows") for path in (tmp_path / "out").rglob(f"*.{kind}")]
    assert verified["files"] == len(written)
    assert "unfinished" not in said.out + repr(open_dataset(tmp_path / "out"))


def test_damage_is_counted_and_followed_by_what_to_do(captures: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    reconstruct(captures[1], out, SETTINGS)
    assert open_dataset(out, verify=True).events.collect().height
    for path in sorted((out / "events").rglob("*.parquet"))[:2]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    said = rlx("inspect", out, "--deep")
    assert said.status == 1
    assert "2 problems in" in said.out
    assert "Restore it whole from a backup" in said.out
    with pytest.raises(DatasetError, match=r"not what was committed .*epoch-.*and 1 more.*backup"):
        open_dataset(out, verify=True)


def test_damage_in_an_unfinished_symbol_is_found_too(captures: list[Path], tmp_path: Path) -> None:
    half = interrupted(captures, tmp_path / "half")
    path = next((half / "events").rglob("symbol=BTCUSDT/**/*.parquet"))
    path.unlink()
    said = rlx("inspect", half, "--deep")
    assert said.status == 1
    assert f"{path.relative_to(half)}: gone" in said.out
