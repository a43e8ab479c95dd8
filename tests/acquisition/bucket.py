"""A store of this machine with a bucket in the layout of Crypto Lake, and archives to put into it."""

from __future__ import annotations

import gzip
import json
import logging
import os
import random
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rlx_datapipe.acquisition.acquire import Prepared, open_door, prepare
from rlx_datapipe.acquisition.holdings import Wanted
from rlx_datapipe.acquisition.settings import AcquisitionSettings

ALL = Wanted()
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE12", "AWS_SECRET_ACCESS_KEY": "a secret of no worth"}
PREFIX = "market-data/cryptofeed"
QUICK = AcquisitionSettings(
    part_mb=1,
    parts=4,
    check_md5="always",
    chunk_kb=16,
    backoff_s=0.01,
    backoff_max_s=0.05,
    breaker_pause_s=0.1,
    read_s=5.0,
)
"""Small parts and short waits."""


@dataclass(frozen=True)
class Bucket:
    """A bucket of a store, with an archive below the usual prefix."""

    endpoint: str
    name: str
    client: Any

    @property
    def url(self) -> str:
        """Of the archive's root."""
        return f"s3://{self.name}/{PREFIX}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the store."""
        host, _, port = self.endpoint.removeprefix("http://").partition(":")
        return host, int(port)

    def put(self, path: str, content: bytes) -> None:
        """An object below the archive's root."""
        self.client.put_object(Bucket=self.name, Key=f"{PREFIX}/{path}", Body=content)

    def fill(self, tree: Path) -> None:
        """All files of an archive in a folder."""
        for path in sorted(tree.rglob("*.parquet")):
            self.put(str(path.relative_to(tree)), path.read_bytes())

    def keys(self) -> list[str]:
        """Paths below the archive's root."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        found = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return sorted(key.removeprefix(f"{PREFIX}/") for key in found)

    def put_index(
        self, table: str, *, as_gzip: bool = False, without: Iterable[str] = (), more: Iterable[str] = ()
    ) -> None:
        """The index of a table, as the archive has it: paths from the bucket on."""
        paths = [key for key in self.keys() if key.startswith(f"{table}/") and key.endswith(".parquet")]
        named = [path for path in paths if path not in set(without)] + list(more)
        text = json.dumps({"objects": [f"{PREFIX}/{path}" for path in named]}).encode()
        self.put(f"{table}/contents.json.gz", gzip.compress(text) if as_gzip else zlib.compress(text))

    def settings(self, settings: AcquisitionSettings = QUICK, **more: Any) -> AcquisitionSettings:
        """Settings that lead to this store."""
        return msgspec.structs.replace(settings, **{"endpoint": self.endpoint, **more})


@contextmanager
def store() -> Iterator[str]:
    """A store on a port of this machine; its address."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def new_bucket(endpoint: str, name: str) -> Bucket:
    """An empty bucket."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="eu-west-1",
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return Bucket(endpoint, name, client)


def blobs(sizes: Iterable[int], folder: Path, seed: int = 5) -> dict[str, bytes]:
    """Files of seeded bytes with the names of an archive, on disk and by their paths; no Parquet inside."""
    dice = random.Random(seed)
    made = {}
    for number, size in enumerate(sizes, 1):
        path = f"trades/exchange=BINANCE/symbol=BTC-USDT/dt=2024-08-{number:02d}/1.snappy.parquet"
        made[path] = dice.randbytes(size)
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(made[path])
    return made


def prepared(
    url: str, staging: Path, settings: AcquisitionSettings, wanted: Wanted = ALL, *, refresh: bool = False
) -> Prepared:
    """A download, planned, with the keys of this store."""
    archive = open_door(url, settings, KEYS, "direct")
    return prepare(archive, wanted, staging, settings, os.environ, refresh=refresh)


def arrived(staging: Path) -> dict[str, bytes]:
    """Files of the raw zone by their paths."""
    raw = staging / "raw"
    return {
        str(path.relative_to(raw)): path.read_bytes()
        for path in raw.rglob("*.parquet")
        if path.name[0] != "."
    }
