"""Ways to get the same bytes from a store of this machine: a download, its bare requests, plain clients."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec

from rlx_datapipe.acquisition.acquire import fetch, open_door, prepare
from rlx_datapipe.acquisition.archive import Archive
from rlx_datapipe.acquisition.holdings import Wanted
from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.core.errors import OptionError

BUCKET = "lake"
_KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
_PATIENCE_S = 30.0


class _Overheard:
    """An archive that remembers which bytes were asked of it."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.asked: list[tuple[str, int, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    def read(self, path: str, start: int, end: int, etag: str = "") -> Iterator[bytes]:
        self.asked.append((path, start, end))
        return self._archive.read(path, start, end, etag)


@dataclass
class Ways:
    """The ways, from a store at an address; ``folder`` is for what they write.

    Attributes
    ----------
    asked
        Requests of the latest download: path, first byte, last byte (excluded).
    """

    endpoint: str
    folder: Path
    asked: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        ledger = str(self.folder / "ledger")
        self._settings = AcquisitionSettings(
            endpoint=self.endpoint, ledger=ledger, disk_reserve_gb=0.0, quota_gb=0.0
        )
        self._boto3 = self._new_boto3()
        self._obstore = self._new_obstore()

    def fill(self, archive: Path) -> None:
        """Put the files of a folder into the store."""
        from boto3.s3.transfer import TransferConfig

        self._boto3.create_bucket(Bucket=BUCKET)
        for path in sorted(archive.rglob("*.parquet")):
            name = str(path.relative_to(archive))
            self._boto3.upload_file(str(path), BUCKET, name, Config=TransferConfig(multipart_threshold=10**9))

    def download(self, staging: Path) -> int:
        """All of it by `rlx acquire download`: planned, journaled, hashed, synced, published."""
        overheard = _Overheard(open_door(f"s3://{BUCKET}", self._settings, _KEYS, "direct"))
        outcome = fetch(prepare(cast(Archive, overheard), Wanted(), staging, self._settings, {}))
        if outcome.failed:
            raise OptionError("the download failed", found=json.dumps(msgspec.to_builtins(outcome.failed)))
        self.asked = overheard.asked
        return outcome.fetched_bytes

    def same_requests(self) -> int:
        """The requests of the latest download, as many at a time, and what comes thrown away."""
        import obstore

        def get(of: tuple[str, int, int]) -> int:
            answer = obstore.get(self._obstore, of[0], options={"range": of[1:]})
            return sum(len(piece) for piece in answer.stream(self._settings.chunk_kb * 1024))

        with ThreadPoolExecutor(self._settings.parts) as threads:
            return sum(threads.map(get, self.asked))

    def plain_client(self) -> int:
        """One whole object after another, and what comes thrown away."""
        import obstore

        return sum(
            len(piece) for path in self._paths() for piece in obstore.get(self._obstore, path).stream()
        )

    def boto3_download(self, folder: Path) -> int:
        """One file after another by boto3, with its own settings: written, not hashed, not synced."""
        folder.mkdir()
        for number, path in enumerate(self._paths()):
            self._boto3.download_file(BUCKET, path, str(folder / str(number)))
        return sum(path.stat().st_size for path in folder.iterdir())

    def _paths(self) -> list[str]:
        return sorted({path for path, _, _ in self.asked})

    def _new_boto3(self) -> Any:
        import boto3

        keys = {name.lower(): value for name, value in _KEYS.items()}
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", **keys)

    def _new_obstore(self) -> Any:
        from obstore.store import S3Store

        return S3Store(
            BUCKET,
            endpoint=self.endpoint,
            access_key_id=_KEYS["AWS_ACCESS_KEY_ID"],
            secret_access_key=_KEYS["AWS_SECRET_ACCESS_KEY"],
            region="us-east-1",
            client_options={"allow_http": True},
        )


@dataclass(frozen=True)
class Server:
    """A store in a process of its own."""

    endpoint: str
    pid: int

    @property
    def cpu_s(self) -> float | None:
        """Processor time that it took so far; None where the system does not tell."""
        try:
            told = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(told[11]) + int(told[12])) / float(os.sysconf("SC_CLK_TCK"))


@contextmanager
def served() -> Iterator[Server]:
    """Moto, as long as it is needed.

    Raises
    ------
    OptionError
        When it is not installed.
    """
    try:
        import boto3  # noqa: F401
        import moto.server  # noqa: F401
    except ModuleNotFoundError as error:
        raise OptionError(
            "this benchmark needs a store to read from", remedy="Run: pip install 'moto[s3,server]'"
        ) from error
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
            yield Server(f"http://127.0.0.1:{port}", child.pid)
        finally:
            child.terminate()


def floor_cpu_s_a_gb(folder: Path, made: bytes, files: int) -> dict[str, float]:
    """Processor time a GB of what a download can't do without, each alone: digest, checksums, writing.

    As many files are written as a download writes: pages of memory that were never used before cost the most.
    """
    piece_bytes = 256 * 1024
    pieces = [made[at : at + piece_bytes] for at in range(0, len(made), piece_bytes)]

    def write() -> None:
        for number in range(files):
            with (folder / str(number)).open("wb", buffering=0) as file:
                for piece in pieces:
                    file.write(piece)
                os.fsync(file.fileno())

    parts: dict[str, tuple[int, Callable[[], object]]] = {
        "sha256": (1, lambda: hashlib.sha256(made)),
        "crc32": (1, lambda: [zlib.crc32(piece) for piece in pieces]),
        "write": (files, write),
    }
    told = {}
    for name, (times, work) in parts.items():
        begun_s = time.process_time()
        work()
        told[name] = (time.process_time() - begun_s) * 1e9 / (times * len(made))
    return told
