"""The chain of commits against a log that was changed, or is older, and against another version."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from tests.cli.door import rlx
from tests.depth import deep, thinned
from tests.pipeline.captures import SPOT, capture, variables

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatapipeError, DatasetError, OutputError
from rlx_datapipe.core.schema import TABLES
from rlx_datapipe.pipeline import chain
from rlx_datapipe.pipeline.inspect import inspect
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.commits import read_commits
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.store.files import locked

SETTINGS = Settings(batch_rows=200, epoch_events=800, keyframe_events=1_000, horizon_ms=200)
CHAIN = ("BINANCE", "BTCUSDT")
Contents = dict[str, bytes]


def interrupted(source: Path, out: Path, events: int) -> Path:
    def stop(progress: Progress) -> None:
        if progress.events > events:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct(source, out, SETTINGS, on_progress=stop, resume=True)
    return out


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return capture(tmp_path_factory.mktemp("source") / "capture.gz", SPOT)


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One dataset at three moments: an early one, a later one, and finished."""
    folder = tmp_path_factory.mktemp("made")
    whole = folder / "whole"
    reconstruct(source, whole, SETTINGS)
    early = interrupted(source, folder / "early", 2_000)
    shutil.copytree(early, folder / "later")
    return {"early": early, "later": interrupted(source, folder / "later", 5_000), "whole": whole}


@pytest.fixture
def whole(made: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made["whole"], tmp_path / "dataset"))


@pytest.fixture
def later(made: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made["later"], tmp_path / "dataset"))


def resume(source: Path, out: Path) -> str:
    digest: str = reconstruct(source, out, SETTINGS, resume=True)["digest"]
    return digest


def contents(folder: Path) -> Contents:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def entries(dataset: Path, table: str = "events") -> list[Path]:
    """Entries of a log: the first makes the table, the next is epoch 0."""
    return sorted((dataset / table / "_delta_log").glob("*.json"))


def test_the_datasets_of_these_tests_are_what_they_seem(source: Path, made: dict[str, Path]) -> None:
    epochs = {name: len(read_commits(folder, *CHAIN)) for name, folder in made.items()}
    assert epochs == {"early": 2, "later": 5, "whole": 8}
    assert not {path.name for path in made["early"].rglob("*.state")} & {
        path.name for path in made["later"].rglob("*.state")
    }
    assert inspect(made["whole"], deep=True)["problems"] == []
    assert open_dataset(made["whole"]).events.collect().height > 0


# Commits changed, missing, swapped, doubled (F12)


def refused_everywhere(dataset: Path, source: Path, told: str) -> None:
    """Readers refuse it, the deep inspection tells it, a run does not go on, and nothing is touched."""
    before = contents(dataset)
    with pytest.raises(DatasetError, match=re.escape(told)):
        open_dataset(dataset)
    said = rlx("inspect", dataset, "--deep", "--json")
    assert said.status == 1
    assert any(told in problem for problem in said.json()["problems"]), said.json()["problems"]
    assert rlx("inspect", dataset).status == 2
    with pytest.raises(DatapipeError):
        resume(source, dataset)
    assert contents(dataset) == before


def test_every_changed_commit_is_told_with_its_epoch(source: Path, whole: Path) -> None:
    for epoch, entry in enumerate(entries(whole)[1:]):
        text = entry.read_text()
        entry.write_text(text.replace('\\"writer\\":\\"', '\\"writer\\":\\"x'))
        refused_everywhere(whole, source, f"epoch {epoch} changed")
        entry.write_text(text)
    assert open_dataset(whole)


def test_the_newest_commit_missing_is_told(source: Path, whole: Path) -> None:
    entry = entries(whole)[-1]
    epoch = len(entries(whole)) - 2
    entry.unlink()
    refused_everywhere(whole, source, f"the last commit is missing (the newest here is epoch {epoch - 1})")


def test_any_other_commit_missing_is_told(source: Path, whole: Path) -> None:
    for number, entry in enumerate(entries(whole)[:-1]):
        hidden = entry.rename(whole / "hidden")
        reason = f"version {number} is missing" if number else "log of table 'events' can't be read"
        refused_everywhere(whole, source, reason)
        hidden.rename(entry)


def test_any_two_commits_swapped_are_told(source: Path, whole: Path) -> None:
    held = entries(whole)
    for epoch, (one, other) in enumerate(pairwise(held[1:])):
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
        refused_everywhere(whole, source, f"epoch {epoch + 1} behind {epoch} epochs")
        one.write_bytes(first)
        other.write_bytes(second)


def test_any_commit_doubled_is_told(source: Path, whole: Path) -> None:
    held = entries(whole)
    doubled = held[-1].with_name(f"{len(held):020d}.json")
    for epoch, entry in enumerate(held[1:]):
        shutil.copyfile(entry, doubled)
        refused_everywhere(whole, source, f"epoch {epoch} behind {len(held) - 1} epochs")
        doubled.unlink()


def test_a_flipped_bit_in_a_log_never_changes_what_is_read(whole: Path) -> None:
    """Anywhere in an entry of any table: told, or of no consequence."""
    dice = random.Random(12)
    digest = inspect(whole)["digest"]
    told = 0
    for table in TABLES:
        for _ in range(12):
            entry = dice.choice(entries(whole, table))
            content = entry.read_bytes()
            flipped = bytearray(content)
            at = dice.randrange(len(content))
            flipped[at] ^= 1 << dice.randrange(8)
            entry.write_bytes(flipped)
            try:
                assert inspect(whole)["digest"] == digest, (table, entry.name, at)
            except DatapipeError:
                told += 1
            entry.write_bytes(content)
    assert told > 20


# Partly put back from an older backup (F20)

LOGS = [f"{table}/_delta_log" for table in TABLES]


def put_back(dataset: Path, older: Path, part: str) -> None:
    if (dataset / part).exists():
        shutil.rmtree(dataset / part)
    if (older / part).exists():
        shutil.copytree(older / part, dataset / part)


@pytest.mark.parametrize("part", [*LOGS, *TABLES, "checkpoints", "chains"])
@pytest.mark.parametrize(
    "states", [("later", "early"), ("whole", "later"), pytest.param(("whole", "early"), marks=deep)]
)
def test_part_of_an_older_backup_is_refused_or_redone_to_the_same(
    part: str, states: tuple[str, str], source: Path, made: dict[str, Path], tmp_path: Path
) -> None:
    dataset = Path(shutil.copytree(made[states[0]], tmp_path / "dataset"))
    put_back(dataset, made[states[1]], part)
    expected = inspect(made["whole"])["digest"]
    before = contents(dataset)
    if states[0] == "whole" and part not in ("checkpoints", "chains"):
        with pytest.raises(DatasetError):
            open_dataset(dataset)
        assert rlx("inspect", dataset, "--deep", "--json").status == 1
    try:
        redone = resume(source, dataset)
    except DatapipeError:
        assert part not in ("checkpoints", "chains"), "there is enough to go on with"
        assert contents(dataset) == before, "nothing is touched: the rest can still be put back"
    else:
        assert redone == inspect(dataset, deep=True)["digest"] == expected


@pytest.mark.parametrize("table", [table for table in TABLES if table != "events"])
def test_a_table_behind_the_commits_is_told(
    table: str, source: Path, later: Path, made: dict[str, Path]
) -> None:
    put_back(later, made["early"], f"{table}/_delta_log")
    with pytest.raises(DatasetError) as caught:
        resume(source, later)
    assert str(caught.value) == (
        f"{later}: BINANCE/BTCUSDT: the log of table '{table}' is older than the commits "
        "(it knows epochs to 1, committed are those to 4). Restore it whole from a backup, or reconstruct it"
    )


@pytest.mark.parametrize("epochs", [1, 2])
def test_events_behind_the_tables_is_redone_to_the_same(
    epochs: int, source: Path, later: Path, made: dict[str, Path]
) -> None:
    for entry in entries(later)[-epochs:]:
        entry.unlink()
    assert resume(source, later) == inspect(later, deep=True)["digest"] == inspect(made["whole"])["digest"]


def test_a_log_that_names_other_files_is_refused(source: Path, whole: Path) -> None:
    """The commit is sound, but the list of files beside it, by which all is read, lacks one."""
    entry = next(e for e in entries(whole, "books")[1:] if '"add"' in e.read_text())
    lines = [line for line in entry.read_text().splitlines() if '"add"' not in line]
    entry.write_text("\n".join(lines) + "\n")
    refused_everywhere(
        whole, source, "the log of table 'books' names other files than the commits (1 missing"
    )


# Another version of the program, in the middle of a chain (F21)


def test_each_commit_names_its_writer(
    source: Path, later: Path, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_commits(later, *CHAIN)
    monkeypatch.setattr(chain, "WRITER", "rlx-datapipe 99.0")
    assert resume(source, later) == inspect(made["whole"])["digest"]
    after = read_commits(later, *CHAIN)
    assert after[: len(before)] == before, "old epochs stand"
    assert {commit.writer for commit in before}.isdisjoint({"rlx-datapipe 99.0"})
    assert {commit.writer for commit in after[len(before) :]} == {"rlx-datapipe 99.0"}
    assert inspect(later, deep=True)["problems"] == []


def test_a_table_ahead_that_would_differ_stops_the_run(
    source: Path, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version that writes other bytes must not mix them into an epoch that was begun."""
    entries(later)[-1].unlink()
    ahead = next(later.glob("books/**/epoch-0000000004.parquet"))
    ahead.write_bytes(ahead.read_bytes() + b"as another version would have written it")
    kept = ahead.read_bytes()
    commits = read_commits(later, *CHAIN)
    monkeypatch.setattr(chain, "WRITER", "rlx-datapipe 99.0")
    for _ in range(2):
        with pytest.raises(OutputError) as caught:
            resume(source, later)
        assert str(caught.value) == (
            f"{ahead}: is not the same to the byte as it is written now. "
            "Resume with the version that began it, or reconstruct in a new folder"
        )
    assert ahead.read_bytes() == kept
    assert read_commits(later, *CHAIN) == commits


# Foreign names (F23)


def strange_names(dice: random.Random, ours: str) -> list[str]:
    """Names that are nearly ours: one character changed, put in or left out."""
    names = []
    for _ in range(12):
        at = dice.randrange(len(ours))
        letter = dice.choice("aZ9-._ ~")
        names += [
            ours[:at] + letter + ours[at + 1 :],
            ours[:at] + letter + ours[at:],
            ours[:at] + ours[at + 1 :],
        ]
    return names


def test_names_that_are_not_ours_are_never_deleted(source: Path, later: Path, made: dict[str, Path]) -> None:
    dice = random.Random(23)
    date = next((later / "events").rglob("date=*"))
    checkpoints = next(later.rglob("*.state")).parent
    foreign: list[Path] = []
    for folder, suffix in ((date, ".parquet"), (checkpoints, ".state")):
        for ours in (f"epoch-0000000077{suffix}", f".epoch-0000000077{suffix}.partial"):
            is_ours = re.compile(rf"epoch-\d{{10}}{suffix}|\.epoch-\d{{10}}{suffix}\.partial")
            names = {name for name in strange_names(dice, ours) if not is_ours.fullmatch(name)}
            foreign += [folder / name for name in sorted(names)]
            (folder / ours).write_text("left by a crash")
    foreign += [
        later / "notes.txt",
        later / "events" / "epoch-0000000077.parquet",
        later / "checkpoints" / "x",
    ]
    for path in foreign:
        path.write_text("mine")
    assert resume(source, later) == inspect(later, deep=True)["digest"] == inspect(made["whole"])["digest"]
    assert [path for path in foreign if not path.is_file() or path.read_text() != "mine"] == []
    assert len(foreign) > 80
    assert not list(later.rglob("*epoch-0000000077.parquet.partial"))
    assert not (date / "epoch-0000000077.parquet").exists()


# Two starts (F74)

HOLDER = """
import sys, time
from pathlib import Path
from rlx_datapipe.store.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_other_writer_is_told_by_its_pid(source: Path, later: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(later)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        said = rlx("reconstruct", source, "--out", later, "--resume", env=variables(SETTINGS))
        holder.kill()
    assert said.status == 2
    assert f"is being written by another process (pid {holder.pid}). Wait for it" in said.sentence()
    assert (later / ".lock").read_text() == str(holder.pid), "as a killed process leaves it"
    with locked(later):
        pass
    assert (later / ".lock").read_bytes() == b""


def test_a_lock_that_tells_nothing_is_a_lock(tmp_path: Path) -> None:
    for left in (b"", b"no number", "\u0661\u0662".encode(), b"9" * 30):
        (tmp_path / ".lock").write_bytes(left)
        with locked(tmp_path):
            (tmp_path / ".lock").write_bytes(left)
            with pytest.raises(OutputError, match="is being written by another process"), locked(tmp_path):
                pass


@pytest.mark.parametrize("name", thinned(["a#b", "who?", "sp ace", "run=1"], 2))
def test_the_chain_is_found_in_a_folder_of_any_name(
    name: str, source: Path, later: Path, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(later.parent)
    later.rename(name)
    assert len(read_commits(Path(name), *CHAIN)) == 5
    with pytest.raises(DatasetError, match="other settings"):
        reconstruct(source, name, Settings(batch_rows=100), resume=True)
    assert (
        resume(source, Path(name)) == inspect(name, deep=True)["digest"] == inspect(made["whole"])["digest"]
    )
    assert inspect(name, deep=True)["problems"] == []
