"""The ledger counts what was read of a store in a month; the pace bounds how fast; the settings say both."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.acquisition.ledger import Ledger, open_ledger
from rlx_datapipe.acquisition.pace import Pace
from rlx_datapipe.acquisition.settings import AcquisitionSettings, acquisition_settings, checks_md5
from rlx_datapipe.core.errors import OptionError, UnwritableError


def test_it_counts_by_store_and_month(tmp_path: Path) -> None:
    one, other = Ledger(tmp_path, "#one"), Ledger(tmp_path, "#other")
    one.add(100)
    one.add(50, run_bytes=150, seconds=3.0)
    other.add(7)
    assert (one.used_bytes(), other.used_bytes()) == (150, 7)
    assert one.used_bytes(dt.datetime(2020, 1, 1, tzinfo=dt.UTC)) == 0
    assert (one.bytes_per_s(), other.bytes_per_s()) == (50.0, 0.0)


def test_a_torn_line_costs_that_line_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "#one")
    ledger.add(100)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes() + b'{"store": "#one", "read_by\n')
    ledger.add(11)
    assert ledger.used_bytes() == 111


def test_what_can_not_be_counted_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file in its place")
    with pytest.raises(UnwritableError):
        Ledger(tmp_path / "ledger", "#one").add(1)


def test_it_lies_in_the_users_folder_for_state(tmp_path: Path) -> None:
    ledger = open_ledger(AcquisitionSettings(), {"XDG_STATE_HOME": str(tmp_path)}, "#one")
    ledger.add(1)
    assert [path.name[:5] for path in (tmp_path / "rlx-datapipe").iterdir()] == ["read-"]


@given(counts=st.lists(st.integers(1, 5_000), min_size=1, max_size=60))
def test_however_bytes_come_the_pace_is_kept(counts: list[int]) -> None:
    now, rate = 0.0, 1_000.0
    pace = Pace(rate, lambda: now)
    for count in counts:
        now += pace.after(count)
        # Nobody is held back for longer than it takes, and the burst is a quarter second.
    assert sum(counts) / rate - 0.25 <= now + 1e-6
    assert now <= sum(counts) / rate + 1e-6


def test_no_limit_holds_nobody_back() -> None:
    assert Pace(0.0).after(10**12) == 0.0


def test_settings_come_in_layers_and_awss_variables_are_the_last(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('parts = 3\nendpoint = "http://file:1"\n')
    environment = {"RLX_ACQUIRE_PARTS": "5", "AWS_ENDPOINT_URL": "http://aws:1", "AWS_PROFILE": "work"}
    settings = acquisition_settings(file, environment, {"region": "x"})
    assert (settings.parts, settings.endpoint, settings.region, settings.profile) == (
        5, "http://file:1", "x", "work",
    )  # fmt: skip
    assert acquisition_settings(None, environment).endpoint == "http://aws:1"
    with pytest.raises(OptionError, match="Did you mean RLX_ACQUIRE_PARTS"):
        acquisition_settings(None, {"RLX_ACQUIRE_PART": "5"})


@pytest.mark.parametrize(
    ("endpoint", "how", "is_checked"),
    [
        ("", "auto", False),
        ("https://minio.example", "auto", False),
        ("http://127.0.0.1:9000", "auto", False),
        ("http://minio.example", "auto", True),
        ("", "always", True),
        ("http://minio.example", "never", False),
    ],
)
def test_tags_are_checked_where_the_way_protects_nothing(endpoint: str, how: str, is_checked: bool) -> None:
    assert checks_md5(acquisition_settings(None, {}, {"endpoint": endpoint, "check_md5": how})) is is_checked
