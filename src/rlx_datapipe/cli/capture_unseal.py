"""`rlx capture unseal`: decrypt a capture: the same one in plain form, whose files any zstd reader opens."""

from __future__ import annotations

from pathlib import Path

import click

from rlx_datapipe.cli.capture_key import keys_from
from rlx_datapipe.cli.progress import progress_bar
from rlx_datapipe.cli.terminal import give, guarded, json_option, say


@click.command()
@click.argument("capture", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the plain capture.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), help="Keys are in this file.")
@click.option("--key-fd", type=click.IntRange(0), help="Keys come from this open descriptor.")
@json_option
@guarded
def unseal(capture: Path, out: Path, key_file: Path | None, key_fd: int | None, as_json: bool) -> None:
    """Write CAPTURE to --out, decrypted: a capture as well, its segments one .jsonl.zst file each.

    Every file is held to the digests of the manifest before it gets its name. What the capture itself has not
    sealed yet is left out, and told.
    """
    from rlx_datapipe.pipeline.unseal import unseal as run

    with progress_bar() as on_progress:
        result = run(capture, out, keys_from(key_file, key_fd), on_progress=on_progress)
    if as_json:
        give(result)
        return
    say(f"{result['segments']:,} segments with {result['records']:,} records are in {result['out']}")
    if result["unsealed_segments"]:
        say("what the capture has not sealed yet is not among them; it is sealed when the capture ends,")
        say("or goes on after a crash")
