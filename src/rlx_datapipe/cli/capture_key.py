"""`rlx capture key`: make a key file, or add a new key to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rlx_datapipe.cli.terminal import give, guarded, json_option, say
from rlx_datapipe.core.errors import OptionError

if TYPE_CHECKING:
    from rlx_datapipe.store.keys import KeyRing


@click.command()
@click.option(
    "--key-file", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Made, or added to."
)
@click.option("--id", "key_id", default="", help="What the key is called; by default k1, k2, ...")
@json_option
@guarded
def key(key_file: Path, key_id: str, as_json: bool) -> None:
    """Put a new random key at the end of a key file that only you can read.

    From the next start on a capture is encrypted with the last key of its file; the others still open what
    they encrypted, so none may be taken away. Keep a copy elsewhere: without its key a capture is lost.
    """
    from rlx_datapipe.store.keys import add_key

    key_id = add_key(key_file, key_id)
    if as_json:
        give({"key_file": str(key_file), "key_id": key_id})
        return
    say(f"key {key_id} is in {key_file}; keep a copy elsewhere, for without it nothing can be opened")


def keys_from(key_file: Path | None, key_fd: int | None) -> KeyRing | None:
    """The keys that a command is given by a file or a descriptor; None if by neither.

    Raises
    ------
    OptionError
        When they are given by both.
    SourceError
        When there are none.
    """
    from rlx_datapipe.store.keys import read_key_descriptor, read_key_file

    if key_file is not None and key_fd is not None:
        raise OptionError("keys come from a file or from a descriptor, not from both")
    if key_file is not None:
        return read_key_file(key_file)
    return read_key_descriptor(key_fd) if key_fd is not None else None
