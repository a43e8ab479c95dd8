"""The other door to Crypto Lake: raw bytes by lakeapi's login and signing, for accounts that need it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rlx_datapipe.acquisition.archive import ArchiveObject, parse_address
from rlx_datapipe.acquisition.refusals import ChangedError, PassingError, from_code
from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.program import with_guests

INSTALL = "pip install 'lakeapi==0.22.3' 'pandas==2.3.3'"
_CDN = "https://data.crypto-lake.com"
_SIGNED_FOR = "qnt.data.s3.amazonaws.com"
"""The host that lakeapi signs requests to its content network for."""


def require_lakeapi() -> Any:
    """The package `lakeapi`; it is imported where the folders that it makes on import do no harm.

    Raises
    ------
    OptionError
        When it is not installed; the sentence has the command that installs it.
    """
    with_guests()
    try:
        with tempfile.TemporaryDirectory() as elsewhere, contextlib.chdir(elsewhere):
            import lakeapi.main
    except ModuleNotFoundError as error:
        raise OptionError(
            "the door `lakeapi` needs the package lakeapi, which is in none of our extras",
            remedy=f"Run: {INSTALL}",
        ) from error
    return lakeapi.main


class LakeDoor:
    """The archive through lakeapi's session: its login says whether the store or the content network serves.

    Not through ``load_data``: that gives frames, of which the bytes as published can't be had back, takes a
    missing or broken file for an empty one, and cuts names such as stSOL. Here names are the store's own and
    a fault is an error. Keys come as boto3 finds them, single sign-on and roles included.

    Parameters
    ----------
    url
        Of a store, ``s3://BUCKET/PREFIX``.
    settings
        Region, endpoint, profile, timeouts.

    Raises
    ------
    OptionError
        When lakeapi is not installed, or the URL is not that of a store.
    """

    def __init__(self, url: str, settings: AcquisitionSettings) -> None:
        self._lake = require_lakeapi()
        self.address = parse_address(url)
        self._settings = settings
        if self.address.is_local:
            expected = "s3://BUCKET/PREFIX"
            raise OptionError("the door `lakeapi` leads to stores alone", found=url, expected=expected)
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import ProfileNotFound

        try:
            self._session = boto3.Session(profile_name=settings.profile or None, region_name=settings.region)
        except ProfileNotFound:
            raise OptionError("no such profile", profile=settings.profile) from None
        config = Config(
            connect_timeout=settings.connect_s,
            read_timeout=settings.read_s,
            retries={"total_max_attempts": 1},
            max_pool_connections=settings.parts,
            s3={"addressing_style": "path"},
            **({"signature_version": UNSIGNED} if settings.anonymous else {}),
        )
        self._s3 = self._session.client("s3", endpoint_url=settings.endpoint or None, config=config)
        self._user, self._way = self._login()

    @property
    def way(self) -> str:
        """What serves this account: ``s3`` or ``cloudfront``."""
        return self._way

    def below(self, folder: str) -> LakeDoor:
        """The same archive with its root in a folder of it."""
        return LakeDoor(f"{self.address.url}/{folder}", self._settings)

    def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders right below a prefix; errors as `CryptoLakeAPIClient.folders`."""
        pages = self._pages(prefix, Delimiter="/")
        found = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", ())]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def listed(self, prefix: str = "", after: str = "") -> Iterator[ArchiveObject]:
        """All objects below a prefix whose paths come after one; errors as `folders`."""
        inside = len(self._key(""))
        for page in self._pages(prefix, **({"StartAfter": self._key(after)} if after else {})):
            for one in page.get("Contents", ()):
                yield ArchiveObject(one["Key"][inside:], one["Size"], one["ETag"])

    def head(self, path: str) -> ArchiveObject:
        """Size and tag of one object; errors as `folders`."""
        with self._refusals(path):
            if self._is_by_cdn(path):
                headers = self._ask_cdn("HEAD", path, {}).headers
                return ArchiveObject(path, int(headers["Content-Length"]), headers.get("ETag", ""))
            answer = self._s3.head_object(Bucket=self.address.bucket, Key=self._key(path))
        return ArchiveObject(path, answer["ContentLength"], answer["ETag"])

    def read(self, path: str, start: int, end: int, etag: str = "") -> Iterator[bytes]:
        """Bytes ``start`` to ``end`` (excluded); errors as `CryptoLakeAPIClient.read`."""
        wanted = f"bytes={start}-{end - 1}"
        left = end - start
        with self._refusals(path):
            if self._is_by_cdn(path):
                answer = self._ask_cdn("GET", path, {"Range": wanted})
                if etag and answer.headers.get("ETag", etag) != etag:
                    raise ChangedError("has changed at its source", archive=self._url(path))
                pieces = answer.iter_content(self._settings.chunk_kb * 1024)
            else:
                told = {"IfMatch": etag} if etag else {}
                key = self._key(path)
                body = self._s3.get_object(Bucket=self.address.bucket, Key=key, Range=wanted, **told)["Body"]
                pieces = body.iter_chunks(self._settings.chunk_kb * 1024)
            for piece in pieces:
                left -= len(piece)
                if left < 0:
                    break
                yield piece
        if left:
            what = "the answer has another length than was asked for"
            raise PassingError(what, archive=self._url(path), code="wrong length")

    def _login(self) -> tuple[str, str]:
        """Who we are to Crypto Lake and what serves us; the store where nobody can tell."""
        if self._settings.anonymous or self._settings.endpoint:
            return "unknown", "s3"
        login = getattr(self._lake._login, "__wrapped__", self._lake._login)
        user, way = login(self._session, "trades")
        return str(user), str(way)

    def _is_by_cdn(self, path: str) -> bool:
        # Indexes lie in the store for everybody.
        return self._way == "cloudfront" and path.endswith(".parquet")

    def _ask_cdn(self, method: str, path: str, headers: dict[str, str]) -> Any:
        """A request to the content network, signed as lakeapi does."""
        import requests
        from aws_requests_auth.aws_auth import AWSRequestsAuth

        keys = self._session.get_credentials().get_frozen_credentials()
        signed = AWSRequestsAuth(
            aws_access_key=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_host=_SIGNED_FOR,
            aws_region=self._settings.region,
            aws_service="s3",
            aws_token=keys.token,
        )
        answer = requests.request(
            method,
            f"{_CDN}/{self._key(path)}",
            auth=signed,
            headers={"Referer": self._user, **headers},
            stream=True,
            timeout=(self._settings.connect_s, self._settings.read_s),
        )
        expected = 206 if "Range" in headers else 200
        if answer.status_code != expected:
            raise from_code(str(answer.status_code), self._url(path))
        return answer

    def _pages(self, prefix: str, **how: Any) -> Iterator[dict[str, Any]]:
        below = self._key(f"{prefix}/" if prefix else "")
        with self._refusals(prefix):
            pages = self._s3.get_paginator("list_objects_v2")
            yield from pages.paginate(Bucket=self.address.bucket, Prefix=below, **how)

    def _key(self, path: str) -> str:
        return f"{self.address.prefix}/{path}" if self.address.prefix else path

    def _url(self, path: str) -> str:
        return f"{self.address.url}/{path}"

    @contextmanager
    def _refusals(self, path: str) -> Iterator[None]:
        """What boto3 and requests raise as an `ArchiveError`, without their own words."""
        from botocore import exceptions
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise from_code(code, self._url(path), region=self._settings.region) from None
        except exceptions.NoCredentialsError:
            raise OptionError("no credentials were found by boto3", remedy="Run: aws configure") from None
        except exceptions.EndpointConnectionError:
            raise from_code("unreachable", self._url(path)) from None
        except (exceptions.BotoCoreError, RequestException, HTTPError) as error:
            raise from_code("broken off", self._url(path), hint=type(error).__name__) from None
