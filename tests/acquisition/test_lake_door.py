"""The door by lakeapi gives the bytes as published; most of this needs a Python that has lakeapi.

uv venv /tmp/lake
uv pip install --python /tmp/lake/bin/python '.[acquire]' 'lakeapi==0.22.3' 'pandas==2.3.3'
RLX_LAKEAPI_PYTHON=/tmp/lake/bin/python pytest tests/acquisition/test_lake_door.py
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.acquisition.bucket import KEYS, PREFIX, Bucket, arrived
from tests.acquisition.fault_proxy import FaultProxy, proxied
from tests.acquisition.test_connection import stub
from tests.cli.door import Said, rlx

ROOT = Path(__file__).resolve().parents[2]
RLX = "from rlx_datapipe.cli.main import main; main()"
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


def by_command(python: str, name: str, bucket: Bucket, folder: Path, *options: str, **env: str) -> Said:
    """A command of `rlx acquire` through lakeapi's door, in that Python and in a folder of its own."""
    where = ["--archive", bucket.url, "--endpoint", bucket.endpoint, "--door", "lakeapi"]
    command = [python, "-c", RLX, "acquire", name, *where, *options]
    environment = {**os.environ, **KEYS, "PYTHONPATH": str(ROOT / "src"), "AWS_EC2_METADATA_DISABLED": "true"}
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        command,
        env={name: value for name, value in {**environment, **env}.items() if value},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


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


@pytest.mark.parametrize("has_index", [True, False])
def test_the_commands_tell_by_this_door_what_they_tell_by_the_other(
    python: str, has_index: bool, bucket: Bucket, exported: Path, tmp_path: Path
) -> None:
    bucket.fill(exported)
    for table in ("trades", "book", "book_delta_v2") if has_index else ():
        bucket.put_index(table)
    where = ["--archive", bucket.url, "--endpoint", bucket.endpoint]
    direct = rlx("acquire", "list-inventory", *where, "--json", env=KEYS).json()
    listed = by_command(python, "list-inventory", bucket, tmp_path / "work", "--json").json()
    assert listed == direct
    staging = tmp_path / "staging"
    wanted = ["--symbols", "BTCUSDT", "--staging", str(staging)]
    assert by_command(python, "download", bucket, tmp_path / "work", *wanted).status == 0
    assert sorted(arrived(staging).values()) == published(exported)
    for name in ("validate", "status", "certify"):
        assert rlx("acquire", name, "--staging", staging).status == 0
    told = rlx("reconstruct", staging, "--out", tmp_path / "dataset", "--json").json()
    assert told["events"] > 0


@pytest.mark.parametrize(
    ("name", "env", "told"),
    [
        ("no keys", dict.fromkeys(KEYS, ""), "no credentials were found by boto3"),
        ("no bucket", {}, "there is no such bucket"),
        ("no profile", {"AWS_PROFILE": "nobody"}, "no such profile"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(
    python: str, name: str, env: dict[str, str], told: str, full_bucket: Bucket, tmp_path: Path
) -> None:
    bucket = replace(full_bucket, name="no.such.bucket") if name == "no bucket" else full_bucket
    said = by_command(python, "list-inventory", bucket, tmp_path / "work", **env)
    assert (said.status, told in said.sentence()) == (2, True), said.err


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("RequestTimeTooSkewed", "the clock of this machine differs too much from the server's"),
        ("InvalidAccessKeyId", "the store does not know the key id"),
        ("SignatureDoesNotMatch", "the secret does not belong to the key id"),
        ("AccessDenied", "the key may not do this"),
    ],
)
def test_a_store_that_refuses_is_told_by_its_own_code(
    python: str, code: str, told: str, full_bucket: Bucket, tmp_path: Path
) -> None:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()

    def refuse(request: BaseHTTPRequestHandler) -> None:
        request.send_response(403)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with stub(refuse) as endpoint:
        refusing = replace(full_bucket, endpoint=endpoint)
        said = by_command(python, "list-inventory", refusing, tmp_path / "work")
    assert (said.status, told in said.sentence()) == (2, True), said.err
