"""Keys and unsealing as a user meets them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import zstandard
from tests.capture.scripted import lines, record_all, recorder, trade
from tests.cli.door import rlx, rlx_process

from rlx_datapipe.capture.arrival import Arrival
from rlx_datapipe.store.keys import add_key, read_key_file


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    add_key(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def sealed(tmp_path: Path, key_file: Path) -> Path:
    into = recorder(tmp_path / "capture", read_key_file(key_file))
    for _ in record_all(into, [trade(number) for number in range(25)]):
        pass
    into.close()
    return tmp_path / "capture"


def test_a_key_is_made_and_told_by_its_id_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    said = rlx("capture", "key", "--key-file", path)
    assert (said.status, said.out) == (0, "")
    assert said.err.startswith(f"key k1 is in {path}; keep a copy")
    more = rlx("capture", "key", "--key-file", path, "--id", "2027", "--json")
    assert more.json() == {"key_file": str(path), "key_id": "2027"}
    secrets = [line.split()[1] for line in path.read_text().splitlines()]
    assert len(secrets) == 2
    assert not any(secret in text for secret in secrets for text in (said.err, more.out, more.err))
    assert rlx("capture", "key", "--key-file", path, "--id", "k1").status == 2


def test_unsealed_lines_are_the_same_to_the_byte(sealed: Path, key_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "plain"
    result = rlx("capture", "unseal", sealed, "--out", out, "--key-file", key_file, "--json").json()
    content = [
        zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()
        for path in sorted((out / "segments").iterdir())
    ]
    assert [json.loads(line) for part in content for line in part.splitlines()] == lines(
        sealed, read_key_file(key_file)
    )
    assert (result["segments"], result["records"], result["unsealed_segments"]) == (len(content), 25, 0)
    assert [each["lines_bytes"] for each in result["files"]] == [len(part) for part in content]
    again = rlx("capture", "unseal", sealed, "--out", out, "--key-file", key_file)
    assert (again.status, again.out) == (0, "")
    assert again.err == f"{len(content)} segments with 25 records are in {out}\n"


def test_every_reader_takes_the_keys(readable: Path, key_file: Path, tmp_path: Path) -> None:
    """A dataset's golden capture, and what is looked into, may be encrypted."""
    keys, out = ("--key-file", key_file), tmp_path / "dataset"
    rlx("reconstruct", readable, "--out", out, *keys, "--workers", "0")
    assert rlx("inspect", readable, *keys, "--json").json()["chains"][0]["events"] == 25
    judged = rlx("validate", out, "--golden", readable, *keys, "--json").json()
    assert judged["events"] == 25
    for refused in (("inspect", readable), ("validate", out, "--golden", readable)):
        assert "Give its key by --key-file" in rlx(*refused).sentence()


def test_what_is_not_sealed_yet_is_told(sealed: Path, key_file: Path, tmp_path: Path) -> None:
    into = recorder(sealed, read_key_file(key_file))
    into.record(trade(25))
    said = rlx("capture", "unseal", sealed, "--out", tmp_path / "plain", "--key-file", key_file)
    assert said.status == 0
    assert "not sealed yet is not among them" in said.err
    into.close()


def test_keys_come_by_a_descriptor(sealed: Path, key_file: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, key_file.read_bytes())
    os.close(writing)
    out = tmp_path / "plain"
    said = rlx_process(
        "capture", "unseal", sealed, "--out", out, "--key-fd", str(reading), pass_fds=[reading]
    )
    os.close(reading)
    assert (said.status, len(list((out / "segments").iterdir())) > 1) == (0, True), said.err


def test_each_refusal_is_one_sentence(sealed: Path, key_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "plain"
    add_key(tmp_path / "other", "k2")
    add_key(tmp_path / "same id")
    given = ("--out", out, "--key-file")
    refused = {
        (sealed, "--out", out): "is encrypted (key id k1). Give its key by --key-file",
        (sealed, *given, tmp_path / "other"): "needs a key that is not in the key file (key id k1; found k2)",
        (sealed, *given, tmp_path / "same id"): "another key of the same id; it is not damaged",
        (sealed, *given, tmp_path / "none"): "can't be read (No such file or directory)",
        (sealed, *given, key_file, "--key-fd", "0"): "from a file or from a descriptor, not from both",
        (tmp_path, *given, key_file): "is no capture (no readable capture.json)",
        (sealed, "--out", sealed / "x", "--key-file", key_file): "is inside the capture itself",
    }
    for arguments, told in refused.items():
        said = rlx("capture", "unseal", *arguments)
        assert said.status == 2
        assert told in said.sentence()
    assert not out.exists() or not list(out.iterdir())
    key_file.chmod(0o644)
    assert (
        "Run: chmod 600" in rlx("capture", "unseal", sealed, "--out", out, "--key-file", key_file).sentence()
    )


def test_a_damaged_segment_gets_no_name(sealed: Path, key_file: Path, tmp_path: Path) -> None:
    path = sorted((sealed / "segments").iterdir())[1]
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    out = tmp_path / "plain"
    said = rlx("capture", "unseal", sealed, "--out", out, "--key-file", key_file)
    assert said.status == 2
    assert "is damaged: it is not the file of the manifest" in said.sentence()
    whole = [each.name.removesuffix(".sealed") for each in sorted((sealed / "segments").iterdir())]
    assert [each.name for each in (out / "segments").iterdir()] == whole[:1]
    assert len(list((out / "manifest").iterdir())) == 1


def whole_trade(number: int) -> Arrival:
    told = trade(number)
    time_ms = told.wall_ns // 1_000_000
    payload = (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":%d,"s":"BTCUSDT","t":%d,'
        b'"p":"61234.10","q":"0.5","T":%d,"m":true,"M":true}}' % (time_ms, number, time_ms)
    )
    return told._replace(payload=payload)


@pytest.fixture
def readable(tmp_path: Path, key_file: Path) -> Path:
    into = recorder(tmp_path / "readable", read_key_file(key_file))
    for _ in record_all(into, [whole_trade(number) for number in range(25)]):
        pass
    into.close()
    return tmp_path / "readable"


def test_what_was_unsealed_is_the_same_capture(readable: Path, key_file: Path, tmp_path: Path) -> None:
    """Its own records too: a segment may hold nothing else, when the exchange was away."""
    sealed, out = readable, tmp_path / "plain"
    rlx("capture", "unseal", sealed, "--out", out, "--key-file", key_file)
    told = [
        rlx("reconstruct", folder, "--out", tmp_path / name, *keys, "--json", "--workers", "0").json()
        for name, folder, keys in (("a", sealed, ("--key-file", key_file)), ("b", out, ()))
    ]
    assert told[0]["digest"] == told[1]["digest"]
    assert lines(out) == lines(sealed, read_key_file(key_file))
    assert rlx("capture", "inspect", out, "--json").status == 0
