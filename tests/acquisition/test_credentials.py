"""Credentials are found where AWS's own tools look, and shown nowhere."""

from __future__ import annotations

import copy
import pickle
import traceback
from pathlib import Path

import pytest

from rlx_datapipe.acquisition.credentials import Credentials, find_credentials
from rlx_datapipe.acquisition.settings import AcquisitionSettings, acquisition_settings
from rlx_datapipe.core.errors import OptionError

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT1", "AWS_SECRET_ACCESS_KEY": "secret of the environment"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = AKIADEFAULT00001\naws_secret_access_key = secret of default\n"
        "[work]\naws_access_key_id = AKIAWORK00000001\naws_secret_access_key = s\naws_session_token = t\n"
    )
    (folder / "config").write_text(
        "[profile role]\nrole_arn = arn:aws:iam::1:role/x\n[profile plain]\nregion = x\n"
    )
    return tmp_path


def found(home: Path, environment: dict[str, str], **given: object) -> Credentials:
    settings = acquisition_settings(None, environment, given)
    return find_credentials(settings, environment, home=home)


def test_they_are_looked_for_in_the_order_of_awss_tools(home: Path) -> None:
    assert found(home, ENVIRONMENT).found == "environment"
    assert found(home, {}).found == f"profile default of {home}/.aws/credentials"
    work = found(home, ENVIRONMENT, profile="work")
    assert (work.shown, work.is_temporary) == ("...0001", True)
    assert found(home, ENVIRONMENT | {"AWS_PROFILE": "work"}).shown == "...0001"
    assert found(home, ENVIRONMENT, anonymous=True).is_anonymous
    assert work.revealed()["token"] == "t"  # noqa: S105


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("role", r"holds no key itself \(profile role; found role_arn\).*export-credentials"),
        ("plain", r"no such profile with a key \(profile plain; found default, work, role, plain\)"),
        ("none", "no such profile with a key"),
    ],
)
def test_a_profile_that_can_not_serve_is_told(home: Path, profile: str, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        found(home, ENVIRONMENT, profile=profile)


def test_none_at_all_are_told(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no credentials were found.*AWS_ACCESS_KEY_ID.*--sample"):
        found(tmp_path, {})


def test_a_secret_is_never_shown_nor_copied(home: Path) -> None:
    one = found(home, ENVIRONMENT)
    secret = ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]
    assert secret not in repr(one) + str(one) + f"{one}"
    for attempt in (lambda: pickle.dumps(one), lambda: copy.copy(one), lambda: copy.deepcopy(one)):
        with pytest.raises(TypeError, match="not to be pickled or copied"):
            attempt()


def test_a_broken_file_is_told_without_a_line_of_it(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("aws_secret_access_key = very secret\n")
    with pytest.raises(OptionError, match="can't be read as a file of profiles") as caught:
        found(tmp_path, {})
    told = "".join(traceback.format_exception(caught.value))
    assert "very secret" not in told


def test_no_setting_takes_a_key() -> None:
    for name in ("access_key_id", "secret_access_key", "session_token"):
        assert name not in AcquisitionSettings.__struct_fields__
        with pytest.raises(OptionError, match="no such setting"):
            acquisition_settings(None, {f"RLX_ACQUIRE_{name.upper()}": "x"})
