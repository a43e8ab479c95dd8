"""The parameter file: complete by default, strict in its keys, and told in full by its example."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.simulation.lob.episode_kinds import KINDS, Iceberg, QuoteStuffing
from rlx_datapipe.simulation.lob.market import LobMarket
from rlx_datapipe.simulation.lob.parameters import MarketParameters, load_parameters, to_parameters

EXAMPLE = Path(__file__).parents[3] / "docs" / "market.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "market.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_is_the_default_market(tmp_path: Path) -> None:
    assert load_parameters(written(tmp_path, "")) == MarketParameters()


def test_what_is_told_is_taken(tmp_path: Path) -> None:
    text = """
    seed = 99
    venue = "binance-usdm"
    [flow]
    speed = 2.5
    [flow.branching.market]
    market = [0.1, 0.2]
    [[episodes]]
    kind = "quote_stuffing"
    at_s = 4
    factor = 3.0
    [[episodes]]
    kind = "iceberg"
    at_s = 1.5
    """
    parameters = load_parameters(written(tmp_path, text))
    assert (parameters.seed, parameters.venue, parameters.flow.speed) == (99, "binance-usdm", 2.5)
    assert parameters.flow.branching.market.market == (0.1, 0.2)
    assert parameters.flow.branching.limit == MarketParameters().flow.branching.limit
    assert parameters.episodes == (QuoteStuffing(at_s=4.0, factor=3.0), Iceberg(at_s=1.5))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sped = 3", "sped is no key"),
        ("[flow]\nsped = 3", "flow.sped is no key"),
        ("[[episodes]]\nkind = 'spoofing'\nhold = 3", r"episodes\[0\]\.hold is no key"),
        ("[[episodes]]\nkind = 'spoof'", r"episodes\[0\]\.kind: 'spoof' is no choice here"),
        ("[[episodes]]\nat_s = 3", r"episodes\[0\]: the key kind is missing"),
        ("seed = -1", "seed: expected a whole number of at least 0"),
        ("duration_s = 0", "duration_s: expected a whole number of at least 1"),
        ("[flow]\nspeed = 0.0", "flow.speed: expected a number"),
        ("seed = ", "can't read the market"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(OptionError, match=sentence) as caught:
        load_parameters(file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="No such file"):
        load_parameters(tmp_path / "none.toml")


def test_the_example_tells_every_key_with_its_default() -> None:
    """Only what the example is there to show differs: its episodes."""
    told = tomllib.loads(EXAMPLE.read_text("utf-8"))
    episodes = told.pop("episodes")
    assert msgspec.to_builtins(to_parameters(told)) == msgspec.to_builtins(MarketParameters())
    assert _keys(told) == _keys(msgspec.to_builtins(MarketParameters())) - {"episodes"}
    assert {episode["kind"] for episode in episodes} == set(KINDS)
    for episode in episodes:
        kind = KINDS[episode["kind"]]
        assert set(episode) == {field.name for field in msgspec.structs.fields(kind)} | {"kind"}
    LobMarket(to_parameters(told | {"episodes": episodes}))


def test_every_key_of_the_example_has_a_comment() -> None:
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if "=" in line.partition("#")[0]:
            assert line.partition("#")[2].strip(), line


def _keys(table: dict[str, Any]) -> set[str]:
    found = set(table)
    for name, value in table.items():
        if isinstance(value, dict):
            found |= {f"{name}.{key}" for key in _keys(value)}
    return found
