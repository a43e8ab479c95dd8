"""Settings of acquisition: where the archive is, how fast and patiently it is read, what may be used up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from rlx_datapipe.core.layers import layered

Seconds = Annotated[float, msgspec.Meta(gt=0.0, le=1e6)]
Maybe = Annotated[float, msgspec.Meta(ge=0.0, le=1e6)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

_PREFIX = "RLX_ACQUIRE_"
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


class AcquisitionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What shapes an acquisition, apart from what is acquired. No secret is among it.

    Attributes
    ----------
    archive, sample
        URL of the archive's root, and of the free sample's: ``s3://bucket/prefix``, ``file://`` or a folder.
    region
        Where the bucket is.
    endpoint
        Server in place of Amazon's, such as ``http://127.0.0.1:9000``; empty for Amazon's of the region. A
        plain one, without TLS, is spoken to only because it was named.
    profile
        Of the AWS credentials file; empty for the environment's keys, then the profile ``default``.
    anonymous
        Whether to send no key at all.
    part_mb, part_mb_max, parts
        Shortest and longest ranged request, in MB, and how many run at a time. While much is left requests
        are long, and few; towards the end of a run they get short, so that the last ones end together. What
        is left of a file is cut into equal ones, which may be longer than the longest by a half.
    chunk_kb
        Bytes that are written, and entered in the journal, at a time: about what a kill costs for each part
        in flight.
    check_md5
        Whether what came is held against its ETag where that is an MD5; costs as much processor time as all
        else. By default only where the way could change bytes unnoticed: a server elsewhere, without TLS.
    connect_s, read_s
        Longest wait for a connection, and for the next bytes of an answer.
    retries
        Further tries of a part in a row that bring not one byte, while others get theirs; then its file is
        given up in this run.
    backoff_s, backoff_max_s
        Upper end of the first wait before another try, and of every wait.
    breaker_failures, breaker_pause_s
        Failures in a row, over all parts, after which nothing is asked for so long; then one part probes.
    outage_s
        Silence of the whole store after which a run ends; it can be gone on with.
    limit_mb_s
        Most that is read, in MB a second, over all parts; 0 for no limit.
    expected_mb_s
        Rate by which the time of a plan is told while none was measured; 0 for none.
    quota_gb
        What the account may read in a calendar month (UTC); 0 for no bound. Crypto Lake: 300.
    disk_reserve_gb
        What a plan leaves free on the disk.
    ledger
        Folder of the record of what was read from which store; empty for the user's own state folder.
    index_mb_max, footer_mb_max
        Largest index object, unpacked, and largest Parquet footer that are read.
    skew_s
        Difference to the server's clock that is told as a fault; Amazon refuses 900.
    """

    archive: str = "s3://qnt.data/market-data/cryptofeed"
    sample: str = "s3://sample.crypto.lake"
    region: str = "eu-west-1"
    endpoint: str = ""
    profile: str = ""
    anonymous: bool = False
    part_mb: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 8
    part_mb_max: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 64
    parts: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8
    chunk_kb: Annotated[int, msgspec.Meta(ge=16, le=65_536)] = 256
    check_md5: Literal["auto", "always", "never"] = "auto"
    connect_s: Seconds = 10.0
    read_s: Seconds = 30.0
    retries: Count = 8
    backoff_s: Seconds = 0.5
    backoff_max_s: Seconds = 20.0
    breaker_failures: Count = 20
    breaker_pause_s: Seconds = 5.0
    outage_s: Seconds = 600.0
    limit_mb_s: Maybe = 0.0
    expected_mb_s: Maybe = 0.0
    quota_gb: Maybe = 300.0
    disk_reserve_gb: Maybe = 2.0
    ledger: str = ""
    index_mb_max: Count = 512
    footer_mb_max: Count = 64
    skew_s: Seconds = 60.0


def checks_md5(settings: AcquisitionSettings) -> bool:
    """Whether ETags are held against what came."""
    if settings.check_md5 != "auto":
        return settings.check_md5 == "always"
    parts = urlsplit(settings.endpoint)
    return parts.scheme == "http" and parts.hostname not in _THIS_MACHINE


def acquisition_settings(
    file: Path | None, environment: Mapping[str, str], given: Mapping[str, Any] | None = None
) -> AcquisitionSettings:
    """Settings from defaults, then the TOML file, then ``RLX_ACQUIRE_*`` variables, then what was given.

    An endpoint or profile that none of these names is taken from AWS's own variables.

    Raises
    ------
    OptionError
        For a file that can't be read, an unknown name, or a value that has no meaning.
    """
    settings = layered(AcquisitionSettings, _PREFIX, file, environment, given, is_ours=True)
    endpoint = next((environment[name] for name in _ENDPOINTS if environment.get(name)), "")
    return msgspec.structs.replace(
        settings,
        endpoint=settings.endpoint or endpoint,
        profile=settings.profile or environment.get("AWS_PROFILE", ""),
    )
