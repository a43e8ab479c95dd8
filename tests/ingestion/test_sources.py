"""Sources are told by what they hold, split into chains, and read once each in the order of their times."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ingestion.test_ingest import NS, lake_folder, lake_trades

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.errors import DatapipeError, OptionError, SourceError
from rlx_datapipe.ingestion.sources import find_sources
from rlx_datapipe.simulation.capture_file import write_capture
from rlx_datapipe.simulation.config import MarketConfig
from rlx_datapipe.simulation.market import simulate

SETTINGS = Settings()


def market(symbol: str = "BTCUSDT", venue: str = "binance-spot", seed: int = 7) -> list[bytes]:
    config = MarketConfig(
        symbol=symbol, venue=venue, duration_s=1, orders_per_s=200, levels=60, snapshot_levels=20, seed=seed
    )
    return list(simulate(config))


@pytest.fixture(scope="module")
def spot() -> list[bytes]:
    return market()


@pytest.fixture(scope="module")
def ether() -> list[bytes]:
    return market("ETHUSDT", seed=3)


def write(path: Path, lines: list[bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_capture(lines, path)
    return path


@pytest.mark.parametrize(
    ("venue", "exchange"), [("binance-spot", "BINANCE"), ("binance-usdm", "BINANCE_FUTURES")]
)
@pytest.mark.parametrize("name", ["x", "binance-usdm.txt", "spot.csv", ".hidden", "capture.json.gz"])
def test_a_capture_is_told_by_its_content_whatever_its_name(
    venue: str, exchange: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(b"\n".join(market(venue=venue)))
    (source,) = find_sources([path], SETTINGS)
    assert (source.format, source.instrument.exchange, source.files) == (venue, exchange, (path,))


def test_a_compressed_capture_needs_no_suffix(spot: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(gzip.compress(b"\n".join(spot)))
    (source,) = find_sources([path], SETTINGS)
    assert source.instrument.symbol == "BTCUSDT"


def test_an_archive_file_is_told_by_its_magic(tmp_path: Path) -> None:
    path = lake_trades(lake_folder(tmp_path, "trades", "2023-11-14") / "day", [NS], [NS], 1)
    (source,) = find_sources([path], SETTINGS)
    assert (source.format, source.instrument.symbol) == ("crypto-lake", "BTC-USDT")


def test_files_of_one_chain_are_read_in_the_order_of_their_first_receive_time(
    spot: list[bytes], tmp_path: Path
) -> None:
    third = len(spot) // 3
    parts = [spot[:third], spot[third : 2 * third], spot[2 * third :]]
    paths = [write(tmp_path / name, part) for name, part in zip("cab", parts, strict=True)]
    for given in ([tmp_path], paths, paths[::-1]):
        (source,) = find_sources(given, SETTINGS)
        assert [path.name for path in source.files] == ["c", "a", "b"]


def test_a_file_given_twice_is_read_once(
    spot: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "folder" / "capture.txt", spot)
    link = tmp_path / "link.txt"
    link.symlink_to(path)
    monkeypatch.chdir(tmp_path)
    given = (path, str(path), path.parent, link, Path("folder/capture.txt"), Path("folder/../folder"))
    for also in given:
        (source,) = find_sources([path, also], SETTINGS)
        assert len(source.files) == 1, also


def test_an_archive_file_given_twice_is_read_once(tmp_path: Path) -> None:
    path = lake_trades(lake_folder(tmp_path, "trades", "2023-11-14") / "1.parquet", [NS], [NS], 1)
    (source,) = find_sources([path, tmp_path, path.parent], SETTINGS)
    assert len(source.files) == 1


def test_two_symbols_in_two_files_are_two_chains_by_name(
    spot: list[bytes], ether: list[bytes], tmp_path: Path
) -> None:
    paths = [write(tmp_path / "1", ether), write(tmp_path / "2", spot)]
    found = find_sources([tmp_path], SETTINGS)
    assert [(source.instrument.symbol, source.files) for source in found] == [
        ("BTCUSDT", (paths[1],)), ("ETHUSDT", (paths[0],))
    ]  # fmt: skip
    (chosen,) = find_sources([tmp_path], SETTINGS, symbols=["eth-usdt"])
    assert chosen.instrument.symbol == "ETHUSDT"


def test_one_symbol_on_two_markets_is_two_chains(spot: list[bytes], tmp_path: Path) -> None:
    write(tmp_path / "1", spot)
    write(tmp_path / "2", market(venue="binance-usdm"))
    found = find_sources([tmp_path], SETTINGS)
    assert [source.instrument.exchange for source in found] == ["BINANCE", "BINANCE_FUTURES"]


def test_a_file_that_mixes_symbols_is_a_chain_for_each(
    spot: list[bytes], ether: list[bytes], tmp_path: Path
) -> None:
    path = write(tmp_path / "both", sorted(spot + ether))
    found = find_sources([path], SETTINGS)
    assert [(source.instrument.symbol, source.files) for source in found] == [
        ("BTCUSDT", (path,)), ("ETHUSDT", (path,))
    ]  # fmt: skip
    assert [source.held for source in found] == [(("BTCUSDT", "ETHUSDT"),)] * 2
    assert sum(source.rate for source in found) == pytest.approx(1)
    (one,) = find_sources([path], SETTINGS, symbols=["btcusdt"])
    assert (one.instrument.symbol, one.held) == ("BTCUSDT", found[0].held)


def test_each_symbol_of_a_mixed_file_has_its_own_scale_and_tick(
    spot: list[bytes], ether: list[bytes], tmp_path: Path
) -> None:
    mixed = find_sources([write(tmp_path / "both", sorted(spot + ether))], SETTINGS)
    alone = find_sources([write(tmp_path / "1", spot), write(tmp_path / "2", ether)], SETTINGS)
    assert [source.instrument for source in mixed] == [source.instrument for source in alone]


def test_the_scales_hold_the_numbers_and_the_tick_is_found(spot: list[bytes], tmp_path: Path) -> None:
    path = write(tmp_path / "x", spot)
    (source,) = find_sources([path], SETTINGS)
    assert (source.instrument.price_decimals, source.instrument.quantity_decimals) == (8, 8)
    assert source.instrument.price_step == 10**6
    (given,) = find_sources([path], SETTINGS, decimals=(2, 5))
    assert (given.instrument.price_decimals, given.instrument.quantity_decimals) == (2, 5)
    assert given.instrument.price_step == 1


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda folder: folder / "absent", SourceError, "no such file or folder"),
        (lambda folder: folder, SourceError, "is an empty folder"),
        (lambda folder: write(folder / "x", [b"hello", b"world"]), SourceError, "is of no known format"),
        (lambda folder: write(folder / "x", [b'1700000000000000000 {"a":1}']), SourceError, "known format"),
        (lambda folder: write(folder / "x", []), SourceError, "is empty"),
        (lambda folder: write(folder / "x.parquet", [b"PAR1"]), SourceError, "x.parquet"),
        (lambda folder: write(folder / ".git" / "x", [b"hi"]).parents[1], SourceError, "an empty folder"),
    ],
)  # fmt: skip
def test_what_is_no_source_gets_one_sentence(
    make: Callable[[Path], Path], kind: type[DatapipeError], words: str, tmp_path: Path
) -> None:
    path = make(tmp_path)
    with pytest.raises(kind) as caught:
        find_sources([path], SETTINGS)
    told = str(caught.value)
    assert words in told
    assert path.name in told
    assert "\n" not in told


def test_a_call_without_sense_gets_one_sentence(spot: list[bytes], tmp_path: Path) -> None:
    path = write(tmp_path / "x", spot)
    with pytest.raises(OptionError, match=r"no source given\. Give files or a folder"):
        find_sources([], SETTINGS)
    with pytest.raises(OptionError, match=r"unknown format \(found kaiko; expected auto, binance-spot"):
        find_sources([path], SETTINGS, format="kaiko")
    with pytest.raises(
        OptionError, match=r"no such symbol in the source \(found SOLUSDT; expected BTCUSDT\)"
    ):
        find_sources([path], SETTINGS, symbols=["SOLUSDT"])


def test_a_capture_of_snapshots_alone_names_no_symbol(spot: list[bytes], tmp_path: Path) -> None:
    path = write(tmp_path / "x", [line for line in spot if b"lastUpdateId" in line])
    with pytest.raises(SourceError, match="names no symbol"):
        find_sources([path], SETTINGS)
