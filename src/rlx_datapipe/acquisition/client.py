"""CryptoLakeAPIClient: one interface to archives on S3-compatible stores and in local folders, on obstore."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlx_datapipe.acquisition.archive import ArchiveObject, parse_address
from rlx_datapipe.acquisition.credentials import Credentials, find_credentials
from rlx_datapipe.acquisition.refusals import PassingError, refusal
from rlx_datapipe.acquisition.settings import AcquisitionSettings
from rlx_datapipe.core.errors import OptionError

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

_PAGE = 1_000


def require_obstore() -> None:
    """See that what reads object stores is installed.

    Raises
    ------
    OptionError
        When it is not; the sentence has the command that installs it.
    """
    try:
        import obstore  # noqa: F401
    except ModuleNotFoundError as error:
        raise OptionError(
            "archives are read with the extra 'acquire'", remedy="Run: pip install 'rlx-datapipe[acquire]'"
        ) from error


class CryptoLakeAPIClient:
    """An archive in the layout of Crypto Lake, on any S3-compatible store or in a folder.

    Tries nothing twice by itself: who asks knows what is worth another try, and when.

    Parameters
    ----------
    url
        Root of the archive; see `parse_address`.
    settings
        Region, endpoint, timeouts and pieces.
    credentials
        For a store; None for requests without a key.

    Raises
    ------
    OptionError
        When obstore is not installed, the URL leads nowhere, or the folder is not there.
    """

    def __init__(
        self, url: str, settings: AcquisitionSettings, credentials: Credentials | None = None
    ) -> None:
        require_obstore()
        self.address = parse_address(url)
        self._settings, self._credentials = settings, credentials
        self._store = self._local() if self.address.is_local else self._remote()

    def below(self, folder: str) -> CryptoLakeAPIClient:
        """The same archive with its root in a folder of it."""
        return CryptoLakeAPIClient(f"{self.address.url}/{folder}", self._settings, self._credentials)

    def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders right below a prefix, sorted.

        Raises
        ------
        ArchiveError
            When the store can't be reached, or refuses.
        """
        from obstore import list_with_delimiter

        with _refusals(self._url(prefix), self._settings.region):
            found = list_with_delimiter(self._store, prefix or None)
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])

    def listed(self, prefix: str = "", after: str = "") -> Iterator[ArchiveObject]:
        """All objects below a prefix whose paths come after one; errors as `folders`."""
        import obstore

        with _refusals(self._url(prefix), self._settings.region):
            for page in obstore.list(self._store, prefix or None, offset=after or None, chunk_size=_PAGE):
                yield from (ArchiveObject(one["path"], one["size"], one["e_tag"] or "") for one in page)

    def head(self, path: str) -> ArchiveObject:
        """Size and tag of one object; errors as `folders`, and `AbsentError`."""
        import obstore

        with _refusals(self._url(path), self._settings.region):
            one = obstore.head(self._store, path)
        return ArchiveObject(path, one["size"], one["e_tag"] or "")

    def read(self, path: str, start: int, end: int, etag: str = "") -> Iterator[bytes]:
        """Bytes ``start`` to ``end`` (excluded), in pieces of about `AcquisitionSettings.chunk_kb`.

        Raises
        ------
        ChangedError
            When the object has another tag.
        PassingError
            When the answer broke off, or had another length than was asked for.
        ArchiveError
            When the store refuses.
        """
        import obstore

        options: dict[str, Any] = {"range": (start, end)} | ({"if_match": etag} if etag else {})
        left = end - start
        with _refusals(self._url(path), self._settings.region):
            answer = obstore.get(self._store, path, options=options)  # type: ignore[arg-type]
            if answer.range != (start, end):
                raise _wrong_length(self._url(path))
            for piece in answer.stream(self._settings.chunk_kb * 1024):
                left -= len(piece)
                if left < 0:
                    raise _wrong_length(self._url(path))
                yield bytes(piece)
        if left:
            raise _wrong_length(self._url(path))

    def _url(self, path: str) -> str:
        return f"{self.address.url}/{path}" if path else self.address.url

    def _local(self) -> LocalStore:
        from obstore.store import LocalStore

        folder = Path(self.address.prefix)
        if not folder.is_dir():
            raise OptionError("is no folder", file=folder, remedy="Name the root of the archive")
        return LocalStore(folder)

    def _remote(self) -> S3Store:
        from obstore.store import S3Store

        settings, credentials = self._settings, self._credentials
        is_anonymous = credentials is None or credentials.is_anonymous
        endpoint = settings.endpoint
        # Said in full, so that no variable of the environment decides anything behind our back.
        config: dict[str, Any] = {
            "region": settings.region,
            "endpoint": endpoint or f"https://s3.{settings.region}.amazonaws.com",
            "skip_signature": is_anonymous,
            "virtual_hosted_style_request": False,
        }
        provider = None
        if credentials is not None and not is_anonymous:
            provider = lambda: {**credentials.revealed(), "expires_at": None}  # noqa: E731
        return S3Store(
            self.address.bucket,
            prefix=self.address.prefix or None,
            config=config,  # type: ignore[arg-type]
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=settings.connect_s),
                "read_timeout": timedelta(seconds=settings.read_s),
                "timeout": timedelta(seconds=_longest_s(settings)),
                "user_agent": "rlx-datapipe",
            },
            retry_config={"max_retries": 0},
            credential_provider=provider,  # type: ignore[arg-type]
        )


def _longest_s(settings: AcquisitionSettings) -> float:
    """Longest time that one request may take: a whole part as slowly as is let pass, or at the limit."""
    slowest_mb_s = 0.01
    if settings.limit_mb_s:
        slowest_mb_s = min(slowest_mb_s, settings.limit_mb_s / settings.parts / 4)
    longest_mb = 1.5 * max(settings.part_mb, settings.part_mb_max)
    return settings.connect_s + settings.read_s + longest_mb / slowest_mb_s


def _wrong_length(url: str) -> PassingError:
    return PassingError("the answer has another length than was asked for", archive=url, code="wrong length")


@contextmanager
def _refusals(url: str, region: str) -> Iterator[None]:
    """What obstore raises as an `ArchiveError`, without its own words: they may quote a request."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise refusal(error, url, region) from None


def open_archive(
    url: str, settings: AcquisitionSettings, environment: Mapping[str, str] | None = None
) -> CryptoLakeAPIClient:
    """The client for a URL, with the credentials that are at hand for it.

    Raises
    ------
    OptionError
        When a store is asked for without credentials, or the URL leads nowhere.
    """
    if parse_address(url).is_local:
        return CryptoLakeAPIClient(url, settings)
    found = find_credentials(settings, os.environ if environment is None else environment)
    return CryptoLakeAPIClient(url, settings, found)
