"""What an archive says when it refuses, as one sentence that names the fault and its remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rlx_datapipe.core.errors import EXIT_STOPPED, DatapipeError, SourceError


class ArchiveError(SourceError):
    """Raised when an archive can't be reached, or refuses; ``facts["code"]`` is the store's own word."""


class PassingError(ArchiveError):
    """Raised for what may be over at the next try: a busy server, a connection that broke, a short answer."""


class ChangedError(ArchiveError):
    """Raised when an object is no longer the one that was asked for."""


class AbsentError(ArchiveError):
    """Raised when an object, or a bucket, is not there."""


class DeniedError(ArchiveError):
    """Raised when a key may not do this; it may be allowed other things."""


class RefusedError(ArchiveError):
    """Raised when the store refuses the key, the clock or the region: it would refuse all other requests."""


class OutageError(ArchiveError):
    """Raised when nothing came for too long; what came is kept, and the same command goes on."""

    exit_code = EXIT_STOPPED


_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
_REGION = re.compile(r"<Region>([a-z0-9-]{1,30})</Region>")
_STATUS = re.compile(r"(?:status(?: code)?:? |HTTP )(\d{3})", re.IGNORECASE)
_BUSY = ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "Busy")
_KEY_FAULTS: Mapping[str, tuple[str, str]] = {
    "InvalidAccessKeyId": ("the store does not know the key id", "Check AWS_ACCESS_KEY_ID, or the profile"),
    "InvalidClientTokenId": ("the store does not know the key id", "Check AWS_ACCESS_KEY_ID, or the profile"),
    "SignatureDoesNotMatch": (
        "the secret does not belong to the key id",
        "Check AWS_SECRET_ACCESS_KEY: copied whole, no space at its ends",
    ),
    "ExpiredToken": ("the temporary credentials have run out", "Fetch new ones, then run it again"),
    "InvalidToken": ("the session token is not valid", "Unset AWS_SESSION_TOKEN, or fetch new credentials"),
    "RequestTimeTooSkewed": (
        "the clock of this machine differs too much from the server's",
        "Set it: sudo timedatectl set-ntp true",
    ),
    "AccountProblem": ("the account is not in order", "Ask who gave you the key"),
}
_WRONG_REGION = ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException")
_DENIED = ("AccessDenied", "AllAccessDisabled", "Forbidden", "403")
_NO_BUCKET = "NoSuchBucket"


def refusal(error: BaseException, url: str, region: str = "") -> ArchiveError:
    """What a failed request means, told by the answer of the store or the words of its client.

    Parameters
    ----------
    error
        Of the client that asked: only its text and type are looked at, and only known words of it are told,
        for the rest may quote a signed request.
    url
        What was asked for.
    region
        That the request was signed for.
    """
    told = _whole(error)
    code = _code(error, told)
    return from_code(code, url, region=region, hint=_hint(told), right_region=_first(_REGION, told))


def from_code(
    code: str, url: str, *, region: str = "", hint: str = "", right_region: str = ""
) -> ArchiveError:
    """The error for a code of S3, an HTTP status, or a word of our own for what broke on the way."""
    if code in _KEY_FAULTS:
        what, remedy = _KEY_FAULTS[code]
        return RefusedError(what, remedy=remedy, archive=url, code=code)
    if code in _WRONG_REGION or code == "301":
        where = f"Set --region {right_region}" if right_region else "Ask for the bucket's region; --region"
        return RefusedError(
            "the bucket is in another region", remedy=where, archive=url, found=region, code=code
        )
    if code == _NO_BUCKET:
        remedy = "Check the URL (--archive)"
        return AbsentError("there is no such bucket", remedy=remedy, archive=url, code=code)
    if code in _DENIED:
        remedy = "Ask who gave you the key whether it may list and read this; the free sample is --sample"
        return DeniedError("the key may not do this", remedy=remedy, archive=url, code=code)
    if code in ("412", "PreconditionFailed"):
        return ChangedError("has changed at its source", archive=url, code=code)
    if code in ("404", "NoSuchKey"):
        return AbsentError("is not there", archive=url, code=code)
    if code.isdigit() and 400 <= int(code) < 500 and code not in ("408", "425", "429"):
        return ArchiveError("the store does not understand the request", archive=url, code=code)
    return PassingError(_passing(code), archive=url, code=code, **({"reason": hint} if hint else {}))


def _passing(code: str) -> str:
    if code in ("503", "429") or any(word in code for word in _BUSY):
        return "the store is busy"
    return "the store can't be reached" if code == "unreachable" else "the answer broke off"


def _whole(error: BaseException) -> str:
    told: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(told) < 8:
        told.append(str(seen))
        seen = seen.__cause__
    return "\n".join(told)


def _code(error: BaseException, told: str) -> str:
    if isinstance(error, DatapipeError):
        return str(error.facts.get("code", ""))
    name = type(error).__name__
    if name == "PreconditionError":
        return "412"
    if code := _first(_CODE, told) or _first(_STATUS, told):
        return code
    if name in ("FileNotFoundError", "NotADirectoryError"):
        return "404"
    if name in ("PermissionDeniedError", "UnauthenticatedError", "PermissionError"):
        return "AccessDenied"
    return "unreachable" if "kind: Connect" in told else "broken off"


_HINTS = {
    "dns error": "its name is not known, or there is no network",
    "connectionrefused": "connection refused",
    "networkunreachable": "no network",
    "hostunreachable": "no route to it",
    "certificate": "its TLS certificate is not valid",
    "invalidcontenttype": "it speaks no TLS",
    "timedout": "no answer in time",
    "kind: timeout": "no answer in time",
    "connectionreset": "connection reset",
    "unexpectedeof": "it broke off",
    "incompletebody": "it broke off",
    "kind: connect": "no connection",
}
"""What stands in the details of the client's errors -> what it means; the first that fits."""


def _hint(told: str) -> str:
    text = told.lower()
    return next((words for sign, words in _HINTS.items() if sign in text), "")


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""


def as_fact(error: DatapipeError) -> dict[str, Any]:
    """An error for JSON: its sentence, and the store's code."""
    return {"problem": str(error), "code": error.facts.get("code", "")}
