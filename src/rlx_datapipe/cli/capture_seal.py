"""`rlx capture seal`: seal what a capture left open that died and is not to go on."""

from __future__ import annotations

from pathlib import Path

import click

from rlx_datapipe.cli.capture_key import keys_from
from rlx_datapipe.cli.terminal import give, guarded, json_option, say


@click.command()
@click.argument("capture", type=click.Path(path_type=Path))
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), help="Keys are in this file.")
@click.option("--key-fd", type=click.IntRange(0), help="Keys come from this open descriptor.")
@json_option
@guarded
def seal(capture: Path, key_file: Path | None, key_fd: int | None, as_json: bool) -> None:
    """Seal what CAPTURE left open when its process died, so that it can be read.

    The next `rlx capture run` into the same folder does the same by itself; this is for a capture that is not
    to go on. Refused while another process writes the capture.
    """
    from rlx_datapipe.pipeline.seal_capture import seal_capture

    result = seal_capture(capture, keys_from(key_file, key_fd))
    if as_json:
        give(result)
    elif result["segments"]:
        say(f"{result['segments']:,} segments with {result['records']:,} records are sealed in {capture}")
    else:
        say(f"nothing was open in {capture}; {result['segments_in_all']:,} segments are sealed")
