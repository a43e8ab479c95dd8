"""What every command shares: where results and messages go, options, errors, exit status."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rlx_datapipe.core.errors import EXIT_DONE, EXIT_STOPPED, DatapipeError

if TYPE_CHECKING:
    from rlx_datapipe.core.config import Settings

Command = Callable[..., Any]

json_option = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON object on stdout.")
config_option = click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="TOML file with settings."
)

key_option = click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    envvar="RLX_KEY_FILE",
    help="Keys of a capture that is encrypted.",
)


def say(text: str = "") -> None:
    """Tell the user something that is not the result; on stderr."""
    click.echo(text, err=True)


def give(result: dict[str, Any]) -> None:
    """Print the result as one JSON object on stdout; NaN has no place in JSON and is a fault here."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(result, ensure_ascii=not is_utf8, allow_nan=False))


def tell_of_compilation(kernel: str = "replay_rows") -> None:
    """Say why the first run takes longer, if this is one; by a kernel that the command needs."""
    from rlx_datapipe.core.compiled import is_cached

    if not is_cached(kernel):
        say("compiling the kernels, once after each installation (about half a minute)")


def settings_from(config: Path | None, **given: Any) -> Settings:
    """Settings from the file, the environment, and the options of the command."""
    # Here, so that a help text does not wait for it.
    from rlx_datapipe.core.config import load_settings

    return load_settings(config, os.environ, given)


def guarded(command: Command) -> Command:
    """Turn mistakes of the user into one sentence and the right exit status; never a traceback."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        with steady(), heeding_sigterm():
            try:
                return command(*args, **kwargs)
            except DatapipeError as error:
                say(f"rlx: {error}")
                sys.exit(error.exit_code)

    return run


@contextmanager
def steady() -> Iterator[None]:
    """End as promised when the user stops a command, or when the reader of its output goes away."""
    try:
        yield
    except BrokenPipeError:
        # The reader of our output has gone (rlx ... | head); that is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_DONE)
    except KeyboardInterrupt:
        context = click.get_current_context(silent=True)
        say(f"rlx: stopped; {_AFTER.get(context.info_name or '' if context else '', _NOTHING_LOST)}")
        sys.exit(EXIT_STOPPED)


_AFTER = {
    "reconstruct": "what is committed stands. Go on by the same command with --resume",
    "download": "what came is kept. Go on by the same command: it asks for what is missing, at the byte",
    "run": "what is recorded stands. Go on by the same command: what is missed meanwhile is a gap",
    "unseal": "what was written is whole. Go on by the same command",
    "demo": "nothing is left of it. Run it again, it begins anew",
    "replay": "the recording was not played to its end",
    "export": "what lies in --out is not whole. Delete the files of this export before the next",
}
_NOTHING_LOST = "it only reads. Run it again"


@contextmanager
def heeding_sigterm() -> Iterator[None]:
    """Let SIGTERM stop a command as Ctrl-C does, from its first moment on; only in the main thread."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
