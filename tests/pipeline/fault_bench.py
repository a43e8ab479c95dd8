"""A warm process that runs `reconstruct` in forked children under faults of disk and system."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.pipeline.proofs.scene import Scene, warm
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.watching import Progress
from rlx_datapipe.store.commits import read_commits, verify_files
from rlx_datapipe.store.dataset import dataset_digest, open_dataset
from rlx_datapipe.store.state_bytes import unpack

SETTINGS = Settings(batch_rows=200, epoch_events=800, keyframe_events=1_000, horizon_ms=200)
HUNG_S = 20.0
Told = dict[str, Any]


def limit(name: str, value: int) -> None:
    """Set a resource limit of this process: FSIZE (bytes) or NOFILE (handles)."""
    kind = getattr(resource, f"RLIMIT_{name}")
    resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def drop_rights() -> None:
    """Give up what lets root write anywhere; the modes of files count from now on."""
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")


def fail_fsync(told: Told, at: int, code: int, delay_s: float) -> None:
    """Count calls of ``os.fsync``; the one numbered ``at`` (from 1) fails, each takes ``delay_s`` longer."""
    real = os.fsync
    told.update(syncs=0, retried=False)
    broken: set[int] = set()
    counting = threading.Lock()

    def fsync(handle: int) -> None:
        with counting:  # threads sync at the same time
            told["syncs"] += 1
            number = told["syncs"]
        told["retried"] |= handle in broken
        time.sleep(delay_s)
        if number == at:
            broken.add(handle)
            told["sync_failed"] = Path(f"/proc/self/fd/{handle}").readlink().as_posix()
            raise OSError(code, os.strerror(code))
        real(handle)

    real_close = os.close

    def close(handle: int) -> None:
        broken.discard(handle)
        real_close(handle)

    for shim in (fsync, close):
        setattr(os, shim.__name__, shim)


def act(name: str, out: Path, capture: Path, at_bytes: int) -> None:
    """What befalls a run between two batches."""
    if name == "remount":
        subprocess.run(["mount", "--bind", out, out], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", out], check=True)
    elif name == "delete":
        shutil.rmtree(out)
    elif name == "move":
        out.rename(out.with_name("moved"))
    elif name == "forbid":
        for folder in [out, *(path for path in out.rglob("*") if path.is_dir())]:
            folder.chmod(0o555)
    elif name == "few handles":
        # What is open stays so, but whatever is opened from here on would need a number below that.
        limit("NOFILE", 3)
    elif name == "pause":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif name == "remove source":
        capture.unlink()
    elif name == "replace source":
        other = capture.with_name("other")
        other.write_bytes(capture.read_bytes())
        other.replace(capture)
    elif name == "shrink source":
        os.truncate(capture, at_bytes)
    elif name == "grow source":
        with capture.open("ab") as file:
            file.write(b"\n1600000000000000000 {}\n")
    elif name == "change source":
        with capture.open("r+b") as file:
            file.seek(at_bytes)
            file.write(b"5")


def attempt(request: Told) -> Told:
    """One run in this process; what it came to."""
    capture, out = Path(request["capture"]), Path(request["out"])
    told: Told = {}
    if request.get("fsync") or request.get("slow_s"):
        fail_fsync(told, request.get("fsync", 0), errno.EIO, request.get("slow_s", 0.0))
    for name, value in request.get("limits", {}).items():
        limit(name, value)
    if request.get("plain"):
        drop_rights()
    batches = 0
    fault_at = time.monotonic()

    def on_progress(_: Progress) -> None:
        nonlocal batches, fault_at
        batches += 1
        if batches == request.get("at"):
            act(request["act"], out, capture, request.get("at_bytes", 0))
            fault_at = time.monotonic()

    settings = msgspec.structs.replace(SETTINGS, threads=request.get("threads", 2))
    try:
        summary = reconstruct(
            capture, out, settings, resume=request.get("resume", True), on_progress=on_progress
        )
        told.update(status=0, digest=summary["digest"], said="")
    except DatapipeError as error:
        cause = error.__cause__
        told.update(status=error.exit_code, said=str(error), file=str(error.facts.get("file", "")))
        told["by"] = [frame.name for frame in traceback.extract_tb((cause or error).__traceback__)]
        if isinstance(error.__context__, BaseException):
            told["by"] += [frame.name for frame in traceback.extract_tb(error.__context__.__traceback__)]
    except BaseException:
        told.update(status=1, said=traceback.format_exc(), file="")
    return {**told, "seconds": time.monotonic() - fault_at, "batches": batches}


def state(request: Told) -> Told:
    """What a reader could see of a dataset now: files that are no whole files, digest if it is finished."""
    out = Path(request["out"])
    broken = []
    for path in sorted(out.rglob("*")):
        if path.name[0] == "." or not path.is_file():
            continue
        try:
            if path.suffix == ".parquet":
                pq.read_table(path, page_checksum_verification=True, partitioning=None)
            elif path.suffix == ".state":
                unpack(path.read_bytes())
            elif path.suffix == ".json":
                _ = (
                    [json.loads(line) for line in path.read_text().splitlines()]
                    if "_delta_log" in str(path)
                    else json.loads(path.read_text())
                )
        except Exception as error:
            broken.append(f"{path.relative_to(out)}: {error}")
    told: Told = {"broken": broken, "commits": 0}
    if (out / "events" / "_delta_log").is_dir():
        commits = read_commits(out, "BINANCE", "BTCUSDT")
        told.update(commits=len(commits), damaged=verify_files(out, commits))
    try:
        told["digest"] = dataset_digest(open_dataset(out))
    except DatapipeError as error:
        told["digest"] = ""
        told["unfinished"] = str(error)
    told["left"] = [
        p.relative_to(out).as_posix() for p in sorted(out.rglob("*")) if p.name.endswith((".partial", ".tmp"))
    ]
    return told


def mount(request: Told) -> Told:
    """A tmpfs of a size at a place, or another size for the one that is there; or none any more."""
    at = request["at"]
    if request["options"]:
        how = "remount," if os.path.ismount(at) and request.get("again") else ""
        command = ["mount", "-t", "tmpfs", "-o", how + request["options"], "tmpfs", at]
    else:
        command = ["umount", "-l", at]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {"status": done.returncode, "said": done.stderr}


def size(request: Told) -> Told:
    """Bytes and names that a folder takes on its tmpfs."""
    held = os.statvfs(request["at"])
    return {"bytes": (held.f_blocks - held.f_bfree) * held.f_frsize, "names": held.f_files - held.f_ffree}


def forked(work: Callable[[Told], Told], request: Told) -> Told:
    """What the work told in a child of its own, or that it hung or died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, json.dumps(work(request)).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], HUNG_S)
    if not ready:
        os.kill(child, signal.SIGKILL)
    content = b""
    while part := os.read(reading, 1 << 20):
        content += part
    os.close(reading)
    os.waitpid(child, 0)
    told: Told = json.loads(content) if content else {"status": "hung" if not ready else "died", "said": ""}
    return told


WORKS: dict[str, Callable[[Told], Told]] = {"run": attempt, "state": state}


def main() -> None:
    """Answer one JSON object a line until stdin ends."""
    warm(Scene(Path(sys.argv[1]), Path(sys.argv[1]).parent, 0))
    for line in sys.stdin:
        request = json.loads(line)
        work = request["work"]
        if work in WORKS:
            told = forked(WORKS[work], request)
        else:
            told = {"mount": mount, "size": size}[work](request)
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
