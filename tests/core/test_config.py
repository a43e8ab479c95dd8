"""Settings come from defaults, file, environment and command line in turn; nothing unknown gets in."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rlx_datapipe.core.config import Settings, load_settings
from rlx_datapipe.core.errors import OptionError

NAMES = [field.name for field in msgspec.structs.fields(Settings)]
ALARMS = {"alarm_drift_ms", "alarm_gap_share", "alarm_best_price_error"}
NO_MATTER = {
    *("batch_rows", "threads", "queue_batches", "queue_low_percent", "throttle_ms", "flush_ms"),
    *("memory_mb", "memory_percent", "memory_max_mb", "queue_messages", "patience_ms", "stall_ms"),
    *ALARMS,
    *("tries_max", "skips_max", "restart_ms", "probe_ms", "drain_ms", "report_s"),
}


def test_what_is_given_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "rlx.toml"
    file.write_text("horizon_ms = 1\nsilence_ms = 2\nbooks_levels = 3\n")
    environment = {"RLX_SILENCE_MS": "20", "RLX_BOOKS_LEVELS": "30", "RLX_OTHER": "x", "SILENCE_MS": "9"}
    found = load_settings(file, environment, {"books_levels": 300, "horizon_ms": None})
    assert (found.horizon_ms, found.silence_ms, found.books_levels) == (1, 20, 300)
    assert found.epoch_events == Settings().epoch_events


def test_nothing_given_is_the_defaults() -> None:
    assert load_settings(None, {}) == Settings()


@pytest.mark.parametrize(
    "text",
    [
        "horizon = 1", "[table]\nx = 1", "horizon_ms = 0", "horizon_ms = -1", "horizon_ms = 1.5",
        "horizon_ms = true", "horizon_ms = 'ten'", "books_levels = 5001",
        "keyframe_events = 1e23", "horizon_ms = nan", "horizon_ms = ", "\x00",
    ],
)  # fmt: skip
def test_a_bad_file_gets_one_sentence(text: str, tmp_path: Path) -> None:
    file = tmp_path / "rlx.toml"
    file.write_text(text)
    with pytest.raises(OptionError) as caught:
        load_settings(file, {})
    assert "setting" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_absent_or_unreadable_file_gets_one_sentence(tmp_path: Path) -> None:
    for file in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(OptionError, match="can't read the settings"):
            load_settings(file, {})
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(OptionError, match="can't read the settings"):
        load_settings(binary, {})


def test_a_bad_variable_or_option_gets_one_sentence() -> None:
    with pytest.raises(OptionError, match=r"epoch_events.*RLX_EPOCH_EVENTS; found many"):
        load_settings(None, {"RLX_EPOCH_EVENTS": "many"})
    with pytest.raises(OptionError, match="bad setting: colour is no key"):
        load_settings(None, {}, {"colour": "red"})


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("_ms")])
def test_a_time_beyond_all_clocks_is_refused(name: str) -> None:
    """In nanoseconds it would not fit into int64."""
    with pytest.raises(OptionError, match=name):
        load_settings(None, {f"RLX_{name.upper()}": str(2**63 // 10**6 + 1)})


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_tells_settings_that_shape_the_output_and_no_others(name: str) -> None:
    changed = msgspec.structs.replace(Settings(), **{name: 7})
    assert (changed.digest() == Settings().digest()) == (name in NO_MATTER)
    assert changed.digest() == msgspec.structs.replace(changed, threads=9).digest()


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Settings().threads = 3  # type: ignore[misc]
