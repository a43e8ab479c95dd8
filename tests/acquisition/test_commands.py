"""`rlx acquire` as a user meets it: screens, JSON, exit statuses, and what an archive may look like."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.acquisition.bucket import KEYS, Bucket, arrived, blobs
from tests.acquisition.fault_proxy import FaultProxy, proxied
from tests.cli.door import RLX, Said, rlx
from tests.depth import thinned

BTC = ["--symbols", "BTCUSDT"]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def acquire(name: str, bucket: Bucket, *options: str | Path, endpoint: str = "") -> Said:
    """One command on a bucket."""
    where = ["--archive", bucket.url, "--endpoint", endpoint or bucket.endpoint]
    return rlx("acquire", name, *where, *options)


def series(bucket: Bucket, *options: str) -> dict[tuple[str, str], Any]:
    """What an inventory says, by table and symbol."""
    told = acquire("list-inventory", bucket, *options, "--json").json()
    return {(one["table"], one["symbol"]): one for one in told["series"]}


@pytest.fixture
def filled(bucket: Bucket, lake: Path) -> Bucket:
    """A bucket with the archive, that a test may change."""
    bucket.fill(lake)
    return bucket


def test_an_inventory_tells_days_sizes_and_what_is_missing(full_bucket: Bucket, lake: Path) -> None:
    found = series(full_bucket)
    assert sorted(found) == [
        (table, symbol)
        for table in ("book", "book_delta_v2", "trades")
        for symbol in ("BTC-USDT", "stSOL-USDC")
    ]
    trades = found["trades", "BTC-USDT"]
    assert (trades["days"], trades["files"], trades["missing"]) == (3, 4, ["2022-10-03"])
    assert found["book_delta_v2", "BTC-USDT"]["missing"] == ["2022-10-02", "2022-10-03"]
    there = (lake / "trades" / "exchange=BINANCE" / "symbol=BTC-USDT").rglob("*.parquet")
    assert trades["bytes"] == sum(path.stat().st_size for path in there)


def test_filters_take_the_venues_spelling_and_the_archives(full_bucket: Bucket) -> None:
    assert list(series(full_bucket, "--symbols", "BTCUSDT", "--tables", "trades")) == [("trades", "BTC-USDT")]
    assert list(series(full_bucket, "--symbols", "stSOL-USDC", "--tables", "book")) == [
        ("book", "stSOL-USDC")
    ]
    assert series(full_bucket, "--symbols", "ETHUSDT") == {}
    days = series(full_bucket, "--from", "2022-10-02", "--to", "2022-10-03", "--tables", "trades", *BTC)
    assert days["trades", "BTC-USDT"]["missing"] == ["2022-10-03"]


@pytest.mark.parametrize("as_gzip", [False, True])
def test_an_index_gives_the_same_answer_as_a_list(filled: Bucket, as_gzip: bool) -> None:
    before = series(filled)
    for table in ("trades", "book", "book_delta_v2"):
        filled.put_index(table, as_gzip=as_gzip)
    told = acquire("list-inventory", filled, "--json").json()
    assert set(told["found_by"].values()) == {"index and list"}
    assert told["told"] == []
    assert series(filled) == before
    assert acquire("list-inventory", filled, "--list", "--json").json()["found_by"]["trades"] == "list"


def test_a_stale_index_is_told_and_the_list_is_believed(filled: Bucket) -> None:
    before = series(filled)
    gone = "trades/exchange=BINANCE/symbol=BTC-USDT/dt=2021-01-01/1.snappy.parquet"
    new = "trades/exchange=BINANCE/symbol=BTC-USDT/dt=2022-10-04/1.snappy.parquet"
    filled.put_index("trades", without=[new], more=[gone])
    told = acquire("list-inventory", filled, "--json").json()
    stale = "trades: the index is stale: of files it names 1 that are gone and lacks 1 that are there"
    assert told["told"] == [f"{stale}; the list was believed"]
    assert series(filled) == before


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "0 bytes"),
        (b"no index", "neither zlib nor gzip"),
        (zlib.compress(b"{"), "no JSON"),
        (zlib.compress(b"[1]"), "no list `objects`"),
        (zlib.compress(b'{"objects": ["../../etc/passwd"]}'), "what is not of this table"),
        (zlib.compress(json.dumps({"objects": ["x"]}).encode())[:-4], "breaks off"),
    ],
)
def test_an_index_of_no_use_is_told_and_passed_over(filled: Bucket, content: bytes, why: str) -> None:
    before = series(filled)
    filled.put("trades/contents.json.gz", content)
    said = acquire("list-inventory", filled)
    assert "trades: the index" in said.out
    assert why in said.out.replace("\n", " ")
    assert series(filled) == before


def test_files_that_are_no_days_are_passed_over_and_told(filled: Bucket) -> None:
    for odd in ("exchange=BINANCE/x.parquet", "exchange=B%2F..%2F/symbol=X/dt=2022-10-01/1.parquet", "a.txt"):
        filled.put(f"trades/{odd}", b"x")
    said = acquire("list-inventory", filled, "--list")
    assert "passed over, for they are no day's file: 'trades/a.txt' and 2 more" in said.out.replace("\n", " ")


def test_rows_are_counted_by_footers_alone(full_bucket: Bucket, lake: Path) -> None:
    with proxied(FaultProxy(full_bucket.address)) as proxy:
        said = acquire("list-inventory", full_bucket, "--rows", "--json", *BTC, endpoint=proxy.url)
    for one in said.json()["series"]:
        paths = (lake / one["table"] / "exchange=BINANCE" / "symbol=BTC-USDT").rglob("*.parquet")
        assert one["rows"] == sum(pq.read_metadata(path).num_rows for path in paths)
    assert 0 < proxy.sent_bytes < sum(one["bytes"] for one in said.json()["series"]) / 2


def test_the_calendar_shows_what_is_missing(full_bucket: Bucket) -> None:
    said = acquire("list-inventory", full_bucket, *BTC)
    assert "2022-10  █▄·█ " in said.out
    assert "book_delta_v2 lacks 2022-10-02 to 2022-10-03" in said.out


def test_a_download_brings_every_file_as_it_is_named(full_bucket: Bucket, lake: Path, tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    said = acquire("download", full_bucket, "--symbols", "BTCUSDT,stSOL-USDC", "--staging", staging)
    assert said.status == 0, said.err
    assert f"rlx acquire validate --staging {staging}" in said.out.replace("\n", "")
    published = {str(path.relative_to(lake)): path.read_bytes() for path in lake.rglob("*.parquet")}
    # One name is none for a file of ours; its bytes are as published all the same.
    odd = next(path for path in published if "(2)" in path)
    here = arrived(staging)
    renamed = next(path for path in here if path not in published)
    assert {path: held for path, held in here.items() if path != renamed} == {
        path: held for path, held in published.items() if path != odd
    }
    assert here[renamed] == published[odd]
    status = rlx("acquire", "status", "--staging", staging, "--json").json()
    assert status["zones"]["raw"] == {"files": 12, "size_bytes": sum(map(len, published.values()))}
    assert (status["course"], status["waiting"], status["latest"]["failed"]) == ("ended", {}, {})
    again = acquire("download", full_bucket, *BTC, "--staging", staging, "--json").json()
    assert again["plan"]["states"] == {"here": 9}
    assert again["outcome"]["fetched_bytes"] == 0


def test_a_dry_run_says_what_would_be_done_and_does_nothing(full_bucket: Bucket, tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    told = acquire("download", full_bucket, *BTC, "--staging", staging, "--dry-run", "--json").json()
    assert (told["plan"]["files"], told["plan"]["states"]) == (9, {"new": 9})
    assert told["plan"]["left_bytes"] == told["plan"]["bytes"] > 0
    assert not staging.exists()


def test_mistakes_are_one_sentence_each(
    full_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = ["--staging", str(tmp_path / "staging")]
    mistakes = {
        ("download", *staging): "--symbols is missing",
        ("download", *BTC, *staging, "--from", "2022-10-02", "--to", "2022-10-01"): "before the first",
        (
            "download",
            *BTC,
            *staging,
            "--from",
            "1.8.2024",
        ): "--from is no day (found 1.8.2024; expected such as",
        ("download", *BTC, *staging, "--tables", "nope"): "no such table in the archive (found nope",
        ("download", "--symbols", "ETHUSDT", *staging): "holds nothing of what is wanted",
        ("download", *BTC, *staging, "--sample"): "either the sample or an archive",
        ("download", *BTC, *staging, "--profile", "nope"): "no such profile with a key (profile nope",
    }
    for (name, *options), told in mistakes.items():
        said = acquire(name, full_bucket, *options)
        assert (said.status, told in said.sentence()) == (2, True), said.err
    for url, told in (
        ("ftp://x/y", "no kind of archive"),
        ("s3://", "no address of a bucket"),
        ("/none", "no folder"),
    ):
        said = rlx("acquire", "list-inventory", "--archive", url)
        assert (said.status, told in said.sentence()) == (2, True), said.err
    monkeypatch.setenv("RLX_ACQUIRE_DISK_RESERVE_GB", "100000")
    said = acquire("download", full_bucket, *BTC, *staging)
    assert (said.status, "does not fit on the disk" in said.err) == (2, True)
    assert not (tmp_path / "staging").exists()
    for name in ("status", "validate", "certify"):
        said = rlx("acquire", name, "--staging", tmp_path / "mistyped")
        assert (said.status, "is no staging folder" in said.sentence()) == (2, True), said.err
    assert not (tmp_path / "mistyped").exists()


def test_of_a_folder_with_a_single_symbol_that_one_is_taken(lake: Path, tmp_path: Path) -> None:
    staging = ["--staging", str(tmp_path / "staging"), "--tables", "trades"]
    said = rlx("acquire", "download", "--archive", lake, *staging)
    assert (said.status, "(found BTC-USDT, stSOL-USDC)" in said.sentence()) == (2, True)
    shutil.copytree(lake, tmp_path / "one", ignore=shutil.ignore_patterns("symbol=stSOL-USDC"))
    said = rlx("acquire", "download", "--archive", tmp_path / "one", *staging, "--json")
    assert "BTC-USDT is the only symbol there, and is taken" in said.err
    assert len(said.json()["outcome"]["arrived"]) == 4
    said = rlx("acquire", "download", "--archive", tmp_path / "one", "--staging", tmp_path / "one")
    assert (said.status, "is not empty and no staging folder" in said.err) == (2, True)
    (tmp_path / "empty" / "trades").mkdir(parents=True)
    said = rlx("acquire", "download", "--archive", tmp_path / "empty", *staging)
    assert (said.status, "holds nothing of what is wanted" in said.sentence()) == (2, True)


def test_a_secret_is_shown_nowhere(
    full_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = tmp_path / "staging"
    monkeypatch.setenv("RLX_ACQUIRE_BACKOFF_S", "0.01")
    said = [
        acquire("test-connection", full_bucket, "--json"),
        acquire("test-connection", full_bucket, "--region", "us-east-1"),
        acquire("download", full_bucket, *BTC, "--staging", staging),
        acquire("list-inventory", full_bucket, endpoint="http://127.0.0.1:9"),
        rlx("acquire", "status", "--staging", staging),
    ]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    secret = KEYS["AWS_SECRET_ACCESS_KEY"]
    assert secret.encode() not in written
    assert not [one for one in said if secret in one.out + one.err]


def test_a_stop_keeps_what_came_and_the_same_command_goes_on(bucket: Bucket, tmp_path: Path) -> None:
    wanted = blobs([6_000_000], tmp_path / "archive")
    bucket.fill(tmp_path / "archive")
    staging = tmp_path / "staging"
    where = ["--archive", bucket.url, "--endpoint", bucket.endpoint, *BTC, "--staging", str(staging)]
    command = [str(RLX), "acquire", "download", *where, "--limit", "3", "--parts", "2"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    partial = staging / "raw" / "trades" / "exchange=BINANCE" / "symbol=BTC-USDT" / "dt=2024-08-01"
    deadline = time.monotonic() + 60
    while not list(partial.glob(".*.journal")) or next(partial.glob(".*.journal")).stat().st_size < 500:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running = rlx("acquire", "status", "--staging", staging, "--json").json()
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 3
    assert told.splitlines()[-1] == (
        "rlx: stopped; what came is kept. Go on by the same command: it asks for what is missing, at the byte"
    )
    assert running["course"] == "running"
    status = rlx("acquire", "status", "--staging", staging, "--json").json()
    assert (status["course"], status["latest"]["problem"]) == ("stopped", "stopped")
    held = sum(status["waiting"].values())
    assert 0 < held < 6_000_000
    done = rlx("acquire", "download", *where, "--json").json()
    assert done["outcome"]["resumed_bytes"] >= held
    assert done["outcome"]["fetched_bytes"] == 6_000_000 - done["outcome"]["resumed_bytes"]
    assert arrived(staging) == wanted


def _several_a_day(exported: Path, folder: Path) -> Path:
    """The same archive with its rows in several files a day, cut between messages, under random names."""
    for path in sorted(exported.rglob("*.parquet")):
        where = (folder / path.relative_to(exported)).parent
        where.mkdir(parents=True)
        rows = pq.read_table(path, partitioning=None)
        ids = rows[next(name for name in rows.column_names if name in ("sequence_number", "id"))].to_pylist()
        half = next(at for at in range(len(ids) // 2, len(ids)) if ids[at] != ids[at - 1])
        pq.write_table(rows.slice(half), where / "0.snappy.parquet", compression="snappy")
        pq.write_table(rows.slice(0, half), where / "a1b2-c3_part (2).parquet", compression="snappy")
    return folder


@pytest.mark.parametrize(
    "as_usual", thinned([False, True], 2), ids=["several files a day, no index", "with an index"]
)
def test_from_a_bucket_to_a_dataset_by_all_six_commands(
    bucket: Bucket, exported: Path, tmp_path: Path, as_usual: bool
) -> None:
    bucket.fill(exported if as_usual else _several_a_day(exported, tmp_path / "several"))
    for table in ("trades", "book", "book_delta_v2") if as_usual else ():
        bucket.put_index(table)
    staging, out = tmp_path / "staging", tmp_path / "dataset"
    assert acquire("test-connection", bucket).status == 0
    assert len(series(bucket, *BTC)) == 3
    assert acquire("download", bucket, *BTC, "--staging", staging).status == 0
    assert rlx("acquire", "validate", "--staging", staging).status == 0
    ready = rlx("acquire", "status", "--staging", staging, "--json").json()["zones"]["ready"]
    assert ready["files"] == (3 if as_usual else 6)
    assert rlx("acquire", "certify", "--staging", staging).status == 0
    told = rlx("reconstruct", staging, "--out", out, "--json").json()
    direct = rlx("reconstruct", exported, "--out", tmp_path / "direct", "--uncertified", "--json")
    assert told["digest"] == direct.json()["digest"]
