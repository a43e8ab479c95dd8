"""Clean markets pass with notes only; the numbers are those of an oracle in plain Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.validation.harness import PlainOracle, capture, lines_of, market, measures, rebuilt, weighty

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.pipeline.export import export
from rlx_datapipe.pipeline.reconstruct import reconstruct
from rlx_datapipe.pipeline.validate import validate
from rlx_datapipe.simulation import faults
from rlx_datapipe.store.dataset import open_dataset
from rlx_datapipe.validation.validate import RULES
from rlx_datapipe.validation.validate import validate as check

VENUES = ("binance-spot", "binance-usdm")


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("snapshot_every_s", [None, 2])
def test_a_clean_market_passes_with_notes_only(
    venue: str, snapshot_every_s: int | None, tmp_path: Path
) -> None:
    lines = market(venue, snapshot_every_s)
    dataset = rebuilt(tmp_path, lines)
    report = validate(dataset, golden=tmp_path / "capture.gz")
    plain = PlainOracle(lines)
    assert report.verdict == "pass"
    assert not weighty(report) | weighty(report, "warn"), report.findings
    assert (report.oracle["compared"], report.oracle["equal"]) == (plain.compared, plain.equal)
    assert plain.compared > 45
    assert (report.gaps, report.crossed, report.oracle["differing"]) == (0, 0, [])
    assert [rule.name for rule in report.rules] == list(RULES)
    sequence = measures(report, "sequence")
    assert sequence["links_checked"] == plain.compared - 1
    assert sequence["links_broken"] == sequence["links_unknown_to_golden"] == sequence["golden_breaks"] == 0
    rows = measures(report, "decimal_round_trip")
    assert rows["update_groups"].items() >= {"missing": 0, "extra": 0, "changed": 0}.items()
    assert rows["trades"]["compared"] > 100
    snapshots = measures(report, "snapshot_equality")
    assert snapshots["exact"] == snapshots["snapshots"] == (2 if snapshot_every_s else 0)


def test_without_a_golden_the_datasets_own_quotes_judge(tmp_path: Path) -> None:
    dataset = rebuilt(tmp_path, market())
    own = validate(dataset)
    golden = validate(dataset, golden=tmp_path / "capture.gz")
    assert own.oracle == {**golden.oracle, "source": "own quotes"}
    assert golden.oracle["source"] == golden.golden == "capture.gz"
    assert "not recounted" in next(rule.headline for rule in own.rules if rule.name == "sequence")


def test_small_files_and_batches_change_nothing(tmp_path: Path) -> None:
    lines = market(VENUES[1])
    whole = rebuilt(tmp_path, lines, "whole")
    cut = rebuilt(tmp_path, lines, "cut", epoch_events=700, batch_rows=37, keyframe_events=500)
    reports = [validate(one, golden=tmp_path / "whole.gz") for one in (whole, cut)]
    assert reports[0].oracle == reports[1].oracle
    for rule in ("chronology", "sequence", "crossed", "trades_at_touch", "decimal_round_trip"):
        first, second = (dict(measures(report, rule)) for report in reports)
        # Distinct values are counted per stretch.
        assert first.pop("distinct_values_over_text", 0) <= second.pop("distinct_values_over_text", 0)
        assert first == second, rule
    assert measures(reports[1], "books_match_events")["keyframes"]["books"] > 5


def test_the_json_has_the_promised_keys(tmp_path: Path) -> None:
    told = json.loads(validate(rebuilt(tmp_path, market())).to_json())
    assert told.keys() >= {"oracle", "gaps", "crossed", "verdict", "events", "exchange", "symbol", "rules"}
    assert told["oracle"].keys() >= {"compared", "equal", "differing", "source"}
    assert told["verdict"] == "pass"


def test_several_chains_are_summed(tmp_path: Path) -> None:
    spot = capture(tmp_path, market(), "spot")
    futures = capture(tmp_path, faults.remove_snapshots(market(VENUES[1])), "futures")
    reconstruct([spot, futures], tmp_path / "both")
    report = validate(tmp_path / "both")
    assert [chain.exchange for chain in report.chains] == ["BINANCE", "BINANCE_FUTURES"]
    assert [chain.verdict for chain in report.chains] == ["pass", "fail"]
    assert report.verdict == "fail"
    assert report.events == sum(chain.events for chain in report.chains) > 0
    assert report.oracle["compared"] == report.chains[0].oracle["compared"] > 0
    gates = [finding for finding in report.findings if finding.severity == "gate"]
    assert {finding.measures["exchange"] for finding in gates} == {"BINANCE_FUTURES"}
    assert validate(tmp_path / "both", "BINANCE/BTCUSDT").verdict == "pass"


def test_an_archive_that_proves_no_sequence_is_proven_by_a_golden(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    export(rebuilt(tmp_path, market()), lake)
    reconstruct(lake, tmp_path / "again")
    alone = validate(tmp_path / "again")
    assert alone.verdict == "pass"
    assert alone.oracle == {"compared": 0, "equal": 0, "source": "no quotes", "differing": []}
    assert "would not show" in next(rule.headline for rule in alone.rules if rule.name == "sequence")
    report = validate(tmp_path / "again", golden=tmp_path / "capture.gz")
    assert report.verdict == "pass"
    assert report.oracle["equal"] == report.oracle["compared"] > 45
    sequence, rows = measures(report, "sequence"), measures(report, "decimal_round_trip")
    assert sequence["unprovable"]
    assert sequence["links_checked"] == report.oracle["compared"] - 1
    assert sequence["links_broken"] == 0
    assert rows["update_groups"]["compared"] > 45
    assert rows["trades"]["compared"] == 0
    assert not weighty(report, "warn")


def test_a_symbol_that_is_not_there_is_refused(tmp_path: Path) -> None:
    dataset = open_dataset(rebuilt(tmp_path, market()))
    with pytest.raises(DatasetError, match="no symbol"):
        check(dataset, "ETHUSDT")


def test_the_real_spot_recording_differs_where_the_ticker_is_known_to_lag(
    recordings: Path, tmp_path: Path
) -> None:
    files = sorted((recordings / "binance_spot").glob("btcusdt_*.gz"))
    reconstruct(files, tmp_path / "spot")
    report = validate(tmp_path / "spot", golden=files)
    plain = PlainOracle(lines_of(files))
    assert (
        (report.oracle["compared"], report.oracle["equal"]) == (plain.compared, plain.equal) == (6_493, 6_491)
    )
    named = [one["update_id"] for one in report.oracle["differing"]]
    assert named == plain.differing == [50_093_478_174, 50_093_480_542]
    assert report.oracle["differing"][0]["expected"]["bid_price"] == "61565.1"
    assert report.oracle["differing"][0]["found"]["bid_price"] == "61564.91"
    assert (report.verdict, report.gaps, report.crossed) == ("pass", 0, 0)
    assert weighty(report, "warn") == {"update_id_oracle"}
    assert measures(report, "sequence")["links_checked"] == 6_492
    assert measures(report, "decimal_round_trip")["update_groups"]["compared"] == 6_495
