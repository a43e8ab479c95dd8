"""The pins: one set of versions, in the lock with hashes and in the project file for uv."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pins

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOSTS = ("pypi" + ".org", "python" + "hosted.org")


def test_the_lock_and_the_constraints_hold_the_same_versions() -> None:
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == pins.pins(LOCK), "run `make pins`"


def test_every_line_of_the_lock_is_a_pin_or_a_hash() -> None:
    lines = [line for line in LOCK.splitlines() if not line.startswith("#")]
    hashes = [line for line in lines if re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)]
    assert len(hashes) + len(pins.pins(LOCK)) == len(lines)
    for pin in lines:
        assert not pin.endswith("\\") or lines[lines.index(pin) + 1].startswith("    --hash="), pin


def test_everything_asked_for_is_pinned_within_its_bounds() -> None:
    asked = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
    asked += [Requirement(text) for text in PROJECT["dependency-groups"]["dev"]]
    pinned: dict[str, list[str]] = {}
    for pin in map(Requirement, pins.pins(LOCK)):
        pinned.setdefault(pin.name, []).append(str(pin.specifier).removeprefix("=="))
    for requirement in asked:
        versions = pinned.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} has no pin; run `make pins`"
        assert all(requirement.specifier.contains(found) for found in versions), requirement


def test_the_packages_of_rlx_bench_peers_have_one_version_and_stay_out_of_the_lock() -> None:
    """Each is pinned where it is asked for; only what the developers need as well is in the lock."""
    locked = {Requirement(pin).name for pin in pins.pins(LOCK)}
    for requirement in map(Requirement, PROJECT["dependency-groups"]["peers"]):
        assert [one.operator for one in requirement.specifier] == ["=="], requirement
        assert (
            requirement.name in ("sortedcontainers", "pandas")
            or canonicalize_name(requirement.name) not in locked
        )


def test_the_clients_of_the_exchange_have_one_version_and_stay_out_of_the_lock() -> None:
    locked = {Requirement(pin).name for pin in pins.pins(LOCK)}
    for requirement in map(Requirement, PROJECT["dependency-groups"]["clients"]):
        assert [one.operator for one in requirement.specifier] == ["=="], requirement
        assert canonicalize_name(requirement.name) not in locked


def test_pins_that_the_peers_cannot_live_with_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """uv resolves all groups together: such pins would stop every `uv run`."""
    status = {"given": 1}

    def compiled(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        assert {"dev", "peers", "clients"} <= set(command)
        return subprocess.CompletedProcess(command, status["given"])

    monkeypatch.setattr(subprocess, "run", compiled)
    with pytest.raises(SystemExit, match="groups `peers`"):
        pins.check_peers("")
    status["given"] = 0
    pins.check_peers("")


def test_this_environment_holds_the_pinned_versions() -> None:
    wrong = []
    for pin in map(Requirement, pins.pins(LOCK)):
        if pin.marker is None or pin.marker.evaluate():
            try:
                found = version(pin.name)
            except PackageNotFoundError:
                found = "nothing"
            if not pin.specifier.contains(found):
                wrong.append(f"{pin}, found {found}")
    assert not wrong, f"run `make setup`: {'; '.join(wrong)}"


def test_no_file_names_the_host_of_a_package_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: which files belong to the repository is not known")
    naming = [
        name
        for name in listed.stdout.decode().split("\0")
        if name and (ROOT / name).is_file() and _names_a_host((ROOT / name).read_bytes())
    ]
    assert not naming


def _names_a_host(content: bytes) -> bool:
    return any(host.encode() in content for host in HOSTS)


def test_writing_the_constraints_changes_nothing_else() -> None:
    before = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert pins.constrain(before, LOCK) == before
    with pytest.raises(SystemExit, match="constraint-dependencies"):
        pins.constrain("[project]\n", LOCK)
