"""What the tests of acquisition share: a store of this machine, and an archive that `rlx export` made."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acquisition.archives import small_archive
from tests.acquisition.bucket import KEYS, Bucket, new_bucket, store
from tests.pipeline.captures import SPOT as MARKET
from tests.pipeline.captures import capture

from rlx_datapipe.pipeline.export import export

_NAMES = itertools.count(1)


@pytest.fixture(autouse=True)
def _own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, no ledger and no proxy of whoever runs the tests."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", *KEYS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no config"))
    monkeypatch.setenv("RLX_ACQUIRE_LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """A store; started once."""
    with store() as address:
        yield address


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of one day, made by `rlx export` from a simulated market."""
    folder: Path = tmp_path_factory.mktemp("exported")
    export(capture(folder / "btc.gz", MARKET), folder / "lake")
    return folder / "lake"


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small archive; not to be changed."""
    return small_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="session")
def lake(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same day as an archive of several: days missing, several files a day, odd names, another symbol."""
    folder: Path = tmp_path_factory.mktemp("days") / "lake"
    for path in sorted(exported.rglob("*.parquet")):
        table = path.relative_to(exported).parts[0]
        for day in ("2022-10-01", "2022-10-02", "2022-10-04"):
            if table == "book_delta_v2" and day == "2022-10-02":
                continue
            where = folder / table / "exchange=BINANCE" / "symbol=BTC-USDT" / f"dt={day}"
            where.mkdir(parents=True)
            if table == "trades" and day == "2022-10-01":
                shutil.copy(path, where / "0.snappy.parquet")
                shutil.copy(path, where / "a1b2-c3_part (2).parquet")
            else:
                shutil.copy(path, where / "1.snappy.parquet")
        where = folder / table / "exchange=BINANCE" / "symbol=stSOL-USDC" / "dt=2022-10-01"
        where.mkdir(parents=True)
        shutil.copy(path, where / "1.snappy.parquet")
    return folder


@pytest.fixture
def bucket(endpoint: str) -> Bucket:
    """An empty bucket of its own for each test."""
    return new_bucket(endpoint, f"lake.of.{next(_NAMES)}")


@pytest.fixture(scope="session")
def full_bucket(endpoint: str, lake: Path) -> Bucket:
    """A bucket with that archive; for tests that change nothing in it."""
    full = new_bucket(endpoint, "full.lake")
    full.fill(lake)
    return full
