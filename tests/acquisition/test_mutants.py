"""Files that are wrong in any way: none ends a run of ours, none gives a row that it does not hold.

`RLX_TEST_MUTANTS` says how many are made, `RLX_TEST_MUTANTS_REPORT` where the table of outcomes is written.

A row is *silently wrong* if it is in a dataset although no file that was read holds it, as a plain reader
reads it; or if a file holds it, the dataset does not, and nothing says so. A file in which one legal number
stands in place of another can't be known by its content: nothing but its digest tells. So every mutant is
given three ways: as bytes that differ from those that were transferred, into a certified staging folder, and
without any digest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.acquisition.archives import SETTINGS, files_of, stage
from tests.acquisition.mutations import KINDS, TABLE_NAMES, canonical, mutated

from rlx_datapipe.acquisition.certifying import certify
from rlx_datapipe.acquisition.examined import Subject
from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.pipeline.acceptance import accept_staged
from rlx_datapipe.pipeline.certified import admitted, vouched, vouchers_of
from rlx_datapipe.pipeline.examination import Examination
from rlx_datapipe.pipeline.examiner import Bounds
from rlx_datapipe.pipeline.pinned import Pinned
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.store.files import file_digest
from rlx_datapipe.venues.crypto_lake import parse_path

COUNT = int(os.environ.get("RLX_TEST_MUTANTS", "24"))
REPORT = os.environ.get("RLX_TEST_MUTANTS_REPORT", "")
WORKER = Path(__file__).with_name("mutant_worker.py")
BOUNDS = Bounds(memory_mb=1_024, silence_s=60.0)


class Worker:
    """A process that reconstructs; one that dies is a crash, and is started anew."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, job: dict[str, str]) -> dict[str, Any]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if line:
            told: dict[str, Any] = json.loads(line)
            return told
        status = self._process.wait()
        self._process = None
        return {"crashed": f"ended with status {status}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()


def mutants(archive: Path, count: int, first: int = 0) -> Iterator[tuple[str, str, Path, bytes]]:
    """So many mutants: kind, table, place of the file in the archive, bytes."""
    files = files_of(archive)
    rows = {table: canonical(pq.read_table(files[table], partitioning=None), table) for table in files}
    for number in range(first, count):
        # By strides, so that a few touch every kind, and many every kind of every table.
        kind = KINDS[number % len(KINDS)]
        table = TABLE_NAMES[(number + number // len(KINDS)) % len(TABLE_NAMES)]
        dice = np.random.default_rng([number, *kind.encode()])
        yield kind, table, files[table].relative_to(archive), mutated(kind, rows[table], dice)


class Bench:
    """Where mutants are tried: a copy of the archive, and the same staged and certified."""

    def __init__(self, archive: Path, place: Path) -> None:
        self.original, self.copy, self.staging = archive, place / "copy", place / "staging"
        shutil.copytree(archive, self.copy)
        stage(self.staging, files_of(archive).values())
        accept_staged(self.staging)
        certify(self.staging)
        reconstruct(self.staging, place / "certified", SETTINGS)
        self.dataset, self.out = place / "certified", place / "out"

    def certified_run_refuses(self, place: Path, content: bytes) -> str:
        """What a certified run says of a changed file, by the checks that it makes before it writes."""
        path = self.staging / "ready" / place
        whole = path.read_bytes()
        if content == whole:
            return "the same"
        path.write_bytes(content)
        try:
            [file] = admitted([path])
            vouchers_of([file], uncertified=False)
            vouched([file], Pinned([file]).files, self.dataset)
        except DatapipeError as error:
            return str(error)
        finally:
            path.write_bytes(whole)
        return ""


def judge(
    bench: Bench, examination: Examination, worker: Worker, mutant: tuple[str, str, Path, bytes]
) -> dict[str, Any]:
    """Everything that became of one mutant."""
    kind, table, place, content = mutant
    path, whole = bench.copy / place, (bench.original / place).read_bytes()
    path.write_bytes(content)
    told = parse_path(place)
    size, digest = file_digest(bench.original / place)
    known = Subject(path, table, told.exchange, told.symbol, told.date)
    by_content = examination.examine(known)
    by_digest = examination.examine(Subject(path, table, told.exchange, told.symbol, told.date, size, digest))
    # All files here are of a partial day.
    heavy = [
        one.message
        for one in by_content.findings
        if one.severity is not Severity.NOTE and "a partial day" not in one.message
    ]
    crossed = (
        examination.cross(
            {
                name: [bench.copy / own.relative_to(bench.original)]
                for name, own in files_of(bench.original).items()
            }
        )
        if by_content.verdict == "pass" and by_content.rows
        else None
    )
    strange = any(
        one.severity is Severity.GATE
        for found in (crossed.findings if crossed else {}).values()
        for one in found
    )
    outcome = {
        "kind": kind,
        "table": table,
        "same": content == whole,
        "by_digest": by_digest.reason,
        "by_content": by_content.reason or ("tables do not meet" if strange else ""),
        "warned": bool(heavy),
        "certified": bench.certified_run_refuses(place, content),
        "run": worker.ask(
            {"archive": str(bench.copy), "out": str(bench.out), "original": str(bench.original)}
        ),
    }
    path.write_bytes(whole)
    return outcome


def fault_of(outcome: dict[str, Any]) -> str:
    """What must not be, in words; empty for a mutant that is dealt with as promised."""
    run = outcome["run"]
    if "crashed" in run:
        return f"crash: {run['crashed']}"
    if not outcome["same"] and not outcome["by_digest"]:
        return "other bytes than were transferred are not in quarantine"
    if not outcome["same"] and "not the bytes that were certified" not in outcome["certified"]:
        return f"a certified run took other bytes: {outcome['certified']}"
    if run["refused"]:
        return "a refusal of several lines" if run["lines"] else ""
    if run["invented"]:
        return f"rows that no file holds: {run['invented']}"
    if run["lost"] > run["told"]:
        lost = f"{run['lost']} messages are not in the dataset, {run['told']} are told"
        return f"{lost}: {run['lost_example']}"
    return ""


def what_became(outcome: dict[str, Any]) -> str:
    """The class of an outcome when no digest is known."""
    run = outcome["run"]
    if outcome["same"]:
        return "the same bytes"
    if outcome["by_content"]:
        return "quarantined by content"
    if run.get("refused"):
        return "refused by the run"
    if not run["other_rows"]:
        return "the same rows"
    return (
        "told: warning or reject"
        if outcome["warned"] or run["told"] or run["late"]
        else "legal rows, known by digest alone"
    )


def table_of(outcomes: list[dict[str, Any]]) -> str:
    """Outcomes by kind, in Markdown."""
    classes = (
        "quarantined by content",
        "refused by the run",
        "told: warning or reject",
        "the same rows",
        "legal rows, known by digest alone",
        "the same bytes",
    )
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        counts[outcome["kind"]][what_became(outcome)] += 1
    lines = ["| mutation | " + " | ".join(classes) + " |", "|---" * (len(classes) + 1) + "|"]
    lines += [
        f"| {kind} | " + " | ".join(str(counts[kind][one] or "") for one in classes) + " |" for kind in KINDS
    ]
    totals = sum(counts.values(), Counter())
    lines.append("| **all** | " + " | ".join(str(totals[one]) for one in classes) + " |")
    return "\n".join(lines) + "\n"


@pytest.fixture
def bench(archive: Path, tmp_path: Path) -> Bench:
    return Bench(archive, tmp_path)


def test_no_mutant_ends_a_run_or_is_silently_wrong(bench: Bench) -> None:
    with Examination(BOUNDS) as examination, Worker() as worker:
        outcomes = [judge(bench, examination, worker, one) for one in mutants(bench.original, COUNT)]
    faults = {
        f"{n} {one['kind']} {one['table']}": fault
        for n, one in enumerate(outcomes)
        if (fault := fault_of(one))
    }
    if REPORT:
        Path(REPORT).write_text(table_of(outcomes) + json.dumps(faults, indent=1) + "\n")
        Path(REPORT + ".json").write_text(json.dumps(outcomes, indent=1))
    assert faults == {}
    assert len(outcomes) == COUNT
    quarantined = sum(bool(one["by_content"]) for one in outcomes)
    assert quarantined > COUNT // 2
    assert all(one["by_digest"] for one in outcomes if not one["same"])


def test_the_harness_notices(bench: Bench) -> None:
    """A row that no file holds, and one that is lost without a word."""
    sound = {"refused": "", "invented": [], "lost": 0, "told": 0, "late": 0, "lost_example": [], "lines": 0}
    one = {
        "same": False,
        "by_digest": "differs",
        "certified": "not the bytes that were certified",
        "run": sound,
    }
    assert fault_of(one) == ""
    assert "no file holds" in fault_of(one | {"run": sound | {"invented": ["x"]}})
    assert "are not in the dataset" in fault_of(one | {"run": sound | {"lost": 2, "told": 1}})
    assert "not in quarantine" in fault_of(one | {"by_digest": ""})
    assert "certified run took" in fault_of(one | {"certified": ""})
    assert "crash" in fault_of(one | {"run": {"crashed": "signal"}})
