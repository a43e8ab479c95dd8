"""The command line as a user meets it: status, result and messages of one call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from rlx_datapipe.cli.main import main

RLX = Path(sys.executable).with_name("rlx")


@dataclass(frozen=True)
class Said:
    """What one call gave."""

    status: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; NaN and infinities are no JSON."""
        assert self.out.endswith("}\n")
        assert self.out.count("\n") == 1
        result = json.loads(self.out, parse_constant=_refuse)
        assert isinstance(result, dict)
        return result

    def sentence(self) -> str:
        """The one line on stderr with which a command refuses; stdout stays empty."""
        assert self.out == ""
        told = [line for line in self.err.splitlines() if not line.startswith("compiling")]
        assert len(told) == 1, self.err
        assert told[0].startswith("rlx: ")
        return told[0]


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def rlx(*arguments: str | Path, env: dict[str, str] | None = None) -> Said:
    """Call a command in this process alone; an exception that gets through is a failure of the test."""
    env = {"RLX_WORKERS": "0", **(env or {})}
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def rlx_process(*arguments: str | Path | bytes, **options: Any) -> Said:
    """Call the installed command in a process of its own."""
    environment = {**os.environ, "COLUMNS": "100", **options.pop("env", {})}
    done = subprocess.run(
        [RLX, *arguments], capture_output=True, timeout=120, check=False, env=environment, **options
    )
    said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in said.err, said.err
    return said
