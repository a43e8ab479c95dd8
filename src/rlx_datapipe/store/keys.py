"""Master keys of captures: read from a guarded file or a descriptor, and never shown."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from rlx_datapipe.core.errors import OptionError, OutputError, SourceError
from rlx_datapipe.store.files import sync, system_reason, unwritable

KEY_BYTES = 32
KEY_ID_BYTES = 32
_FILE_BYTES_MAX = 1 << 16
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_LINE = re.compile(r"(\S+)\s+([0-9a-fA-F]{64})")


class KeyMismatchError(SourceError):
    """Raised when a file needs another key than those at hand: that is no damage."""


class MasterKey:
    """A key of 256 bits with its name; only what is derived from it ever meets data.

    Neither `repr`, `str` nor a dump shows the secret, and it can't be pickled or copied.
    """

    __slots__ = ("_secret", "id")

    def __init__(self, key_id: str, secret: bytes) -> None:
        is_sound, length = bool(_ID.fullmatch(key_id)) and len(secret) == KEY_BYTES, len(secret)
        self.id, self._secret = key_id, secret
        # A traceback may show what the frames hold.
        del secret
        if not is_sound:
            raise OptionError(
                "a key has an id of 1 to 32 letters, digits, dots, dashes and underscores, and 32 bytes",
                found=f"{key_id[:40]!a} with {length} bytes",
            )

    def derive(self, salt: bytes, purpose: bytes, length: int) -> bytes:
        """Bytes that only this key gives for a salt and a purpose, by HKDF-SHA256 (RFC 5869)."""
        require_cryptography()
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return HKDF(algorithm=SHA256(), length=length, salt=salt, info=purpose).derive(self._secret)

    def __repr__(self) -> str:
        return f"MasterKey({self.id!r}, hidden)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a key is not to be pickled or copied")


class KeyRing:
    """Keys by id: the newest writes, the others only read what they once wrote.

    Parameters
    ----------
    keys
        At least one, the newest last; each id once.
    """

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        self._keys = {key.id: key for key in keys}
        if not keys or len(self._keys) < len(keys):
            raise OptionError("a key ring holds at least one key, and each id once", found=len(keys))
        self.newest = keys[-1]

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the keys, the newest last."""
        return tuple(self._keys)

    def find(self, key_id: str, file: Path | str) -> MasterKey:
        """The key of this id, which a file needs.

        Raises
        ------
        KeyMismatchError
            When it is not at hand.
        """
        if key_id not in self._keys:
            raise KeyMismatchError(
                "needs a key that is not in the key file",
                file=file,
                key_id=key_id,
                found=", ".join(self._keys),
                remedy="Give the key file that holds this key",
            )
        return self._keys[key_id]

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)}; secrets hidden)"


def read_key_file(path: Path) -> KeyRing:
    """The keys in a file that nobody but its owner can read.

    Each line is an id and 64 hexadecimal digits; empty lines and lines that begin with # are passed over.
    The last key is the newest.

    Raises
    ------
    SourceError
        When the file can't be read, is open to others, or holds anything else.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(f"can't be read ({system_reason(error)})", file=path) from error
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise SourceError("is no plain file", file=path, remedy="Give a file, or a descriptor by --key-fd")
    if status.st_mode & 0o077 or status.st_uid not in (os.geteuid(), 0):
        os.close(handle)
        raise SourceError(
            "is a key file that others may read or own",
            file=path,
            found=f"mode {stat.S_IMODE(status.st_mode):04o}",
            expected="mode 0600, owned by you",
            remedy=f"Run: chmod 600 {path}",
        )
    return read_key_descriptor(handle, told_as=str(path))


def read_key_descriptor(handle: int, told_as: str = "the key descriptor") -> KeyRing:
    """The keys that a descriptor gives, in the form of a key file; it is closed.

    Raises
    ------
    SourceError
        As `read_key_file`; the sentence tells the line, but nothing of what stands there.
    """
    keys, problem = _parsed(handle)
    if problem:
        raise SourceError(problem, file=told_as, remedy="Make a key file by: rlx capture key --key-file FILE")
    return KeyRing(keys)


def _parsed(handle: int) -> tuple[list[MasterKey], str]:
    """Keys, or what is wrong; no exception starts here, since its frame would hold the secrets."""
    keys: list[MasterKey] = []
    try:
        with os.fdopen(handle, "rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        return [], f"can't be read ({system_reason(error)})"
    if len(content) > _FILE_BYTES_MAX:
        return [], f"is longer than {_FILE_BYTES_MAX} bytes"
    for number, line in enumerate(content.decode("ascii", "replace").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or not _ID.fullmatch(match[1]):
            return [], f"line {number} is not an id and 64 hexadecimal digits"
        if any(key.id == match[1] for key in keys):
            return [], f"line {number} has an id that stood there before"
        keys.append(MasterKey(match[1], bytes.fromhex(match[2])))
    return keys, "" if keys else "holds no key"


def add_key(path: Path, key_id: str = "", *, random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """Put a new key at the end of a key file, which is made if it is not there; the id of the key.

    The file changes at once or not at all, and old keys stay. Without ``key_id`` it is called k1, k2, ...

    Raises
    ------
    SourceError
        When the file is there, but no key file.
    OptionError
        When the id is taken, or no id.
    OutputError
        When it can't be written, or another process is at it.
    """
    held = read_key_file(path).ids if path.exists() else ()
    key_id = key_id or next(f"k{n}" for n in range(1, len(held) + 2) if f"k{n}" not in held)
    if key_id in held or not _ID.fullmatch(key_id):
        raise OptionError("is taken by another key, or no id", key_id=ascii(key_id), held=", ".join(held))
    temporary = path.with_name(f".{path.name}.partial")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise OutputError(
            "stands in the way of a new key file", file=temporary, remedy="Remove it if no one writes it"
        ) from error
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            before = path.read_bytes() if held else b""
            file.write(before + b"\n" * (before[-1:] not in (b"", b"\n")))
            file.write(f"{key_id} {random_bytes(KEY_BYTES).hex()}\n".encode())
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error
    return key_id


def require_cryptography() -> None:
    """See that what encrypts is installed.

    Raises
    ------
    OptionError
        When it is not; the sentence has the command that installs it.
    """
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError as error:
        raise OptionError(
            "encryption needs the extra 'capture'",
            remedy="Run: pip install 'rlx-datapipe[capture]' (or: uv run --extra capture rlx ...)",
        ) from error
