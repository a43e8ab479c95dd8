"""What could not be read is kept whole, with its reason, and counted."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from rlx_datapipe.core.errors import OutputError
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.core.finding import Severity
from rlx_datapipe.sink.quarantine import Quarantine


def kept(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(folder.rglob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]


def test_a_reject_is_kept_to_the_byte(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, "BINANCE", "BTCUSDT")
    raws = [b"plain", "币".encode(), b"\xff\x00\xfe", b'{"a":"\\u0000\n"}', b""]
    quarantine.add([Reject("a.gz", row, "reason", "p", "found", raw) for row, raw in enumerate(raws, 1)])
    lines = kept(tmp_path / "quarantine" / "BINANCE" / "BTCUSDT")
    told = [
        base64.b64decode(line["raw_base64"]) if "raw_base64" in line else line["raw"].encode()
        for line in lines
    ]
    assert told == raws
    assert {(line["file"], line["reason"], line["field"], line["found"]) for line in lines} == {
        ("a.gz", "reason", "p", "found")
    }
    assert [line["row"] for line in lines] == [1, 2, 3, 4, 5]


def test_rejects_are_counted_by_file_and_reason(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, "BINANCE", "BTCUSDT")
    quarantine.add([Reject("b.gz", 9, "torn"), Reject("a.gz", 7, "torn"), Reject("a.gz", 3, "torn")])
    quarantine.add([Reject("a.gz", 12, "no JSON"), Reject("a.gz", 11, "torn")])
    assert quarantine.counts.total() == 5
    assert [
        (record.kind, record.severity, record.detail, record.measures) for record in quarantine.records()
    ] == [
        ("quarantine", Severity.WARN, "a.gz, first at row 12: no JSON", {"count": 1}),
        ("quarantine", Severity.WARN, "a.gz, first at row 3: torn", {"count": 3}),
        ("quarantine", Severity.WARN, "b.gz, first at row 9: torn", {"count": 1}),
    ]
    [a_file, b_file] = sorted((tmp_path / "quarantine").rglob("*.jsonl"))
    assert [json.loads(line)["row"] for line in a_file.read_text().splitlines()] == [3, 7, 11, 12]
    assert len(b_file.read_text().splitlines()) == 1


@pytest.mark.parametrize("file", ["../../escape", "/etc/passwd", "caf\udce9.gz", "x" * 300, "a\0b"])
def test_a_wicked_file_name_stays_inside(file: str, tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "set", "../X", "..")
    quarantine.add([Reject(file, 1, "reason", found="\udce9", raw=b"raw")])
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    [line] = kept(tmp_path / "set" / "quarantine")
    assert line["raw"] == "raw"
    [record] = quarantine.records()
    assert record.detail.encode()


def test_nothing_wrong_leaves_no_file(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, "BINANCE", "BTCUSDT")
    quarantine.add([])
    assert quarantine.records() == []
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "quarantine").write_text("in the way")
    with pytest.raises(OutputError, match="can't be written"):
        Quarantine(tmp_path, "BINANCE", "BTCUSDT").add([Reject("a.gz", 1, "reason")])
