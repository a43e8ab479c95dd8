"""Whether an archive can be read, asked step by step: key, server, region, bucket, clock, lists, bytes."""

from __future__ import annotations

import datetime as dt
import email.utils
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Literal

import msgspec

from rlx_datapipe.acquisition.archive import Address, Archive, parse_address
from rlx_datapipe.acquisition.client import CryptoLakeAPIClient
from rlx_datapipe.acquisition.credentials import NO_CREDENTIALS, Credentials, find_credentials
from rlx_datapipe.acquisition.index import read_index
from rlx_datapipe.acquisition.inventory import USUAL_TABLES, find_root
from rlx_datapipe.acquisition.refusals import ArchiveError, RefusedError
from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.core.errors import DatapipeError, OptionError

Verdict = Literal["good", "odd", "bad", "skipped"]
_REGION_HEADER = "x-amz-bucket-region"
_HEAD_BYTES = 16


class Check(msgspec.Struct, frozen=True):
    """One question and its answer; ``remedy`` says what to do where it is not good."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


class Knock(msgspec.Struct, frozen=True):
    """What a server says to a request without a key for the bucket: an HTTP status, its clock, its region."""

    status: int
    date: str
    region: str


def check_connection(
    url: str,
    settings: AcquisitionSettings,
    environment: Mapping[str, str],
    *,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> list[Check]:
    """Ask an archive step by step; each answer says exactly what is wrong, and how to mend it.

    Nothing is changed, and no more read than an index and a few bytes. Where one step fails, those that
    stand on it are skipped.

    Parameters
    ----------
    now
        The clock of this machine.
    """
    address = parse_address(url)
    if address.is_local:
        return _reading(url, settings, None)
    checks, credentials = _credentials(settings, environment)
    try:
        knock = _knock(address, settings)
    except ArchiveError as error:
        return [*checks, _bad("server", error), *_skipped("region", "bucket", "clock", "list", "read")]
    where = settings.endpoint or f"Amazon S3, {settings.region}"
    checks.append(Check("server", "good", f"{where} answers"))
    checks += [_region(knock, settings), _bucket(knock, address), _clock(knock, settings, now())]
    if any(check.verdict == "bad" for check in checks):
        return [*checks, *_skipped("list", "read")]
    return [*checks, *_reading(url, settings, credentials)]


def is_good(checks: list[Check]) -> bool:
    """Whether nothing is bad."""
    return all(check.verdict != "bad" for check in checks)


def as_facts(url: str, checks: list[Check]) -> dict[str, Any]:
    """The answers for JSON."""
    return {
        "archive": url,
        "is_good": is_good(checks),
        "checks": [msgspec.to_builtins(one) for one in checks],
    }


def _credentials(
    settings: AcquisitionSettings, environment: Mapping[str, str]
) -> tuple[list[Check], Credentials | None]:
    try:
        found = find_credentials(settings, environment)
    except OptionError as error:
        return [_bad("credentials", error)], None
    if found.is_anonymous:
        return [Check("credentials", "good", found.found)], found
    told = f"from the {found.found}, key id {found.shown}" + (", temporary" if found.is_temporary else "")
    return [Check("credentials", "good", told)], found


def _knock(address: Address, settings: AcquisitionSettings) -> Knock:
    """A HEAD of the bucket without a key: any answer tells the server's clock, and mostly the region."""
    base = (settings.endpoint or f"https://s3.{settings.region}.amazonaws.com").rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise OptionError("is no address of a server", file=base, expected="https://HOST or http://HOST:PORT")
    request = urllib.request.Request(f"{base}/{address.bucket}", method="HEAD")  # noqa: S310 (checked above)
    opener = urllib.request.build_opener(_StayHere)
    try:
        with opener.open(request, timeout=settings.connect_s) as answer:
            return _heard(answer.status, answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return _heard(error.code, error.headers)
    except (OSError, HTTPException) as error:
        raise ArchiveError(
            "can't be reached", archive=base, reason=_reason(error), remedy=_WAYS.get(_kind(error), _WAYS[""])
        ) from None


class _StayHere(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer: it says that the bucket is in another region."""

    def redirect_request(self, *_: Any) -> None:
        """None: not followed."""
        return


def _heard(status: int, headers: Any) -> Knock:
    return Knock(status, headers.get("Date", ""), headers.get(_REGION_HEADER, ""))


_WAYS = {
    "name": "Check --endpoint and --region, and that this machine has a network and a name server",
    "refused": "Nothing listens there: check --endpoint, and that the server runs",
    "time": "Check the network, a proxy (HTTPS_PROXY), a firewall",
    "certificate": "Check --endpoint, and the certificates of this machine; no certificate is passed over",
    "": "Check --endpoint, the network, a proxy (HTTPS_PROXY)",
}


def _kind(error: BaseException) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    kinds: dict[type[BaseException], str] = {
        socket.gaierror: "name",
        ConnectionRefusedError: "refused",
        TimeoutError: "time",
        ssl.SSLError: "certificate",
    }
    return next((kind for one, kind in kinds.items() if isinstance(cause, one)), "")


def _reason(error: BaseException) -> str:
    words = {
        "name": "its name is not known, or there is no network",
        "refused": "connection refused",
        "time": "no answer in time",
        "certificate": "its TLS certificate is not valid, or it speaks no TLS",
    }
    return words.get(_kind(error), type(error).__name__)


def _region(knock: Knock, settings: AcquisitionSettings) -> Check:
    if not knock.region:
        return Check("region", "good", f"{settings.region} (the server names none)")
    if knock.region != settings.region:
        remedy = f"Set --region {knock.region}, or RLX_ACQUIRE_REGION"
        return Check("region", "bad", f"the bucket is in {knock.region}, not in {settings.region}", remedy)
    return Check("region", "good", settings.region)


def _bucket(knock: Knock, address: Address) -> Check:
    if knock.status == 404:
        remedy = "Check the name in the URL (--archive, RLX_ACQUIRE_ARCHIVE)"
        return Check("bucket", "bad", f"there is no bucket {address.bucket}", remedy)
    return Check("bucket", "good", f"{address.bucket} is there")


def _clock(knock: Knock, settings: AcquisitionSettings, now: dt.datetime) -> Check:
    told = email.utils.parsedate_to_datetime(knock.date) if knock.date else None
    if told is None:
        return Check("clock", "skipped", "the server tells no time")
    ahead_s = (now - (told if told.tzinfo else told.replace(tzinfo=dt.UTC))).total_seconds()
    words = f"{abs(ahead_s):,.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the server's"
    if abs(ahead_s) > settings.skew_s:
        remedy = "Set it: sudo timedatectl set-ntp true. Signed requests are refused from 900 s on"
        return Check("clock", "bad", f"this machine's is {words}", remedy)
    return Check("clock", "good", words if abs(ahead_s) >= 2 else "equal to the server's within 2 s")


def _reading(url: str, settings: AcquisitionSettings, credentials: Credentials | None) -> list[Check]:
    """What may be listed and read, tried."""
    try:
        archive = find_root(CryptoLakeAPIClient(url, settings, credentials))
        there = archive.folders()
    except DatapipeError as error:
        return [_bad("list", error), *_skipped("read")]
    tables = [name for name in there if "=" not in name]
    usual = [name for name in USUAL_TABLES if name in tables]
    listed = Check("list", "good", f"{archive.address.url}: {', '.join(usual or tables) or 'nothing'}")
    return [listed, *[_table(archive, name, settings) for name in usual]]


def _table(archive: Archive, table: str, settings: AcquisitionSettings) -> Check:
    """Whether a table's files may be read: the first bytes of one of them."""
    try:
        index = read_index(archive, table, settings.index_mb_max * 10**6)
        one = next((one for one in archive.listed(table) if one.path.endswith(".parquet")), None)
        if one is None:
            return Check(table, "odd", "holds no Parquet file")
        b"".join(archive.read(one.path, 0, min(_HEAD_BYTES, one.size_bytes), one.etag))
    except ArchiveError as error:
        return _bad(table, error)
    told = f"an index of {len(index.paths):,} files" if index.is_usable else index.problem
    return Check(table, "good", f"may be read; {told}")


def _bad(name: str, error: DatapipeError) -> Check:
    facts = {key: value for key, value in error.facts.items() if key not in ("archive", "file") and value}
    tail = "; ".join(f"{key} {value}" for key, value in facts.items())
    remedy = error.remedy or (NO_CREDENTIALS if isinstance(error, RefusedError) else "")
    return Check(name, "bad", error.what + (f" ({tail})" if tail else ""), remedy)


def _skipped(*names: str) -> list[Check]:
    return [Check(name, "skipped", "not asked, for what stands above") for name in names]
