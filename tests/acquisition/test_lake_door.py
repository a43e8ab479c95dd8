"""The door by lakeapi gives the bytes as published; most of this needs a Python that has lakeapi.

uv venv /tmp/lake
uv pip install --python /tmp/lake/bin/python '.[acquire]' 'lakeapi==0.22.3' 'pandas==2.3.3'
RLX_LAKEAPI_PYTHON=/tmp/lake/bin/python pytest tests/acquisition/test_lake_door.py
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.acquisition.bucket import KEYS, PREFIX, Bucket, arrived
from tests.acquisition.fault_proxy import FaultProxy, proxied
from tests.cli.door import rlx

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, os, sys
from pathlib import Path
from rlx_datapipe.acquisition import lake_door
from rlx_datapipe.acquisition.acquire import fetch, open_door, prepare
from rlx_datapipe.acquisition.holdings import Wanted
from rlx_datapipe.acquisition.settings import acquisition_settings

url, endpoint, staging, cdn = sys.argv[1:]
if cdn:
    lake_door._CDN = cdn
    lake_door.LakeDoor._login = lambda self: ("a user", "cloudfront")
settings = acquisition_settings(None, os.environ, {"endpoint": endpoint, "backoff_max_s": 0.1})
archive = open_door(url, settings, os.environ, "lakeapi")
outcome = fetch(prepare(archive, Wanted(), Path(staging), settings, os.environ))
print(json.dumps({"way": archive.way, "failed": outcome.failed, "retries": outcome.retries}))
"""


def test_without_lakeapi_the_sentence_has_the_command_that_installs_it(full_bucket: Bucket) -> None:
    if _has_lakeapi():
        pytest.skip("lakeapi is installed here")
    where = ["--archive", full_bucket.url, "--endpoint", full_bucket.endpoint]
    said = rlx("acquire", "list-inventory", *where, "--door", "lakeapi", env=KEYS)
    assert said.status == 2
    assert "Run: pip install 'lakeapi==0.22.3' 'pandas==2.3.3'" in said.sentence()


def _has_lakeapi() -> bool:
    from importlib.util import find_spec

    return find_spec("lakeapi") is not None


@pytest.fixture
def python() -> str:
    """A Python with lakeapi and what we need."""
    path = os.environ.get("RLX_LAKEAPI_PYTHON", "")
    if not path:
        pytest.skip("set RLX_LAKEAPI_PYTHON to a Python that has lakeapi")
    return path


def through_the_door(
    python: str, bucket: Bucket, staging: Path, endpoint: str = "", cdn: str = ""
) -> dict[str, object]:
    """A download through lakeapi's door, in a process of its own, from a folder of its own."""
    environment = {**os.environ, **KEYS, "PYTHONPATH": str(ROOT / "src")}
    command = [python, "-c", PROGRAM, bucket.url, endpoint or bucket.endpoint, str(staging), cdn]
    staging.parent.mkdir(exist_ok=True)
    done = subprocess.run(
        command, env=environment, cwd=staging.parent, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def published(lake: Path) -> list[bytes]:
    """The bytes of all files, in order."""
    return sorted(path.read_bytes() for path in lake.rglob("*.parquet"))


def test_the_bytes_are_those_that_were_published(
    python: str, full_bucket: Bucket, lake: Path, tmp_path: Path
) -> None:
    told = through_the_door(python, full_bucket, tmp_path / "work" / "staging")
    assert told == {"way": "s3", "failed": {}, "retries": 0}
    assert sorted(arrived(tmp_path / "work" / "staging").values()) == published(lake)
    assert any("symbol=stSOL-USDC" in path for path in arrived(tmp_path / "work" / "staging"))
    # What importing lakeapi makes lies elsewhere.
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["staging"]


def test_faults_on_the_way_are_survived(python: str, full_bucket: Bucket, lake: Path, tmp_path: Path) -> None:
    chances = {"busy": 0.2, "reset": 0.2, "truncated": 0.2}
    with proxied(FaultProxy(full_bucket.address, seed=4, chances=chances)) as proxy:  # type: ignore[arg-type]
        told = through_the_door(python, full_bucket, tmp_path / "work" / "staging", endpoint=proxy.url)
    assert len(proxy.faults()) >= 2
    assert told["failed"] == {}
    assert sorted(arrived(tmp_path / "work" / "staging").values()) == published(lake)


def test_an_account_that_the_content_network_serves_gets_the_same_bytes(
    python: str, full_bucket: Bucket, lake: Path, tmp_path: Path
) -> None:
    """Ours to the letter of lakeapi 0.22.3; that network itself can't be had here."""
    with proxied(FaultProxy(full_bucket.address)) as proxy:
        cdn = f"{proxy.url}/{full_bucket.name}"
        told = through_the_door(python, full_bucket, tmp_path / "work" / "staging", cdn=cdn)
        heads = [head for head in proxy.heads if head.startswith("GET") and ".parquet" in head]
    assert told["way"] == "cloudfront"
    assert sorted(arrived(tmp_path / "work" / "staging").values()) == published(lake)
    assert heads
    for head in heads:
        assert PREFIX in head
        assert "Referer: a user" in head
        assert "Authorization: AWS4-HMAC-SHA256 Credential=" in head
        assert "Range: bytes=" in head
