"""`rlx bench download`: a download with all that makes it safe, beside the same server measured alone."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.pipeline.bench.download_ways import Server, Ways, floor_cpu_s_a_gb, served
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, cores, middle
from rlx_datapipe.pipeline.bench.workbench import Workbench

SAME, PLAIN, BOTO3, OURS = "same requests", "plain client", "boto3 download_file", "download"


class Shape(NamedTuple):
    """Files of an archive: what they are like, how many, and of how many bytes."""

    name: str
    files: int
    file_bytes: int

    @property
    def total(self) -> int:
        """Bytes of all of them."""
        return self.files * self.file_bytes


SHAPES = (Shape("large files", 10, 100_000_000), Shape("small files", 24, 20_000_000))


class Took(NamedTuple):
    """Seconds that one way took: by the clock, of our processor time, and of the server's."""

    clock_s: float
    cpu_s: float
    server_cpu_s: float

    @property
    def cores(self) -> float:
        """How many were at it: all there are, unless others take them, or something else is waited for."""
        return (self.cpu_s + self.server_cpu_s) / self.clock_s


Turn = dict[str, Took]
"""One turn: each way by its name."""


def measure(bench: Workbench) -> Measured:
    """Measure a whole download against the server measured alone, in turn, by the clock.

    A download plans, journals each piece, keeps the ledger, hashes, syncs and publishes. The server alone is
    told in three ways. *Same requests*: those that the download made, to the byte, as many at a time, and
    what comes thrown away; no client that asks so can be faster. *Plain client*: one whole object after
    another, thrown away. *boto3*: ``download_file`` of one file after another, which writes, and neither
    hashes nor syncs. The server is moto in a process of its own, on the same cores.

    Where the server gives bytes as fast as memory is copied, processors limit both: the processor time of the
    server, of receiving, and of what a download can't do without (SHA-256, the journal's CRC-32, writing),
    shared by all cores, is the least that a download may take; the ratio that this allows is told beside,
    and how many cores were really at it, of which other work on the machine takes some.

    Input: 10 files of 100 MB and 24 of 20 MB, seeded. Needs moto: pip install 'moto[s3,server]'.
    """
    figures = [_figure(shape, *_turns(bench, shape)) for shape in SHAPES]
    told = {"mb_per_second": figures[0].figure, "ratio_to_same_requests": figures[0].ratio}
    return Measured(figures, told)


def _turns(bench: Workbench, shape: Shape) -> tuple[list[Turn], dict[str, float]]:
    """Turns of all ways, without the first, which warms the server up; and what parts cost alone."""
    turns: list[Turn] = []
    floors: list[dict[str, float]] = []
    with served() as server:
        ways = Ways(server.endpoint, bench.new_folder("ways"))
        archive = bench.new_folder("archive")
        made = _make(archive, bench.options.seed, shape)
        ways.fill(archive)
        shutil.rmtree(archive)
        for _ in range(max(1, bench.options.repeats) + 1):
            turns.append(_turn(bench, shape, server, ways))
            written = bench.new_folder("written")
            written.mkdir()
            floors.append(floor_cpu_s_a_gb(written, made, shape.files))
            shutil.rmtree(written)
    return turns[1:], {name: middle(one[name] for one in floors) for name in floors[0]}


def _turn(bench: Workbench, shape: Shape, server: Server, ways: Ways) -> Turn:
    bench.on_step(f"{shape.total / 1e6:,.0f} MB in {shape.name}: a download, then the server alone")
    staging, folder = bench.new_folder("staging"), bench.new_folder("boto3")
    tried: dict[str, Callable[[], int]] = {
        OURS: lambda: ways.download(staging),
        SAME: ways.same_requests,
        PLAIN: ways.plain_client,
        BOTO3: lambda: ways.boto3_download(folder),
    }
    turn = {}
    for name, way in tried.items():
        server_s, begun_s, begun_cpu_s = server.cpu_s, time.perf_counter(), time.process_time()
        got = way()
        took_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
        if got != shape.total:
            raise OptionError("the server sent another number of bytes", found=got, expected=shape.total)
        turn[name] = Took(took_s, cpu_s, (server.cpu_s or 0.0) - (server_s or 0.0))
        for written in (staging, folder):
            shutil.rmtree(written, ignore_errors=True)
    return turn


def _figure(shape: Shape, turns: list[Turn], floor: dict[str, float]) -> Figure:
    """What the turns tell of files of one shape."""
    a_gb = 1e9 / shape.total
    rates = {name: shape.total / middle(turn[name].clock_s for turn in turns) / 1e6 for name in turns[0]}
    cpu = {name: a_gb * middle(turn[name].cpu_s for turn in turns) for name in turns[0]}
    ratios = {
        name: [turn[name].clock_s / turn[OURS].clock_s for turn in turns] for name in (SAME, PLAIN, BOTO3)
    }
    server = a_gb * middle(turn[SAME].server_cpu_s for turn in turns)
    least = sum(floor.values()) + cpu[SAME]
    same_s = a_gb * middle(turn[SAME].clock_s for turn in turns)
    is_the_servers = shape.name == SHAPES[0].name
    return Figure(
        claim=f"download of {shape.name}, with journal, digests and ledger",
        figure=rates[OURS],
        unit="MB/s",
        target="as fast as the same requests alone" if is_the_servers else "",
        is_met=middle(ratios[SAME]) >= 1.0 if is_the_servers else None,
        ratio=middle(ratios[SAME]),
        ratio_to="the same requests, thrown away",
        detail={
            "mb_s": rates,
            "ratio_to": {name: middle(each) for name, each in ratios.items()},
            "ratios": ratios,
            "cpu_s_a_gb": cpu,
            "server_cpu_s_a_gb": server,
            "cores_used": {name: middle(turn[name].cores for turn in turns) for name in turns[0]},
            "floor_cpu_s_a_gb": floor | {"receive": cpu[SAME]},
            "ratio_that_processors_allow": min(1.0, same_s * cores() / (server + least)),
        },
    )


def _make(folder: Path, seed: int, shape: Shape) -> bytes:
    """Files of seeded bytes with the names of an archive; the bytes of one."""
    dice = random.Random(seed)  # noqa: S311 (made data)
    for day in range(1, shape.files + 1):
        path = folder / "trades" / "exchange=BINANCE" / "symbol=BTC-USDT" / f"dt=2024-08-{day:02d}"
        path.mkdir(parents=True)
        made = dice.randbytes(shape.file_bytes)
        (path / "1.snappy.parquet").write_bytes(made)
    return made
