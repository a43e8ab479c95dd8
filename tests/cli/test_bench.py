"""`rlx bench` tells figure, target and ratio of each claim; it is never asked how fast."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.door import rlx, rlx_process
from tests.depth import thinned

from rlx_datapipe.pipeline.bench import suite
from rlx_datapipe.pipeline.bench.suite import BENCHMARKS
from rlx_datapipe.simulation.archive import ArchiveConfig, write_archive

SMALL = ("--rows", "3000", "--repeats", "1", "--seed", "3")


def test_a_benchmark_gives_one_object() -> None:
    told = rlx("bench", "book", "--json", *SMALL).json()
    assert {"rows_per_second", "ratio_to_dict_book", "writer", "cpus", "load", "figures"} <= set(told)
    assert (told["seed"], told["repeats"]) == (3, 1)
    for figure in told["figures"]:
        assert set(figure) == {
            "benchmark", "claim", "figure", "unit", "target", "is_met", "ratio", "ratio_to", "detail",
        }  # fmt: skip


def test_the_keys_of_reconstruct_are_those_that_are_promised(tmp_path: Path) -> None:
    own = write_archive(ArchiveConfig(rows=2_000, levels=50), tmp_path / "own")
    told = rlx("bench", "reconstruct", "--json", "--source", own, "--repeats", "1").json()
    assert {"events_per_second", "ratio_to_floor", "peak_rss_bytes", "stages"} <= set(told)


def test_validate_tells_messages_a_second_and_what_it_counted() -> None:
    told = rlx("bench", "validate", "--json", "--messages", "2000", "--repeats", "1", "--seed", "3").json()
    assert {"messages_per_second", "messages_per_cpu_second", "events"} <= set(told)
    (figure,) = told["figures"]
    assert (figure["benchmark"], figure["unit"]) == ("validate", "messages/s")
    assert figure["detail"]["messages"] > 0
    assert figure["figure"] == told["messages_per_second"] > 0
    assert 0 < figure["ratio"] < 10


def test_without_a_name_the_quick_ones_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {name: BENCHMARKS[name] for name in ("book", "write")}
    monkeypatch.setattr(suite, "BENCHMARKS", rows)
    told = rlx("bench", "--json", *SMALL).json()
    assert set(told["benchmarks"]) == {"book", "write"}
    assert {figure["benchmark"] for figure in told["figures"]} == {"book", "write"}


def test_the_json_flag_may_stand_before_the_name() -> None:
    assert rlx("bench", "--json", "book", *SMALL).json()["figures"]


@pytest.mark.parametrize("columns", thinned([80, 120], 2))
def test_the_table_fits_its_screen(columns: int) -> None:
    said = rlx_process("bench", "book", *SMALL, env={"COLUMNS": str(columns)})
    assert said.status == 0, said.err
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].split() == ["claim", "figure", "target", "ratio"]
    assert "…" not in said.out
    for word in ("book,", "rows/s", "50,000,000", "dict book", "cores"):
        assert word in said.out


def test_the_help_lists_all_and_says_of_each_what_it_measures() -> None:
    listed = rlx("bench", "--help").out
    for name, benchmark in BENCHMARKS.items():
        assert name in listed
        assert benchmark.told in listed
        told = " ".join(rlx("bench", name, "--help").out.split())
        assert "Measure " in told
        assert ("--rows" in told) == ("rows" in benchmark.takes)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--rows", "2000", "book"), "stand behind its name: rlx bench book"),
        (("import", "--rows", "2000"), "No such option '--rows'"),
        (("book", "--rows", "10"), "is not in the range"),
        (("scale", "--sizes", "1,many"), "no list of millions of rows"),
        (("scale", "--sizes", "0"), "no list of millions of rows"),
        (("parse", "--source", "nowhere"), "does not exist"),
        (("bok",), "No such command 'bok'"),
    ],
)
def test_bad_usage_is_told_in_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    said = rlx("bench", *arguments)
    assert said.status == 2
    assert sentence in said.err
    assert said.out == ""
