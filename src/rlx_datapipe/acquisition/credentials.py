"""Credentials for an archive: from AWS's variables or profile files; told by their place, never shown."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.core.errors import OptionError

_KEY, _SECRET, _TOKEN = "aws_access_key_id", "aws_secret_access_key", "aws_session_token"
_INDIRECT = ("role_arn", "credential_process", "sso_session", "sso_start_url", "web_identity_token_file")
_SHOWN = 4
_EXPORT = 'Run: eval "$(aws configure export-credentials --format env --profile {})"'
NO_CREDENTIALS = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them to a profile with `aws configure`; "
    "the free sample needs none (--sample)"
)


class Credentials:
    """A key pair and where it was found; empty for requests without a key.

    Neither `repr`, `str` nor a dump shows the secret, and it can't be pickled or copied.
    """

    __slots__ = ("_key_id", "_secret", "_token", "found")

    def __init__(self, found: str, key_id: str = "", secret: str = "", token: str = "") -> None:
        self.found = found
        """Where they are, in words."""
        self._key_id, self._secret, self._token = key_id, secret, token

    @property
    def is_anonymous(self) -> bool:
        """Whether there is no key."""
        return not self._key_id

    @property
    def shown(self) -> str:
        """The end of the key id, by which its owner knows it."""
        return f"...{self._key_id[-_SHOWN:]}" if len(self._key_id) > 2 * _SHOWN else ""

    @property
    def is_temporary(self) -> bool:
        """Whether they come with a session token, and so run out."""
        return bool(self._token)

    def revealed(self) -> dict[str, str]:
        """The fields as a signer takes them; for nobody else."""
        told = {"access_key_id": self._key_id, "secret_access_key": self._secret}
        return told | ({"token": self._token} if self._token else {})

    def __repr__(self) -> str:
        return f"Credentials({self.found!r}, hidden)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("credentials are not to be pickled or copied")


def find_credentials(
    settings: AcquisitionSettings, environment: Mapping[str, str], *, home: Path | None = None
) -> Credentials:
    """Credentials as AWS's tools find them: a profile that was named, the environment, the default profile.

    Raises
    ------
    OptionError
        When there are none, or only half of a pair, or a profile of a kind that only AWS's tools can use.
    """
    if settings.anonymous:
        return Credentials("none are sent (anonymous)")
    if not settings.profile and (key_id := environment.get(_KEY.upper(), "")):
        secret = environment.get(_SECRET.upper(), "")
        if not secret:
            raise OptionError(
                "half of the credentials is missing",
                found=_KEY.upper(),
                expected=_SECRET.upper(),
                remedy=NO_CREDENTIALS,
            )
        return Credentials("environment", key_id, secret, environment.get(_TOKEN.upper(), ""))
    return _from_profile(settings.profile, environment, home or Path.home())


def _from_profile(named: str, environment: Mapping[str, str], home: Path) -> Credentials:
    files = {
        Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials"): "",
        Path(environment.get("AWS_CONFIG_FILE") or home / ".aws" / "config"): "profile ",
    }
    name = named or "default"
    indirect = ""
    known: list[str] = []
    for path, before in files.items():
        held = _read(path)
        known += [section.removeprefix("profile ") for section in held.sections()]
        section = name if name == "default" else f"{before}{name}"
        if not held.has_section(section):
            continue
        values = held[section]
        if values.get(_KEY) and values.get(_SECRET):
            found = f"profile {name} of {path}"
            return Credentials(found, values[_KEY], values[_SECRET], values.get(_TOKEN, ""))
        indirect = indirect or next((key for key in _INDIRECT if key in values), "")
    if indirect:
        raise OptionError(
            "the profile holds no key itself",
            profile=name,
            found=indirect,
            remedy=_EXPORT.format(name),
        )
    if named:
        there = ", ".join(dict.fromkeys(known)) or "none"
        raise OptionError("no such profile with a key", profile=name, found=there, remedy=NO_CREDENTIALS)
    raise OptionError("no credentials were found", remedy=NO_CREDENTIALS)


def _read(path: Path) -> configparser.RawConfigParser:
    held = configparser.RawConfigParser()
    try:
        held.read(path, "utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        # The parser's own words quote lines of the file, and a line may be a secret.
        raise OptionError("can't be read as a file of profiles", file=path) from None
    return held
