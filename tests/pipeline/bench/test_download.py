"""`rlx bench download` tells of each way what it measured, and does not believe a way that brings less."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.pipeline.bench import download
from rlx_datapipe.pipeline.bench.download import BOTO3, OURS, PLAIN, SAME, SHAPES, Shape, Took
from rlx_datapipe.pipeline.bench.download_ways import Ways

TINY = (Shape("large files", 3, 300_000),)
FLOOR = {"sha256": 0.5, "crc32": 0.2, "write": 0.3}


def turn(ours: float, same: float) -> download.Turn:
    """A turn over a file of one GB."""
    return {
        OURS: Took(ours, 3.0, 1.0),
        SAME: Took(same, 0.5, 1.0),
        PLAIN: Took(2 * ours, 0.5, 1.0),
        BOTO3: Took(4 * ours, 2.0, 1.0),
    }


def test_each_way_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SHAPES", TINY)
    measured = download.measure(small(tmp_path))
    (figure,) = named(measured.figures).values()
    assert set(figure.detail["mb_s"]) == set(figure.detail["cpu_s_a_gb"]) == {OURS, SAME, PLAIN, BOTO3}
    assert set(figure.detail["ratio_to"]) == {SAME, PLAIN, BOTO3}
    assert set(figure.detail["floor_cpu_s_a_gb"]) == {"sha256", "crc32", "write", "receive"}
    assert measured.told["ratio_to_same_requests"] == figure.ratio
    assert 0 < figure.detail["ratio_that_processors_allow"] <= 1


@pytest.mark.parametrize(("seconds", "is_met"), [([2.0, 1.1, 0.9], False), ([2.0, 1.0, 0.9], True)])
def test_the_target_is_the_server_in_the_middle_of_turns(
    seconds: list[float], is_met: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "cores", lambda: 2)
    shape = Shape(SHAPES[0].name, 1, 10**9)
    figure = download._figure(shape, [turn(each, 1.0) for each in seconds], FLOOR)
    assert figure.is_met is is_met
    # Two cores, of which 1 s of the server and 1.5 s of ours are needed for what comes in 1 s.
    assert figure.detail["ratio_that_processors_allow"] == pytest.approx(2 / 2.5)
    assert figure.detail["ratio_to"][PLAIN] == pytest.approx(2.0)
    assert figure.detail["cores_used"][SAME] == pytest.approx(1.5)


def test_a_way_that_brings_less_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SHAPES", TINY)
    monkeypatch.setattr(Ways, "plain_client", lambda _: 899_999)
    with pytest.raises(OptionError, match="another number of bytes"):
        download.measure(small(tmp_path))
