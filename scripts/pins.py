"""Write the exact versions to requirements.lock and, as constraints for uv, to pyproject.toml.

    python scripts/pins.py             bring the pins in line with the dependencies; move nothing else
    python scripts/pins.py --upgrade   move every pin to the newest version allowed

The lock holds names, versions and hashes, and no address, so that it serves on any package index. ``uv run``
does not read it: it reads the same versions from ``constraint-dependencies``. ``tests/test_pins.py`` compares
the two.

The groups ``peers`` and ``clients`` stay out of the lock and name their own versions. But uv resolves all
groups together: pins that these can't live with would stop every ``uv run``, so they are refused here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = "requirements.lock"
HEADER = "# Every dependency by name, version and hash, without addresses. Written by `make pins`.\n"
CONSTRAINTS = re.compile(r"^constraint-dependencies = \[\n(?:    .*\n)*\]\n", re.MULTILINE)
PIN = re.compile(
    r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+?))? \\$", re.MULTILINE
)


def pins(lock: str) -> list[str]:
    """The pins of a lock as requirements, in its order: ``name==version`` or ``name==version ; marker``."""
    return [
        f"{pin['name']}=={pin['version']}" + (f" ; {pin['marker']}" if pin["marker"] else "")
        for pin in PIN.finditer(lock)
    ]


def resolve(project: str, lock: str) -> str:
    """The lock for this project file; ``lock`` holds the versions to keep where they still fit."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        # The old constraints would hold every version fast, so uv resolves without them.
        (place / "pyproject.toml").write_text(CONSTRAINTS.sub("", project), encoding="utf-8")
        (place / LOCK).write_text(lock, encoding="utf-8")
        what = "pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11"
        form = "--generate-hashes --no-header --no-annotate --quiet --output-file"
        command = [*_uv(), *what.split(), *form.split(), LOCK]
        subprocess.run(command, cwd=place, check=True, stdin=subprocess.DEVNULL)
        return HEADER + (place / LOCK).read_text(encoding="utf-8")


def constrain(project: str, lock: str) -> str:
    """The project file with the pins of the lock as its constraints."""
    rows = "".join(f'    "{pin}",\n' for pin in pins(lock))
    written, times = CONSTRAINTS.subn(f"constraint-dependencies = [\n{rows}]\n", project)
    if times != 1:
        raise SystemExit("pyproject.toml: [tool.uv] needs one list `constraint-dependencies`, one pin a line")
    return written


def check_peers(project: str) -> None:
    """Stop with the reason of uv if a project file's pins leave no versions for ``peers`` and ``clients``."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(project, encoding="utf-8")
        groups = "--group dev --group peers --group clients"
        what = f"pip compile pyproject.toml {groups} --universal --python-version 3.11"
        command = [*_uv(), *what.split(), "--quiet", "--output-file", "all.txt"]
        done = subprocess.run(command, cwd=folder, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit("the groups `peers` and `clients` can't live with these pins: change their versions")


def _uv() -> list[str]:
    return ["uv"] if shutil.which("uv") else [sys.executable, "-m", "uv"]


def main() -> None:
    """Write both files."""
    project_file, lock_file = ROOT / "pyproject.toml", ROOT / LOCK
    keep = lock_file.read_text(encoding="utf-8") if lock_file.exists() and "--upgrade" not in sys.argv else ""
    project = project_file.read_text(encoding="utf-8")
    lock = resolve(project, keep)
    written = constrain(project, lock)
    check_peers(written)
    lock_file.write_text(lock, encoding="utf-8")
    project_file.write_text(written, encoding="utf-8")
    print(f"{len(pins(lock))} pins in {LOCK} and pyproject.toml")


if __name__ == "__main__":
    main()
