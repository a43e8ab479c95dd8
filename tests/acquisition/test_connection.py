"""What is wrong with a connection is said exactly, with what mends it."""

from __future__ import annotations

import datetime as dt
import email.utils
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.acquisition.bucket import KEYS, QUICK, Bucket

from rlx_datapipe.acquisition.connection import Check, check_connection, is_good
from rlx_datapipe.acquisition.settings import AcquisitionSettings

SKEWED = b"<?xml version='1.0'?><Error><Code>RequestTimeTooSkewed</Code></Error>"


def asked(url: str, settings: AcquisitionSettings, keys: dict[str, str] | None = None) -> dict[str, Check]:
    """Answers by name."""
    checks = check_connection(url, settings, KEYS if keys is None else keys)
    assert is_good(list(checks)) == all(check.verdict != "bad" for check in checks)
    assert all(check.remedy for check in checks if check.verdict == "bad")
    return {check.name: check for check in checks}


@pytest.fixture
def iam(bucket: Bucket) -> Iterator[dict[str, str]]:
    """The keys of the one user that the store knows: it checks each request from now on."""
    import boto3

    account = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "endpoint_url": bucket.endpoint}
    users = boto3.client("iam", region_name="eu-west-1", **account)
    users.create_user(UserName="reader")
    made = users.create_access_key(UserName="reader")["AccessKey"]
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    users.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=policy)
    _check_keys(bucket.endpoint, b"0")
    try:
        yield {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}
    finally:
        _check_keys(bucket.endpoint, b"inf")
        users.delete_user_policy(UserName="reader", PolicyName="all")
        users.delete_access_key(UserName="reader", AccessKeyId=made["AccessKeyId"])
        users.delete_user(UserName="reader")


def _check_keys(endpoint: str, after: bytes) -> None:
    plain = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", after, plain)  # noqa: S310
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


def test_all_is_well(full_bucket: Bucket) -> None:
    found = asked(full_bucket.url, full_bucket.settings())
    assert {check.verdict for check in found.values()} == {"good"}
    assert found["credentials"].found == "from the environment, key id ...LE12"
    assert found["list"].found == f"{full_bucket.url}: trades, book, book_delta_v2"
    assert found["trades"].found == "may be read; there is no index"
    assert not any(KEYS["AWS_SECRET_ACCESS_KEY"] in repr(check) for check in found.values())


def test_the_root_is_found_below_the_bucket(full_bucket: Bucket) -> None:
    found = asked(f"s3://{full_bucket.name}", full_bucket.settings())
    assert found["list"].found.startswith(full_bucket.url)


def test_a_folder_needs_neither_key_nor_network(lake: Path) -> None:
    assert list(asked(str(lake), QUICK, {})) == ["list", "trades", "book", "book_delta_v2"]


def test_a_wrong_key_and_a_wrong_secret_are_told_apart(bucket: Bucket, iam: dict[str, str]) -> None:
    bucket_settings = bucket.settings()
    wrong_id = asked(bucket.url, bucket_settings, {**iam, "AWS_ACCESS_KEY_ID": "AKIAUNKNOWNUNKNOWN12"})
    assert "the store does not know the key id" in wrong_id["list"].found
    assert "Check AWS_ACCESS_KEY_ID" in wrong_id["list"].remedy
    wrong_secret = asked(bucket.url, bucket_settings, {**iam, "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert "the secret does not belong to the key id" in wrong_secret["list"].found
    assert "Check AWS_SECRET_ACCESS_KEY" in wrong_secret["list"].remedy


def test_no_key_and_half_a_key_are_told(full_bucket: Bucket) -> None:
    none = asked(full_bucket.url, full_bucket.settings(), {"AWS_SHARED_CREDENTIALS_FILE": "/none"})
    assert (none["credentials"].verdict, none["list"].verdict) == ("bad", "skipped")
    assert "AWS_ACCESS_KEY_ID" in none["credentials"].remedy
    half = asked(full_bucket.url, full_bucket.settings(), {"AWS_ACCESS_KEY_ID": "AKIA"})
    assert "half of the credentials is missing" in half["credentials"].found


def test_a_missing_bucket_is_told(full_bucket: Bucket) -> None:
    found = asked("s3://no.such.bucket/x", full_bucket.settings())
    assert found["bucket"].found == "there is no bucket no.such.bucket"
    assert found["list"].verdict == "skipped"


def test_the_wrong_region_is_told_with_the_right_one(full_bucket: Bucket) -> None:
    found = asked(full_bucket.url, full_bucket.settings(region="us-east-1"))
    assert found["region"].found == "the bucket is in eu-west-1, not in us-east-1"
    assert found["region"].remedy.startswith("Set --region eu-west-1")


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        found = asked("s3://lake", AcquisitionSettings(endpoint=f"http://127.0.0.1:{port}"))
    assert "connection refused" in found["server"].found
    assert {check.verdict for name, check in found.items() if name not in ("credentials", "server")} == {
        "skipped"
    }
    nowhere = asked("s3://lake", AcquisitionSettings(endpoint="http://no.such.host.invalid", connect_s=5))
    assert "its name is not known" in nowhere["server"].found


def test_a_server_without_tls_is_not_spoken_to_by_https(full_bucket: Bucket) -> None:
    found = asked(
        full_bucket.url, full_bucket.settings(endpoint=full_bucket.endpoint.replace("http", "https"))
    )
    assert "it speaks no TLS" in found["server"].found


@contextmanager
def stub(answer: Any) -> Iterator[str]:
    """A server that answers each request as it is told to."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            answer(self)

        def do_GET(self) -> None:
            answer(self)

        def date_time_string(self, timestamp: float | None = None) -> str:
            late = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
            return email.utils.format_datetime(late, usegmt=True)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_a_clock_that_is_wrong_is_told_from_the_servers_own(tmp_path: Path) -> None:
    def skewed(request: BaseHTTPRequestHandler) -> None:
        request.send_response(403)
        request.send_header("Content-Length", str(len(SKEWED)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(SKEWED)

    with stub(skewed) as endpoint:
        settings = AcquisitionSettings(endpoint=endpoint)
        clock = asked("s3://lake", settings)["clock"]
        assert clock.verdict == "bad"
        assert "this machine's is 7,200 s behind the server's" in clock.found.replace("7,199", "7,200")
        assert "set-ntp" in clock.remedy
        # Also when only a signed request finds it out.
        listed = asked("s3://lake", AcquisitionSettings(endpoint=endpoint, skew_s=10_000))["list"]
        assert "the clock of this machine differs too much from the server's" in listed.found


def test_what_may_not_be_listed_is_told() -> None:
    def denied(request: BaseHTTPRequestHandler) -> None:
        request.send_response(403)
        body = b"<Error><Code>AccessDenied</Code></Error>" if request.command == "GET" else b""
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with stub(denied) as endpoint:
        found = asked("s3://lake", AcquisitionSettings(endpoint=endpoint, skew_s=10_000))
    assert "the key may not do this" in found["list"].found
    assert "--sample" in found["list"].remedy
