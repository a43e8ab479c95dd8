"""Settings of a capture: the last word wins, and what is not understood is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rlx_datapipe.capture.settings import CaptureSettings, capture_settings
from rlx_datapipe.core.config import Settings, load_settings
from rlx_datapipe.core.errors import OptionError


def test_the_command_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "capture.toml"
    file.write_text('ws_url = "ws://a:1"\nage_s = 5\nhold_ms = 7\n')
    environment = {"RLX_CAPTURE_AGE_S": "6", "RLX_CAPTURE_HOLD_MS": "8", "RLX_WORKERS": "2"}
    found = capture_settings(file, environment, {"hold_ms": 9, "rest_url": None})
    assert (found.ws_url, found.age_s, found.hold_ms, found.rest_url) == ("ws://a:1", 6.0, 9, "")
    assert capture_settings(None, {}) == CaptureSettings()


def test_a_slip_of_the_pen_is_told(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="Did you mean RLX_CAPTURE_AGE_S"):
        capture_settings(None, {"RLX_CAPTURE_AGES": "6"})
    file = tmp_path / "capture.toml"
    file.write_text("agee_s = 5\n")
    with pytest.raises(OptionError, match="agee_s"):
        capture_settings(file, {})
    with pytest.raises(OptionError, match="can't read"):
        capture_settings(tmp_path / "none.toml", {})


def test_no_variable_of_a_capture_is_a_slip_of_the_pen_elsewhere() -> None:
    names = [field.name for field in msgspec.structs.fields(CaptureSettings)]
    environment = {f"RLX_CAPTURE_{name.upper()}": "1" for name in names}
    assert load_settings(None, environment) == Settings()


@pytest.mark.parametrize(
    ("name", "value"), [("age_s", 0), ("hold_ms", -1), ("weight_share", 1.5), ("open_s", "x")]
)
def test_a_value_without_meaning_is_refused(name: str, value: object) -> None:
    with pytest.raises(OptionError, match="bad setting"):
        capture_settings(None, {}, {name: value})
