"""`rlx bench download`: a download with all that makes it safe, beside plain requests to the same server."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rlx_datapipe.acquisition.acquire import fetch, open_door, prepare
from rlx_datapipe.acquisition.holdings import Wanted
from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.pipeline.bench.figure import Figure, Measured, middle
from rlx_datapipe.pipeline.bench.workbench import Workbench

_BUCKET, _TABLE = "lake", "trades"
_KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
_PATIENCE_S = 30.0
_ALIKE = 0.9


class Shape(NamedTuple):
    """Files of an archive: what they are like, how many, and of how many MB."""

    name: str
    files: int
    file_mb: int

    @property
    def total(self) -> int:
        """Bytes of all of them."""
        return self.files * self.file_mb * 10**6


SHAPES = (Shape("large files", 2, 100), Shape("small files", 12, 20))


class Turns(NamedTuple):
    """Seconds by the clock, and of our processor time: (plain requests, a download), turn by turn."""

    clock_s: list[tuple[float, float]]
    cpu_s: list[tuple[float, float]]


def measure(bench: Workbench) -> Measured:
    """Measure a whole download against the server measured alone: the same bytes by plain ranged requests.

    Ours plans, journals each piece, keeps the ledger, hashes, syncs and publishes; the plain requests run as
    many at a time, of the same size, and throw away what they get. Both in turn, by the clock, for a network
    is waited for; beside that the processor time of this process. The server is moto in a process of its own,
    on the same cores. It reads a whole object for each request: of large files it gives some 30 to 100 MB/s,
    as a network does, and limits both. Small ones it gives as fast as memory is copied; then processors limit
    both, of which a download needs more, for it hashes and writes.

    Input: 2 files of 100 MB and 12 of 20 MB, seeded. Needs moto: pip install 'moto[s3,server]'.
    """
    _require_moto()
    turns = {shape: _turns(bench, shape) for shape in SHAPES}
    figures = [_figure(shape, turns[shape]) for shape in SHAPES]
    told = {"mb_per_second": figures[0].figure, "ratio_to_plain": figures[0].ratio}
    return Measured(figures, told)


def _turns(bench: Workbench, shape: Shape) -> Turns:
    """Plain requests and downloads in turn; the first of each warms the server up, and is not told."""
    archive = bench.new_folder("archive")
    _make(archive, bench.options.seed, shape)
    turns = Turns([], [])
    with _server() as endpoint:
        settings = AcquisitionSettings(
            endpoint=endpoint, ledger=str(bench.new_folder("ledger")), disk_reserve_gb=0.0, quota_gb=0.0
        )
        _fill(endpoint, archive)
        shutil.rmtree(archive)
        for turn in range(max(1, bench.options.repeats) + 1):
            bench.on_step(
                f"{shape.total / 1e6:,.0f} MB in {shape.name}: by plain requests, then by a download"
            )
            alone = _timed(lambda: _plain(settings, shape))
            staging = bench.new_folder("staging")
            took = _timed(lambda staging=staging: _download(settings, staging, shape))  # type: ignore[misc]
            shutil.rmtree(staging)
            if turn:
                turns.clock_s.append((alone[0], took[0]))
                turns.cpu_s.append((alone[1], took[1]))
    return turns


def _figure(shape: Shape, turns: Turns) -> Figure:
    """What the turns tell of files of one shape."""
    plain_s, ours_s = (list(one) for one in zip(*turns.clock_s, strict=True))
    plain_cpu_s, cpu_s = (list(one) for one in zip(*turns.cpu_s, strict=True))
    ratios = [alone / took for alone, took in turns.clock_s]
    is_the_servers = shape is SHAPES[0]
    return Figure(
        claim=f"download of {shape.name}, with journal, digests and ledger",
        figure=shape.total / middle(ours_s) / 1e6,
        unit="MB/s",
        target=f"> {_ALIKE} of the server alone" if is_the_servers else "",
        is_met=middle(ratios) > _ALIKE if is_the_servers else None,
        ratio=middle(ratios),
        ratio_to="plain requests",
        detail={
            "plain_mb_s": shape.total / middle(plain_s) / 1e6,
            "cpu_s_a_gb": 1e9 * min(cpu_s) / shape.total,
            "plain_cpu_s_a_gb": 1e9 * min(plain_cpu_s) / shape.total,
            "ratios": ratios,
        },
    )


def _require_moto() -> None:
    try:
        import boto3  # noqa: F401
        import moto.server  # noqa: F401
    except ModuleNotFoundError as error:
        raise OptionError(
            "this benchmark needs a store to read from", remedy="Run: pip install 'moto[s3,server]'"
        ) from error


def _make(folder: Path, seed: int, shape: Shape) -> None:
    """Files of seeded bytes with the names of an archive."""
    dice = random.Random(seed)  # noqa: S311 (made data)
    for day in range(1, shape.files + 1):
        path = folder / _TABLE / "exchange=BINANCE" / "symbol=BTC-USDT" / f"dt=2024-08-{day:02d}"
        path.mkdir(parents=True)
        (path / "1.snappy.parquet").write_bytes(dice.randbytes(shape.file_mb * 10**6))


@contextmanager
def _server() -> Iterator[str]:
    """A store in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            deadline = time.monotonic() + _PATIENCE_S
            while child.poll() is None and time.monotonic() < deadline:
                with socket.socket() as one:
                    if one.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            child.terminate()


def _fill(endpoint: str, archive: Path) -> None:
    import boto3

    keys = {name.lower(): value for name, value in _KEYS.items()}
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    client.create_bucket(Bucket=_BUCKET)
    for path in sorted(archive.rglob("*.parquet")):
        client.upload_file(str(path), _BUCKET, str(path.relative_to(archive)), Config=_one_piece())


def _one_piece() -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=10**9)


def _plain(settings: AcquisitionSettings, shape: Shape) -> None:
    """The same bytes by ranged requests of obstore, thrown away."""
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        _BUCKET,
        endpoint=settings.endpoint,
        access_key_id=_KEYS["AWS_ACCESS_KEY_ID"],
        secret_access_key=_KEYS["AWS_SECRET_ACCESS_KEY"],
        region=settings.region,
        client_options={"allow_http": True},
    )
    objects = obstore.list(store, _TABLE).collect()
    part = settings.part_mb * 10**6
    parts = [
        (one["path"], at, min(at + part, one["size"]))
        for one in objects
        for at in range(0, one["size"], part)
    ]

    def get(of: tuple[str, int, int]) -> int:
        return len(obstore.get_range(store, of[0], start=of[1], end=of[2]))

    with ThreadPoolExecutor(settings.parts) as threads:
        got = sum(threads.map(get, parts))
    if got != shape.total:
        raise OptionError("the server sent another number of bytes", found=got)


def _download(settings: AcquisitionSettings, staging: Path, shape: Shape) -> None:
    archive = open_door(f"s3://{_BUCKET}", settings, _KEYS, "direct")
    outcome = fetch(prepare(archive, Wanted(), staging, settings, {}))
    if outcome.failed or outcome.fetched_bytes != shape.total:
        raise OptionError("the download failed", found=json.dumps(msgspec.to_builtins(outcome.failed)))


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of this process's processor time."""
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
