"""Bad input: the right exit status, one clear sentence, and nothing lost that could be read."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import re
import resource
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from tests.cli.door import Said, rlx, rlx_process
from tests.depth import deep
from tests.pipeline.captures import SPOT, capture, lines_of, three_symbols

from rlx_datapipe.pipeline.export import export
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.faults import change_symbol, drop_depth, insert_garbage, remove_snapshots
from rlx_datapipe.store.dataset import open_dataset

SHORT = MarketConfig(duration_s=4, orders_per_s=300, levels=100)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return capture(tmp_path_factory.mktemp("good") / "capture.gz", SHORT)


@pytest.fixture(scope="module")
def dataset(good: Path) -> Path:
    folder = good.parent / "dataset"
    assert rlx("reconstruct", good, "--out", folder, "--json").status == 0
    return folder


@pytest.fixture(scope="module")
def lake(dataset: Path) -> Path:
    folder = dataset.parent / "lake"
    export(dataset, folder)
    return folder


def lake_file(lake: Path, table: str, to: Path) -> Path:
    """A copy of one file of the archive, in its place below ``to``."""
    [path] = lake.glob(f"{table}/**/*.parquet")
    copy = to / path.relative_to(lake)
    copy.parent.mkdir(parents=True)
    shutil.copy(path, copy)
    return copy


def refused(said: Said, *told: str) -> None:
    sentence = said.sentence()
    assert said.status == 2
    for words in told:
        assert words in sentence
    assert sentence.isprintable()


# Sources that can't be read at all.


def empty_file(folder: Path) -> Path:
    (folder / "empty.gz").touch()
    return folder / "empty.gz"


def gzip_of_nothing(folder: Path) -> Path:
    (folder / "nothing.gz").write_bytes(gzip.compress(b""))
    return folder / "nothing.gz"


def blank_lines(folder: Path) -> Path:
    (folder / "blank.txt").write_text("\n\n\n")
    return folder / "blank.txt"


def empty_folder(folder: Path) -> Path:
    (folder / "folder").mkdir()
    (folder / "folder" / ".hidden").write_text("x")
    return folder / "folder"


def garbage(folder: Path) -> Path:
    (folder / "garbage.gz").write_bytes(bytes(range(256)) * 50)
    return folder / "garbage.gz"


def text(folder: Path) -> Path:
    (folder / "notes.txt").write_text("time,price\n1,2\n")
    return folder / "notes.txt"


def foreign_json(folder: Path) -> Path:
    (folder / "kraken.txt").write_text('1723161570000000000 {"channel":"book","data":[]}\n')
    return folder / "kraken.txt"


def not_parquet(folder: Path) -> Path:
    (folder / "rows.parquet").write_bytes(b"PAR1 but no more")
    return folder / "rows.parquet"


SOURCES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "missing": (lambda folder: folder / "missing.gz", ("missing.gz", "no such file", "Check the path")),
    "empty file": (empty_file, ("empty.gz", "empty")),
    "gzip of nothing": (gzip_of_nothing, ("nothing.gz", "no lines")),
    "blank lines": (blank_lines, ("blank.txt", "no known format")),
    "empty folder": (empty_folder, ("folder", "empty folder", "Give a folder with recordings")),
    "garbage": (garbage, ("garbage.gz", "no known format", "expected lines '<receive time> <Binance JSON>'")),
    "text": (text, ("notes.txt", "no known format", "leave this file out")),
    "another venue": (foreign_json, ("kraken.txt", "no known format", "--format")),
    "no Parquet": (not_parquet, ("rows.parquet",)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_can_not_be_read_is_refused(name: str, tmp_path: Path) -> None:
    make, told = SOURCES[name]
    source = make(tmp_path)
    commands: list[list[str | Path]] = [
        ["reconstruct", source, "--out", tmp_path / "out"],
        ["inspect", source],
    ]
    for command in commands:
        refused(rlx(*command), *told)
        refused(rlx(*command, "--json"), *told)
    assert not (tmp_path / "out").exists(), "nothing is made before the sources are known to be good"


def test_a_real_process_says_the_same(good: Path, tmp_path: Path) -> None:
    refused(rlx_process("reconstruct", tmp_path / "missing.gz", "--out", tmp_path / "out"), "no such file")
    refused(rlx_process("inspect", garbage(tmp_path)), "no known format")
    done = rlx_process("reconstruct", good, "--out", tmp_path / "out", "--json")
    assert done.status == 0
    assert "rlx: " not in done.err
    assert done.json()["quarantined"] == 0


# Sources that can be read in part.


def quarantined(dataset: Path) -> list[dict[str, object]]:
    files = sorted((dataset / "quarantine").rglob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_gzip_is_kept_as_far_as_it_is_whole(share: float, tmp_path: Path) -> None:
    whole = lines_of(SHORT)
    packed = gzip.compress(b"\n".join(whole) + b"\n", mtime=0)
    source = tmp_path / "torn.gz"
    source.write_bytes(packed[: int(len(packed) * share)])
    said = rlx("reconstruct", source, "--out", tmp_path / "out", "--json")
    assert said.status == 0
    result = said.json()
    [reject] = quarantined(tmp_path / "out")
    assert result["quarantined"] == 1
    kept = sum(result["chains"][0]["messages"].values())
    assert share * 0.8 < kept / len(whole) < 1
    assert (reject["file"], reject["row"]) == ("torn.gz", kept + 1)
    assert "ends before its end marker" in str(reject["reason"])
    # What was torn is the beginning of the next line.
    assert whole[kept].startswith(str(reject["raw"]).encode())
    rows = open_dataset(tmp_path / "out").quality.collect()
    [detail] = [row["detail"] for row in rows.to_dicts() if row["kind"] == "quarantine"]
    assert f"torn.gz, first at row {kept + 1}: gzip stream ends" in detail
    [finding] = [one for one in result["findings"] if one["rule"] == "broken_source"]
    assert (finding["measures"]["file"], finding["measures"]["row"]) == ("torn.gz", kept + 1)
    loud = (
        f"torn.gz breaks off at row {kept + 1:,} (gzip stream ends before its end marker): everything behind"
    )
    shown = [rlx("inspect", path) for path in (source, tmp_path / "out")]
    shown.append(rlx("reconstruct", source, "--out", tmp_path / "again"))
    shown.append(rlx("validate", tmp_path / "out", env={"COLUMNS": "80"}))
    for one in shown:
        assert loud in " ".join(one.out.split())
    # The verdict is on what is there; the line before it says that there was more.
    assert shown[-1].out.splitlines()[-2].startswith("! torn.gz breaks off at row")
    assert re.search(r"^verdict  (pass|fail), \d+ warnings?$", shown[-1].out, re.MULTILINE)


def test_of_many_symbols_the_one_that_breaks_off_is_told(tmp_path: Path) -> None:
    sources = three_symbols(tmp_path, SHORT)
    sources[1].write_bytes(sources[1].read_bytes()[:-3_000])
    said = rlx("reconstruct", *sources, "--out", tmp_path / "out")
    assert "! BINANCE ETHUSDT broken_source: ethusdt.gz breaks off at row" in said.out


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".xz"])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_break_is_known_by_its_reason(suffix: str, damage: str, tmp_path: Path) -> None:
    pack = {
        ".gz": gzip.compress,
        ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
        ".xz": lzma.compress,
    }
    content = bytearray(pack[suffix](b"\n".join(lines_of(SHORT)) + b"\n"))
    if damage == "cut":
        del content[-200:]
    else:
        content[-200:-20] = b"\xff" * 180
    source = tmp_path / f"torn{suffix}"
    source.write_bytes(content)
    [chain] = rlx("inspect", source, "--json").json()["chains"]
    assert [one["rule"] for one in chain["findings"]] == ["broken_source"]


TRADE = (
    '1723161571000000000 {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161571000,"s":"BTCUSDT",'
    '"t":1,"p":"PRICE","q":"1","T":1723161571000,"m":true,"M":true}}'
)
GARBAGE = {
    "torn": b'17231615 {"stream":"btcu',
    "no JSON": b"1723161571000000000 hello",
    "half JSON": TRADE[:90].encode(),
    "not UTF-8": b'1723161571000000000 {"stream":"\xff\xfe"}',
    "control characters": b"\x00\x01\x1b[31m\x07",
    "deeply nested": b"1723161571000000000 " + b"[" * 10_000,
    "a number that is none": TRADE.replace("PRICE", "NaN").encode(),
    "a negative price": TRADE.replace("PRICE", "-1").encode(),
    "a price of nothing": TRADE.replace("PRICE", "0.0").encode(),
    "an underscore": TRADE.replace("PRICE", "1_000").encode(),
    "Arabic digits": TRADE.replace("PRICE", "\u0661.\u0665").encode(),
}


def test_lines_of_garbage_go_to_quarantine_and_the_rest_is_done(tmp_path: Path) -> None:
    lines = list(lines_of(SHORT))
    clean, source = tmp_path / "clean.gz", tmp_path / "capture.gz"
    write_capture(lines, clean)
    rows = {name: 500 + 40 * number for number, name in enumerate(GARBAGE)}
    for number, name in enumerate(GARBAGE):
        # Behind the message at this place; each line of garbage moves those after it by one.
        lines = list(insert_garbage(lines, rows[name] + number, GARBAGE[name]))
    write_capture(lines, source)
    expected = rlx("reconstruct", clean, "--out", tmp_path / "clean", "--json").json()
    result = rlx("reconstruct", source, "--out", tmp_path / "out", "--json").json()
    assert (result["quarantined"], result["events"]) == (len(GARBAGE), expected["events"])
    rejects = quarantined(tmp_path / "out")
    assert [reject["row"] for reject in rejects] == [row + n + 2 for n, row in enumerate(rows.values())]
    for reject in rejects:
        assert reject["file"] == "capture.gz"
        assert reject["reason"]
        assert "raw" in reject or "raw_base64" in reject
    shown = rlx("reconstruct", source, "--out", tmp_path / "again")
    assert shown.status == 0
    assert f"{len(GARBAGE)} messages could not be read" in shown.out
    assert "Traceback" not in shown.out + shown.err


def test_symbols_that_are_mixed_are_not(tmp_path: Path) -> None:
    source = tmp_path / "mixed.gz"
    write_capture(change_symbol(lines_of(SHORT), 300), source)
    said = rlx("reconstruct", source, "--out", tmp_path / "out", "--json")
    # The snapshot names no symbol: it could be of either.
    assert [(chain["symbol"], chain["quarantined"]) for chain in said.json()["chains"]] == [
        ("BTCUSDT", 1),
        ("LUNAUSDT", 1),
    ]
    assert "a snapshot without a symbol" in str(quarantined(tmp_path / "out")[0]["reason"])
    chosen = rlx("reconstruct", source, "--out", tmp_path / "one", "--symbols", "BTCUSDT", "--json")
    assert chosen.json()["chains"][0]["messages"] == said.json()["chains"][0]["messages"]
    assert chosen.json()["chains"][0]["messages"]["of other symbols"] == 1
    assert {path.name for path in tmp_path.glob("one/events/exchange=BINANCE/*")} == {"symbol=BTCUSDT"}


def test_without_a_snapshot_deltas_are_kept_and_the_book_is_marked(tmp_path: Path) -> None:
    source = capture(tmp_path / "capture.gz", SHORT, remove_snapshots)
    said = rlx("reconstruct", source, "--out", tmp_path / "out")
    assert said.status == 0
    assert "no snapshot came: the book is not valid" in " ".join(said.out.split())
    result = rlx("inspect", tmp_path / "out", "--json").json()
    [chain] = result["chains"]
    assert chain["events_without_book"] == chain["events"] > 0
    assert chain["quality_rows"]["unsynced"] == 1
    assert "no valid book here" in rlx("book", tmp_path / "out", "--event", "100").out
    assert rlx("book", tmp_path / "out", "--event", "100", "--json").json()["valid"] is False


# Parquet that is not what it should be.


def test_a_truncated_parquet_is_refused(lake: Path, tmp_path: Path) -> None:
    path = lake_file(lake, "trades", tmp_path / "lake")
    content = path.read_bytes()
    for size in (0, 4, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        refused(rlx("reconstruct", tmp_path / "lake", "--out", tmp_path / "out"), path.name)


def test_wrong_columns_are_shown(lake: Path, tmp_path: Path) -> None:
    path = lake_file(lake, "book_delta_v2", tmp_path / "lake")
    table = pq.ParquetFile(path).read()
    pq.write_table(
        table.rename_columns([n.replace("sequence_number", "seqence_number") for n in table.schema.names]),
        path,
    )
    refused(
        rlx("reconstruct", tmp_path / "lake", "--out", tmp_path / "out"),
        "book_delta_v2",
        "missing sequence_number",
        "seqence_number (for sequence_number?)",
    )
    pq.write_table(table.drop_columns(["price", "size"]), path)
    refused(rlx("reconstruct", tmp_path / "lake", "--out", tmp_path / "out"), "missing price, size")


def test_wrong_types_are_shown(lake: Path, tmp_path: Path) -> None:
    path = lake_file(lake, "trades", tmp_path / "lake")
    table = pq.ParquetFile(path).read()
    at = table.schema.get_field_index("price")
    pq.write_table(table.set_column(at, "price", table["price"].cast(pa.string())), path)
    refused(
        rlx("reconstruct", tmp_path / "lake", "--out", tmp_path / "out"),
        "trades",
        "wrong type price is string, not double",
    )


# Output that can't be written.


def file_in_the_way(folder: Path) -> Path:
    (folder / "file").write_text("mine")
    return folder / "file"


def below_a_file(folder: Path) -> Path:
    return file_in_the_way(folder) / "dataset"


def not_empty(folder: Path) -> Path:
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").write_text("mine")
    return folder / "full"


def raw_data(folder: Path) -> Path:
    (folder / "raw").mkdir()
    return capture(folder / "raw" / "btc.gz", SHORT).parent


OUTPUTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a file": (file_in_the_way, "is not empty"),
    "below a file": (below_a_file, "can't be written"),
    "not empty": (not_empty, "is not empty"),
    "the raw data": (raw_data, "is not empty"),
    "no file system": (lambda _: Path("/proc/rlx/dataset"), "can't be written"),
    "name too long": (lambda folder: folder / ("x" * 300), "can't be written (File name too long)"),
    "a per cent sign": (lambda folder: folder / "100%25", "Delta Lake takes the '%'"),
    "like a partition": (lambda folder: folder / "date=2024-08-08" / "set", "for a partition of the tables"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_can_not_be_written_is_refused(name: str, good: Path, tmp_path: Path) -> None:
    make, told = OUTPUTS[name]
    out = make(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    said = rlx("reconstruct", good, "--out", out)
    refused(said, str(out), told)
    assert "--out" in said.err
    assert "elete" not in said.err
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_place_that_is_taken_is_refused_before_the_input_is_read(tmp_path: Path) -> None:
    refused(rlx("reconstruct", garbage(tmp_path), "--out", not_empty(tmp_path)), "is not empty")


def test_a_note_in_a_folder_of_recordings_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    capture(tmp_path / "in" / "btc.gz", SHORT)
    (tmp_path / "in" / "README.md").write_text("# Recordings\n")
    for command in (["inspect"], ["reconstruct", "--out", str(tmp_path / "in" / "out")]):
        said = rlx(*command, tmp_path / "in")
        assert said.status == 0, said.err
        assert f"ignored: {tmp_path}/in/README.md is no recording" in said.err
    # The dataset lies in the folder of its source: going on does not take it for one.
    again = rlx("reconstruct", tmp_path / "in", "--out", tmp_path / "in" / "out", "--resume")
    assert again.status == 0, again.err


def test_one_dataset_at_a_time(dataset: Path) -> None:
    refused(rlx("inspect", dataset, dataset), "a dataset is inspected alone")
    refused(rlx("inspect", dataset.parent), "is no dataset but holds", str(dataset))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(good: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(rlx("reconstruct", good, "--out", tmp_path / "locked" / "out"), "Permission denied", "--out")


@pytest.mark.parametrize("limit", [pytest.param(200, marks=deep), 3_000, pytest.param(9_000, marks=deep)])
@pytest.mark.usefixtures("dataset")  # kernels are compiled, and kept, before the disk is full
def test_a_disk_that_is_full(limit: int, good: Path, tmp_path: Path) -> None:
    """Files may not grow beyond a limit: as a full disk, it strikes in the middle of a file."""
    said = rlx_process(
        "reconstruct",
        good,
        "--out",
        tmp_path / "out",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    # Before anything is begun it is the place that is bad; later it is a stop that can be gone on from.
    assert (said.status, said.out) == (2 if limit == 200 else 3, "")
    assert "can't be written (File too large)" in said.sentence()
    assert ("--resume" in said.sentence()) == (limit != 200)
    assert rlx("inspect", tmp_path / "out").status == said.status


# Options and settings that have no meaning.


def test_unknown_words_are_answered_with_the_known_ones(good: Path, dataset: Path, tmp_path: Path) -> None:
    reconstruct: list[str | Path] = ["reconstruct", good, "--out", tmp_path / "out"]
    refused(rlx(*reconstruct, "--format", "kaiko"), "unknown format", "kaiko", "binance-spot", "crypto-lake")
    refused(rlx(*reconstruct, "--symbols", "DOGEUSDT"), "no such symbol", "DOGEUSDT", "BTCUSDT")
    refused(
        rlx("export", dataset, "--out", tmp_path / "lake", "--to", "csv"), "unknown layout", "crypto-lake"
    )
    refused(rlx("book", dataset, "--symbol", "ETHUSDT", "--event", "1"), "no symbol 'ETHUSDT'", "BTCUSDT")
    refused(rlx("export", dataset, "--symbols", "X", "--out", tmp_path / "lake"), "no symbol 'X'", "BTCUSDT")
    assert not (tmp_path / "out").exists()


SETTINGS: dict[str, tuple[str | bytes, str]] = {
    "unknown setting": ("batch_row = 5", "batch_row is no key"),
    "wrong type": ('threads = "many"', "threads"),
    "out of range": ("threads = 0", "threads"),
    "too many levels": ("books_levels = 100000000000", "books_levels"),
    "no TOML": ("threads: 2", "can't read the settings"),
    "not UTF-8": (b"\xff\xfe", "can't read the settings"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_settings_are_refused(name: str, good: Path, tmp_path: Path) -> None:
    content, told = SETTINGS[name]
    config = tmp_path / "settings.toml"
    config.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(rlx("reconstruct", good, "--out", tmp_path / "out", "--config", config), told)
    assert not (tmp_path / "out").exists()


def test_settings_from_elsewhere_are_checked_too(good: Path, tmp_path: Path) -> None:
    reconstruct: list[str | Path] = ["reconstruct", good, "--out", tmp_path / "out"]
    refused(rlx(*reconstruct, "--config", tmp_path / "none.toml"), "none.toml", "can't read the settings")
    refused(rlx(*reconstruct, env={"RLX_BATCH_ROWS": "many"}), "RLX_BATCH_ROWS", "batch_rows", "found many")
    refused(rlx(*reconstruct, env={"RLX_BOOK_LEVELS": "5"}), "RLX_BOOK_LEVELS", "mean RLX_BOOKS_LEVELS?")
    refused(rlx(*reconstruct, "--threads", "0"), "threads")
    refused(rlx(*reconstruct, "--price-decimals", "19"), "scale out of range", "0 to 18")
    refused(rlx(*reconstruct, "--quantity-decimals", "-1"), "scale out of range")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Missing argument"),
        (["{good}"], "Missing option '--out'"),
        (["{good}", "--out", "x", "--treads", "2"], "--threads"),
        (["{good}", "--out", "x", "--threads", "two"], "'two' is not a valid integer"),
    ],
)
def test_bad_usage_has_status_two(arguments: list[str], told: str, good: Path) -> None:
    said = rlx("reconstruct", *(argument.format(good=good) for argument in arguments))
    assert said.status == 2
    assert said.out == ""
    assert told in said.err


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    said = rlx("reconstruckt")
    assert said.status == 2
    assert "Did you mean 'reconstruct'?" in said.err


# Datasets that are none, and moments that are none.


def test_a_dataset_that_is_none(good: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path, good):
        refused(rlx("book", path, "--event", "1"), str(path), "is not a dataset", "rlx reconstruct --out")


def broken(dataset: Path, folder: Path, change: Callable[[Path], None]) -> Path:
    copy = folder / "copy"
    shutil.copytree(dataset, copy)
    change(copy)
    return copy


def cut_events(copy: Path) -> None:
    [path] = (copy / "events").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_byte(copy: Path) -> None:
    [path] = (copy / "events").rglob("*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def lose_a_file(copy: Path) -> None:
    [path] = (copy / "events").rglob("*.parquet")
    path.unlink()


def spoil_the_log(copy: Path) -> None:
    for path in (copy / "events" / "_delta_log").iterdir():
        path.write_text("{torn")


def lose_a_table(copy: Path) -> None:
    shutil.rmtree(copy / "keyframes")


def spoil_the_manifest(copy: Path) -> None:
    (copy / "rlx.json").write_text("{torn")


def forget_the_writer(copy: Path) -> None:
    head = json.loads((copy / "rlx.json").read_text())
    del head["writer"]
    (copy / "rlx.json").write_text(json.dumps(head))


def come_from_the_future(copy: Path) -> None:
    head = json.loads((copy / "rlx.json").read_text())
    (copy / "rlx.json").write_text(json.dumps(head | {"format_version": 99}))


def spoil_the_chain(copy: Path) -> None:
    [path] = (copy / "chains").iterdir()
    path.write_bytes(path.read_bytes()[:50])


def never_finish(copy: Path) -> None:
    shutil.rmtree(copy / "chains")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (cut_events, "can't be read"),
        (flip_a_byte, "can't be read"),
        (lose_a_file, "a committed file is gone"),
        (spoil_the_log, "the log of table 'events' can't be read"),
        (lose_a_table, "no table 'keyframes' here"),
        (spoil_the_manifest, "is not a dataset"),
        (forget_the_writer, "is not a dataset"),
        (come_from_the_future, "was written by another version (found 99; expected 1)"),
        (spoil_the_chain, "is not a dataset"),
    ],
)
def test_a_damaged_dataset_says_so(
    change: Callable[[Path], None], told: str, dataset: Path, tmp_path: Path
) -> None:
    refused(rlx("inspect", broken(dataset, tmp_path, change), "--json"), told)


def test_a_dataset_that_was_never_finished_can_be_gone_on_with(dataset: Path, tmp_path: Path) -> None:
    said = rlx("inspect", broken(dataset, tmp_path, never_finish), "--json")
    assert said.status == 3
    assert "interrupted" in said.sentence()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--at", "tomorrow"], "is no time (found tomorrow; expected ISO 8601"),
        (["--at", "2024-13-45"], "is no time"),
        (["--at", "٢٠٢٤-٠٨-٠٨"], "is no time"),
        (["--at", "2020-01-01"], "no event at or before that time (found 2020-01-01T00:00:00Z"),
        (["--event", "-1"], "no such event (found -1; expected an event id from 0 to"),
        (["--event", "99999999"], "no such event"),
        (["--event", "1", "--at", "2024-08-08"], "exactly one of --at and --event"),
        ([], "exactly one of --at and --event"),
        (["--event", "500", "--depth", "0"], "depth must be at least 1 (found 0)"),
        (["--event", "500", "--depth", "-3"], "depth must be at least 1"),
    ],
)
def test_a_moment_that_is_none(arguments: list[str], told: str, dataset: Path) -> None:
    for end in ([], ["--json"]):
        refused(rlx("book", dataset, *arguments, *end), told)


# Names from outside.

NAMES = [
    "币安人生USDT",
    "../../ETC/PASSWD",
    "..",
    "A|B;$(X)",
    *(pytest.param(name, marks=deep) for name in ("1000CHEEMS", "A/B", "%2E%2E%2F", "BTC=USDT", "Ü")),
]


@pytest.mark.parametrize("symbol", NAMES)
def test_an_odd_symbol_stays_in_the_dataset_and_keeps_its_name(symbol: str, tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    config = MarketConfig(duration_s=2, orders_per_s=300, levels=60, symbol="SYMBOL")
    lines = [
        line.replace(b"symbol@", symbol.lower().encode() + b"@").replace(b"SYMBOL", symbol.encode())
        for line in lines_of(config)
    ]
    write_capture(lines, inside / "capture.gz")
    said = rlx("reconstruct", inside / "capture.gz", "--out", inside / "out", "--json")
    assert said.status == 0, said.err
    assert said.json()["chains"][0]["symbol"] == symbol
    assert {path.relative_to(tmp_path).parts[:4] for path in tmp_path.rglob("*") if path.is_file()} <= {
        ("a", "b", "c", "out"),
        ("a", "b", "c", "capture.gz"),
    }
    dataset = open_dataset(inside / "out")
    assert dataset.events.collect()["symbol"].unique().to_list() == [symbol]
    assert dataset.table("events", symbol=symbol).collect().height == said.json()["events"]
    assert rlx("book", inside / "out", "--event", "400", "--symbol", symbol).status == 0
    assert rlx("inspect", inside / "out").status == 0


@pytest.mark.parametrize(
    "name",
    [
        "a #b?c=d&e",
        "[red]x[/b]",
        "-dash",
        *(pytest.param(name, marks=deep) for name in ("run=1", "s3:bucket", "gl*b", "ünïcode", ".")),
    ],
)
def test_a_dataset_may_lie_in_a_folder_of_any_name(
    name: str, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    said = rlx("reconstruct", good, f"--out={name}")
    assert said.status == 0, said.err
    assert f"dataset  {name}\n" in said.out
    assert "digest" in rlx("inspect", "--", name).out
    assert rlx("book", "--event", "400", "--", name).status == 0
    told = rlx("inspect", "--json", "--", name).json()
    assert open_dataset(tmp_path / "here" / name).events.collect().height == told["events"]


def test_a_file_whose_name_is_no_text(good: Path, tmp_path: Path) -> None:
    source = os.fsencode(tmp_path) + b"/caf\xe9.gz"
    with gzip.open(good) as lines:
        content = lines.read()
    Path(os.fsdecode(source)).write_bytes(gzip.compress(content + b"garbage\n"))
    said = rlx_process("reconstruct", source, "--out", tmp_path / "out", "--json")
    assert said.status == 0, said.err
    assert said.json()["quarantined"] == 1
    [file] = rlx("inspect", tmp_path / "out", "--json").json()["chains"][0]["files"]
    assert file["name"] == "caf\\udce9.gz"
    assert rlx_process("inspect", source).status == 0


def test_a_gap_is_told_with_its_place(tmp_path: Path) -> None:
    source = capture(tmp_path / "capture.gz", SPOT, partial(drop_depth, k=50))
    said = rlx("reconstruct", source, "--out", tmp_path / "out")
    assert said.status == 0
    assert any("gaps" in line and "1" in line for line in said.out.splitlines())
    quality = open_dataset(tmp_path / "out").quality.collect().to_dicts()
    [gap] = [row for row in quality if row["kind"] == "gap"]
    assert gap["measures"]["expected_id"] < gap["measures"]["found_id"]
    assert f"expected from {gap['measures']['expected_id']}" in gap["detail"]
