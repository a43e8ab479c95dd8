"""What a terminal shows: nothing cut, nothing false, and the picture in the documentation is the output."""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from rich.console import Console
from tests.cli.door import RLX, rlx, rlx_process
from tests.cli.test_door import in_terminal
from tests.depth import deep
from tests.pipeline.captures import SPOT, capture, three_symbols

import picture
from rlx_datapipe.cli.summary import overview_table
from rlx_datapipe.simulation.config import MarketConfig

NARROW = {"COLUMNS": "80"}
OTHER = MarketConfig(duration_s=5, orders_per_s=400, levels=200, symbol="ETHUSDT")
LEVEL = re.compile(r"^ *[▐█]* *(\d+\.\d+)  (\d+\.\d+)  (\d+\.\d+)  +(\d+\.\d+) *[█▌]*$")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which `rlx demo` ran as the README says it."""
    folder = tmp_path_factory.mktemp("screens")
    said = rlx_process("demo", env=NARROW, cwd=folder)
    assert said.status == 0, said.err
    (folder / "shown.txt").write_text(said.out, "utf-8")
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two symbols."""
    folder = tmp_path_factory.mktemp("two")
    sources = [capture(folder / "btc.gz", SPOT), capture(folder / "eth.gz", OTHER)]
    said = rlx_process("reconstruct", *sources, "--out", folder / "dataset", env=NARROW)
    assert said.status == 0, said.err
    (folder / "shown.txt").write_text(said.out, "utf-8")
    return folder


def commands(shown: str) -> list[str]:
    """The commands that a screen says to try next; under uv they begin with its own."""
    return [line.strip().removeprefix("uv run ") for line in shown.split("Try next\n")[1].splitlines()]


@deep
def test_the_picture_is_what_the_demo_leads_to(demo: Path) -> None:
    command, *drawn = picture.lines(picture.TARGET.read_text("utf-8"))
    assert command.startswith(commands((demo / "shown.txt").read_text("utf-8"))[0])
    said = rlx_process(*command.split()[1:], env={"COLUMNS": str(picture.WIDTH)}, cwd=demo)
    assert said.out.splitlines() == drawn


def test_a_fresh_drawing_reads_as_the_picture(demo: Path) -> None:
    command = picture.lines(picture.TARGET.read_text("utf-8"))[0]
    event = int(re.findall(r"--event (\d+)", command)[0])
    fresh = picture.drawing(demo / "rlx-demo" / "dataset", event)
    assert picture.lines(fresh) == picture.lines(picture.TARGET.read_text("utf-8"))


def test_the_demo_says_nothing_false_or_frightening(demo: Path) -> None:
    shown = (demo / "shown.txt").read_text("utf-8")
    assert "…" not in shown
    assert "events/s" not in shown
    assert re.search(r"^ · note +trades_at_touch", shown, re.MULTILINE)
    assert re.search(
        r"^ clock +[\d,]+  [\d.]+% of events early: recorder's clock behind", shown, re.MULTILINE
    )
    assert shown.index("Try next") > shown.index("verdict")


def test_the_demo_ends_with_a_fidelity_report_to_be_proud_of(demo: Path) -> None:
    shown = (demo / "shown.txt").read_text("utf-8")
    passed = re.search(
        r"^✓ PASS +(\d+) of (\d+) metrics are equivalent to golden, all gates", shown, re.MULTILINE
    )
    assert passed
    assert int(passed[2]) - int(passed[1]) <= 3, "jumps alone need more than a minute a window"
    assert "like its capture?  rlx-demo/fidelity/fidelity.html\n" in shown
    assert (demo / "rlx-demo" / "fidelity" / "fidelity.html").is_file()
    assert not re.search(r"^For ", shown, re.MULTILINE)


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_numbers_of_the_book_are_never_cut(columns: int, demo: Path) -> None:
    dataset = demo / "rlx-demo" / "dataset"
    out = rlx_process("book", dataset, "--event", "80068", env={"COLUMNS": str(columns)}).out
    told = rlx("book", dataset, "--event", "80068", "--depth", "20", "--json").json()
    levels = [found.groups() for line in out.splitlines() if (found := LEVEL.match(line))]
    assert len(levels) == 20, out
    for (bid_quantity, bid, ask, ask_quantity), bids, asks in zip(
        levels, told["bids"], told["asks"], strict=True
    ):
        for shown, exact in (
            (bid, bids[0]),
            (bid_quantity, bids[1]),
            (ask, asks[0]),
            (ask_quantity, asks[1]),
        ):
            assert shown.rstrip("0").rstrip(".") == exact
    ladder = out.splitlines()[2:22] if columns >= 60 else []
    assert all(len(line) <= columns for line in ladder)
    assert {line.rindex(".") for line in ladder} == {ladder[0].rindex(".")} if ladder else True
    assert ("█" in out) == (columns >= 60)


def test_a_level_is_drawn_alike_on_both_sides(demo: Path) -> None:
    out = rlx_process("book", demo / "rlx-demo" / "dataset", "--event", "80068", env={"COLUMNS": "120"}).out
    bars: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for line in out.splitlines():
        if found := LEVEL.match(line):
            for is_bid, quantity in ((True, found[1]), (False, found[4])):
                bar = line[: found.start(1)] if is_bid else line[found.end(4) :]
                halves = 2 * bar.count("█") + bar.count("▐") + bar.count("▌")
                bars[is_bid].append((float(quantity), halves))
    levels = bars[True] + bars[False]
    largest = max(quantity for quantity, _ in levels)
    assert max(halves for _, halves in levels) == 48
    assert all(abs(halves - 48 * quantity / largest) <= 0.5 for quantity, halves in levels)


def test_each_chain_is_told_in_one_block(two: Path) -> None:
    shown = rlx_process("inspect", two / "dataset", env=NARROW).out
    first, second = shown.split("BINANCE ETHUSDT")
    for block in (first, second):
        assert re.search(r"^ rows  ", block, re.MULTILINE)
        assert re.search(r"^ quality  ", block, re.MULTILINE)
    assert "…" not in shown
    source = rlx_process("inspect", two / "btc.gz", env=NARROW).out
    assert re.search(r"^ file +[\d,]+  bytes  btc\.gz", source, re.MULTILINE)


def test_what_to_try_next_can_be_pasted(two: Path) -> None:
    shown = (two / "shown.txt").read_text("utf-8")
    assert "…" not in shown
    book, inspect, validate = commands(shown)
    for command, status in ((book, 0), (inspect, 0), (validate, 0)):
        done = subprocess.run(
            ["bash", "-c", command.replace("rlx", str(RLX), 1)], capture_output=True, timeout=120, check=False
        )
        assert done.returncode == status, done.stderr
    assert validate.endswith(f"--golden {two / 'btc.gz'} {two / 'eth.gz'}")
    out = two / "again"
    env = {**NARROW, "UV_RUN_RECURSION_DEPTH": "1"}
    again = rlx_process("reconstruct", two / "eth.gz", "--out", out, env=env).out
    assert again.split("Try next\n")[1].count("  uv run rlx ") == 3


def test_differences_stand_under_their_chain(two: Path) -> None:
    """The second chain is judged by quotes of another market under its name."""
    strange = capture(two / "strange.gz", MarketConfig(duration_s=5, levels=200, seed=8, symbol="ETHUSDT"))
    said = rlx_process("validate", two / "dataset", "--golden", two / "btc.gz", strange, env=NARROW)
    first, second = said.out.split("BINANCE ETHUSDT")
    assert "differs update id" not in first
    assert "differs update id" in second
    assert "…" not in said.out
    told = [line for line in second.splitlines() if re.search(r"differs|venue says", line)]
    assert told
    assert all(line.startswith("  ") for line in told)
    assert re.search(r"^verdict  (pass|fail)(, \d+ warnings?)?$", second, re.MULTILINE)


def test_chains_of_two_markets_have_a_line_each_at_80_columns() -> None:
    counts = dict.fromkeys(("crossed", "late", "quarantined"), 0)
    chains = [
        {"exchange": exchange, "symbol": "BTCUSDT", "events": 123_456_789, "gaps": gaps, **counts}
        | {"events_by_type": {"TRADE": 2_345_678}, "drift": {"samples": 1_234, "exact": 1_234}}
        for exchange, gaps in (("BINANCE", 0), ("BINANCE_FUTURES", 2), ("BINANCE_DELIVERY", 0))
    ]
    screen = Console(width=80, record=True, file=io.StringIO())
    screen.print(overview_table(chains))
    head, *lines, caption = screen.export_text().splitlines()
    assert head.split() == ["symbol", "events", "trades", "gaps", "drift", "samples"]
    assert [line.split()[-1] for line in lines] == ["✓", "!", "✓"]
    assert [" ".join(line.split()[:2]) for line in lines][1] == "BINANCE_FUTURES BTCUSDT"
    assert caption.strip() == "no symbol with any crossed or late or quarantined"


@pytest.mark.parametrize("columns", [60, pytest.param(80, marks=deep), pytest.param(120, marks=deep)])
def test_the_bar_fits(columns: int, two: Path) -> None:
    out = two / f"bar-{columns}"
    command: list[str | Path] = [RLX, "reconstruct", two / "btc.gz", "--out", out, "--batch-rows", "300"]
    status, shown = in_terminal(command, columns)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    bars = [line for line in re.split(r"[\r\n]+", plain) if " %" in line]
    assert status == 0, shown
    assert bars
    for bar in bars:
        assert re.search(r"\d+ % +[\d,]+ events/s .*(\d:\d\d:\d\d left|-:--:-- left|waiting)$", bar.rstrip())
        assert len(bar) <= columns


def test_json_of_the_demo_is_one_object(tmp_path: Path) -> None:
    told = rlx("demo", "--out", tmp_path / "demo", "--duration-s", "2", "--json").json()
    assert told["validation"]["verdict"] == "pass"
    assert told["reconstruction"]["events"] > 0


@pytest.mark.parametrize("options", [("--duration-s", "0"), ("--duration-s", "-3"), ("--seed", "-1")])
def test_a_market_that_cannot_be_is_refused(options: tuple[str, str], tmp_path: Path) -> None:
    said = rlx("demo", "--out", tmp_path / "demo", *options)
    assert said.status == 2
    assert "must lie in" in said.sentence()
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("late_s", [pytest.param(0.0, marks=deep), 0.1, pytest.param(0.3, marks=deep)])
def test_a_stop_at_any_moment_is_told_alike(late_s: float, tmp_path: Path) -> None:
    """From the moment that the command is known; what comes before belongs to the interpreter."""
    code = (
        "import sys\nfrom rlx_datapipe.cli.main import main\nfrom rlx_datapipe.cli import groups as home\n"
        "load = home.importlib.import_module\n"
        "def told(*name):\n    print('loading', file=sys.stderr, flush=True)\n    return load(*name)\n"
        "home.importlib.import_module = told\nmain()"
    )
    command: list[str | Path] = [RLX.with_name("python"), "-c", code, "demo", "--out", tmp_path / "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "loading\n"
        time.sleep(late_s)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert err.splitlines()[-1].startswith("rlx: stopped; ")
    assert "--resume" not in err
    assert "Aborted" not in err
    assert out == ""
    assert not list(tmp_path.iterdir()), "a stopped demo does not stand in the way of the next"


def test_a_killed_demo_does_not_stand_in_the_way(tmp_path: Path) -> None:
    command: list[str | Path] = [RLX, "demo", "--out", tmp_path / "demo", "--duration-s", "5"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith(b"reconstructing"):
            assert process.poll() is None
        process.kill()
    assert list(tmp_path.iterdir())
    assert rlx("demo", "--out", tmp_path / "demo", "--duration-s", "2", "--json").status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    before = sorted((tmp_path / "demo").rglob("*"))
    said = rlx("demo", "--out", tmp_path / "demo", "--duration-s", "2")
    assert (said.status, "is not empty" in said.sentence()) == (2, True)
    assert sorted((tmp_path / "demo").rglob("*")) == before


def test_a_stop_before_any_worker_is_told_like_any_other(two: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        options: list[str | Path] = ["reconstruct", two / "btc.gz", "--out", two / "never", "--json"]
        code = (
            "import os, sys, time\nfrom rlx_datapipe.cli.main import main\n"
            "from rlx_datapipe.pipeline import reconstruct\n"
            f"def stopped(*_, **__):\n    os.kill(os.getpid(), {int(number)})\n    time.sleep(9)\n"
            "reconstruct.find_sources = stopped\nmain(sys.argv[1:])"
        )
        done = subprocess.run(
            [RLX.with_name("python"), "-c", code, *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 3, done.stderr
        assert done.stderr.splitlines()[-1].startswith(
            "rlx: stopped; what is committed stands. Go on by the same"
        )


@pytest.mark.parametrize(
    "command",
    ["--help", "book --help", "book {} --event 40922", "book {} --event 40922 --json", "inspect {}"],
)
def test_a_reader_that_has_gone_is_no_error(command: str, demo: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    line = f"{RLX} {command.format(demo / 'rlx-demo' / 'dataset')} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run([bash, "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_many_symbols_share_a_table_and_each_shows_how_far_it_is(tmp_path: Path) -> None:
    sources = three_symbols(tmp_path, OTHER)
    status, shown = in_terminal([RLX, "reconstruct", *sources, "--out", tmp_path / "out"], 80)
    assert status == 0, shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "waiting" in plain
    drawn, _, summary = plain.rpartition("left")
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        assert re.search(rf"{symbol} ━+ +\d+ %", drawn)
        [line] = [line for line in summary.splitlines() if line.startswith(f"{symbol} ")]
        assert line.rstrip().endswith("✓")
