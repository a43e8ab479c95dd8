"""An instrument has a scale that int64 can hold, and its symbol one meaning in every spelling."""

from __future__ import annotations

import pytest

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.instrument import Instrument, same_symbol


@pytest.mark.parametrize("wrong", [{"price_decimals": 19}, {"quantity_decimals": -1}, {"price_step": 0}])
def test_a_scale_or_step_out_of_range_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        Instrument("X", "Y", **wrong)


def test_the_ends_of_the_scale_are_allowed() -> None:
    assert Instrument("X", "Y", 0, 18).quantity_decimals == 18


@pytest.mark.parametrize("spelling", ["BTC-USDT", "btcusdt", "BTC/USDT", "btc_usdt", "BTC:USDT", "BTC USDT"])
def test_a_symbol_is_the_same_in_every_spelling(spelling: str) -> None:
    assert same_symbol(spelling, "BTCUSDT")
    assert not same_symbol(spelling, "BTCUSD")
    assert not same_symbol(spelling, "BTCUSDT1")
