"""Downloads through a network that fails: what arrives is what was published, or is told as missing."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from tests.acquisition.bucket import KEYS, QUICK, Bucket, arrived, blobs, prepared
from tests.acquisition.fault_proxy import Fault, FaultProxy, proxied

from rlx_datapipe.acquisition.acquire import fetch
from rlx_datapipe.acquisition.download import Progress
from rlx_datapipe.acquisition.ledger import Ledger
from rlx_datapipe.acquisition.refusals import OutageError, RefusedError
from rlx_datapipe.acquisition.staged import Zone, read_standings
from rlx_datapipe.core.errors import DiskFullError, OptionError

SIZES = (1_500_001, 0, 1, 3_200_000)
PATH = "trades/exchange=BINANCE/symbol=BTC-USDT/dt=2024-08-01/1.snappy.parquet"


@pytest.fixture
def wanted(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Files in the bucket, by path."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    made = blobs(SIZES, tmp_path / "archive")
    bucket.fill(tmp_path / "archive")
    return made


def test_files_arrive_as_published_with_size_tag_and_digest(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    seen: list[Progress] = []
    outcome = fetch(prepared(bucket.url, tmp_path / "staging", bucket.settings()), seen.append)
    assert arrived(tmp_path / "staging") == wanted
    assert (outcome.fetched_bytes, outcome.failed, outcome.told) == (sum(SIZES), {}, ())
    assert seen[-1].bytes_done == seen[-1].bytes == sum(SIZES)
    for key, standing in read_standings(tmp_path / "staging").items():
        content = wanted[str(key.path)]
        came = standing.transfer
        assert (standing.zone, came.size_bytes, came.fetched_bytes) == (Zone.RAW, len(content), len(content))
        assert came.sha256 == hashlib.sha256(content).hexdigest()
        assert came.etag == f'"{hashlib.md5(content).hexdigest()}"'  # noqa: S324
        assert came.url == f"{bucket.url}/{key.path}"


def test_what_is_here_is_not_read_again(bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path) -> None:
    fetch(prepared(bucket.url, tmp_path / "staging", bucket.settings()))
    with proxied(FaultProxy(bucket.address)) as proxy:
        again = prepared(bucket.url, tmp_path / "staging", bucket.settings(endpoint=proxy.url))
        assert again.plan.count("here") == len(SIZES)
        assert fetch(again).fetched_bytes == 0
        assert not proxy.answers


def test_a_local_folder_is_an_archive_like_any_other(wanted: dict[str, bytes], tmp_path: Path) -> None:
    for number, url in enumerate((str(tmp_path / "archive"), f"file://{tmp_path}/archive")):
        fetch(prepared(url, tmp_path / f"staging-{number}", QUICK))
        assert arrived(tmp_path / f"staging-{number}") == wanted


def test_requests_are_long_while_much_is_left_and_short_at_the_end(bucket: Bucket, tmp_path: Path) -> None:
    made = blobs([2_000_000] * 6, tmp_path / "archive")
    bucket.fill(tmp_path / "archive")
    with proxied(FaultProxy(bucket.address)) as proxy:
        settings = bucket.settings(endpoint=proxy.url, parts=3, part_mb=1)
        fetch(prepared(bucket.url, tmp_path / "staging", settings))
    assert arrived(tmp_path / "staging") == made
    asked = [[one.end - one.start for one in proxy.answers if one.path.endswith(path)] for path in made]
    # Of 12 MB a third is more than a file; of the last 2 MB it is less than a request may be.
    assert asked == [[2_000_000]] * 4 + [[1_000_000] * 2] * 2


def test_what_is_read_is_entered_in_the_ledger_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs([20_000_000], tmp_path / "archive")
    entered: list[int] = []
    monkeypatch.setattr(Ledger, "add", lambda _, read_bytes, **__: entered.append(read_bytes))
    settings = msgspec.structs.replace(QUICK, parts=1, check_md5="never", chunk_kb=256)
    fetch(prepared(str(tmp_path / "archive"), tmp_path / "staging", settings))
    assert sum(entered) == 20_000_000
    assert max(entered) < 8_300_000


@pytest.mark.parametrize("fault", ["busy", "reset", "truncated", "short", "delayed"])
def test_a_fault_that_passes_costs_nothing_but_time(
    fault: Fault, bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    with proxied(FaultProxy(bucket.address, seed=3, chances={fault: 0.4}, script=[fault])) as proxy:
        outcome = fetch(prepared(bucket.url, tmp_path / "staging", bucket.settings(endpoint=proxy.url)))
    assert arrived(tmp_path / "staging") == wanted
    assert proxy.faults()[fault] >= 1
    assert (outcome.retries >= 1) == (fault != "delayed")
    assert outcome.failed == {}


def test_all_faults_together_are_survived(bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path) -> None:
    chances: dict[Fault, float] = {"busy": 0.2, "reset": 0.2, "truncated": 0.2, "short": 0.1, "delayed": 0.1}
    seen: Counter[str] = Counter()
    for seed in range(11, 15):  # a dozen requests of one seed need not meet all of them
        with proxied(FaultProxy(bucket.address, seed=seed, chances=chances)) as proxy:
            settings = bucket.settings(endpoint=proxy.url, retries=50)
            outcome = fetch(prepared(bucket.url, tmp_path / f"staging-{seed}", settings))
        assert arrived(tmp_path / f"staging-{seed}") == wanted
        assert outcome.retries >= sum(count for kind, count in proxy.faults().items() if kind != "delayed")
        seen.update(proxy.faults())
    assert set(seen) == set(chances)


def test_after_a_break_it_goes_on_at_the_byte(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    with proxied(FaultProxy(bucket.address, script=["truncated"])) as proxy:
        settings = bucket.settings(endpoint=proxy.url, parts=1, part_mb=16)
        fetch(prepared(bucket.url, tmp_path / "staging", settings))
    broken, rest = [one for one in proxy.answers if one.path.endswith("dt=2024-08-01/1.snappy.parquet")]
    chunk = settings.chunk_kb * 1024
    assert broken.start + broken.sent - chunk < rest.start <= broken.start + broken.sent
    assert rest.end == broken.end == SIZES[0]
    assert arrived(tmp_path / "staging") == wanted


def test_a_bit_that_the_way_flipped_is_found_by_the_tag(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    with proxied(FaultProxy(bucket.address, script=["flipped"])) as proxy:
        settings = bucket.settings(endpoint=proxy.url, parts=1)
        outcome = fetch(prepared(bucket.url, tmp_path / "staging", settings))
    assert arrived(tmp_path / "staging") == wanted
    assert [told for told in outcome.told if "did not fit its ETag, and it was begun anew" in told]


def test_a_file_that_comes_damaged_each_time_is_not_taken(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    with proxied(FaultProxy(bucket.address, chances={"flipped": 1.0})) as proxy:
        outcome = fetch(prepared(bucket.url, tmp_path / "staging", bucket.settings(endpoint=proxy.url)))
    good = {path: content for path, content in wanted.items() if len(content) < 1_000}
    assert arrived(tmp_path / "staging") == good
    assert len(outcome.failed) == len(wanted) - len(good)
    assert all("comes damaged" in told for told in outcome.failed.values())


def test_tags_that_are_no_md5_are_learnt_from_the_first_file(
    bucket: Bucket, tmp_path: Path, wanted: dict[str, bytes]
) -> None:
    with proxied(FaultProxy(bucket.address, own_tags=True)) as proxy:
        settings = bucket.settings(endpoint=proxy.url, parts=1)
        outcome = fetch(prepared(bucket.url, tmp_path / "staging", settings))
    assert arrived(tmp_path / "staging") == wanted
    assert [told for told in outcome.told if "its ETag is no MD5, for what came twice was the same" in told]
    assert outcome.fetched_bytes == sum(SIZES) + SIZES[0]


def test_an_object_that_changes_on_the_way_is_begun_anew(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    other = bytes(2_500_000)
    changed = threading.Event()

    def change(sent: int) -> None:
        if sent > 500_000 and not changed.is_set():
            changed.set()
            bucket.put(PATH, other)

    with proxied(FaultProxy(bucket.address, on_sent=change)) as proxy:
        settings = bucket.settings(endpoint=proxy.url, parts=1, part_mb_max=1)
        outcome = fetch(prepared(bucket.url, tmp_path / "staging", settings))
    assert arrived(tmp_path / "staging") == wanted | {PATH: other}
    assert [
        told
        for told in outcome.told
        if told == f"{PATH}: changed while it was fetched, and it was begun anew"
    ]


def test_what_was_begun_of_another_object_counts_for_nothing(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    staging = tmp_path / "staging"
    stop_at(bucket, staging, 600_000)
    assert prepared(bucket.url, staging, bucket.settings()).plan.count("begun") == 1
    bucket.put(PATH, wanted[PATH][::-1])
    again = prepared(bucket.url, staging, bucket.settings())
    assert again.plan.count("begun") == 0
    fetch(again)
    assert arrived(staging) == wanted | {PATH: wanted[PATH][::-1]}


def stop_at(bucket: Bucket, staging: Path, count: int) -> None:
    """Download until some bytes were sent; then the store refuses the clock, which ends the run."""
    proxy = FaultProxy(bucket.address)

    def refuse(sent: int) -> None:
        if sent >= count:
            proxy.chances = {"skewed": 1.0}

    proxy.on_sent = refuse
    with proxied(proxy):
        settings = bucket.settings(endpoint=proxy.url, parts=1, part_mb_max=1)
        with pytest.raises(RefusedError, match="the clock of this machine differs too much"):
            fetch(prepared(bucket.url, staging, settings))


def test_a_store_that_stays_away_ends_the_run_which_can_be_gone_on_with(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    staging = tmp_path / "staging"
    with proxied(FaultProxy(bucket.address)) as proxy:
        settings = bucket.settings(endpoint=proxy.url, outage_s=0.5, breaker_failures=3)
        plan = prepared(bucket.url, staging, settings)
        proxy.chances = {"busy": 1.0}
        with pytest.raises(
            OutageError, match=r"nothing came for .* s \(.*reason the store is busy\)"
        ) as caught:
            fetch(plan)
        assert caught.value.exit_code == 3
        asked = len(proxy.answers)
        assert asked < 40, "while the breaker is open only probes are sent"
        proxy.chances = {}
        fetch(prepared(bucket.url, staging, settings))
    assert arrived(staging) == wanted


def test_one_file_that_can_not_be_had_is_no_hindrance_to_the_others(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    plan = prepared(bucket.url, tmp_path / "staging", bucket.settings())
    bucket.client.delete_object(Bucket=bucket.name, Key=f"market-data/cryptofeed/{PATH}")
    outcome = fetch(plan)
    assert arrived(tmp_path / "staging") == {path: held for path, held in wanted.items() if path != PATH}
    assert list(outcome.failed) == [PATH]
    assert "is not there" in outcome.failed[PATH]


def test_nothing_is_read_that_the_disk_or_the_quota_has_no_room_for(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    staging = tmp_path / "staging"
    for settings, told in (
        (bucket.settings(disk_reserve_gb=1e6), "does not fit on the disk"),
        (bucket.settings(quota_gb=0.004), "is more than the quota allows"),
    ):
        with pytest.raises(OptionError, match=told):
            fetch(prepared(bucket.url, staging, settings))
    assert not staging.exists()


def test_the_quota_counts_what_was_read_before(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    fetch(prepared(bucket.url, tmp_path / "one", bucket.settings(quota_gb=0.008)))
    two = prepared(bucket.url, tmp_path / "two", bucket.settings(quota_gb=0.008))
    assert two.plan.used_bytes == sum(SIZES)
    assert two.plan.rate_from == "measured by the latest downloads"
    with pytest.raises(OptionError, match="is more than the quota allows"):
        fetch(two)


def test_what_changed_at_its_source_is_told_and_fetched_anew_on_request(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    staging = tmp_path / "staging"
    fetch(prepared(bucket.url, staging, bucket.settings()))
    bucket.put(PATH, b"other")
    told = prepared(bucket.url, staging, bucket.settings())
    assert (told.plan.count("changed"), told.plan.left_bytes) == (1, 0)
    fetch(prepared(bucket.url, staging, bucket.settings(), refresh=True))
    assert arrived(staging) == wanted | {PATH: b"other"}


def test_the_limit_holds(bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path) -> None:
    outcome = fetch(prepared(bucket.url, tmp_path / "staging", bucket.settings(limit_mb_s=4.0)))
    assert outcome.seconds >= sum(SIZES) / 4e6 - 0.3


def test_a_full_disk_ends_the_run_which_can_be_gone_on_with(
    bucket: Bucket, wanted: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(DiskFullError, match=r"No space left on device.*the same command goes on"):
            fetch(prepared(bucket.url, tmp_path / "staging", bucket.settings()))
    fetch(prepared(bucket.url, tmp_path / "staging", bucket.settings()))
    assert arrived(tmp_path / "staging") == wanted
