"""What a stretch of a capture was like is what a plain reading of its messages tells."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest

from rlx_datapipe.capture.measures import Measuring
from rlx_datapipe.core.feed import Frames
from rlx_datapipe.store.capture_market import Latency, Measures

START_NS = 1_723_161_253_000_000_000
SECOND = 1_000_000_000
MS = 1_000_000


def trade(number: int, price: str, quantity: str, time_ms: int, symbol: str = "BTCUSDT") -> bytes:
    return (
        f'{{"stream":"{symbol.lower()}@trade","data":{{"e":"trade","E":{time_ms},"s":"{symbol}","t":{number},'
        f'"p":"{price}","q":"{quantity}","T":{time_ms},"m":false,"M":true}}}}'
    ).encode()


def quote(number: int, bid: str, ask: str, symbol: str = "BTCUSDT") -> bytes:
    return (
        f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"u":{number},"s":"{symbol}",'
        f'"b":"{bid}","B":"1.0","a":"{ask}","A":"2.0"}}}}'
    ).encode()


def told(messages: list[tuple[int, bytes]], format: str = "binance-spot") -> dict[str, Measures]:
    """Measured at once; and by parts, which must not change anything."""
    whole, by_parts = Measuring(format), Measuring(format)
    whole.add(frames_of(messages))
    for message in messages:
        by_parts.add(frames_of([message]))
    assert whole.told() == by_parts.told()
    return whole.told()


def frames_of(messages: list[tuple[int, bytes]]) -> Frames:
    rows = range(1, len(messages) + 1)
    return Frames.of(rows, [ns for ns, _ in messages], [raw for _, raw in messages])


def test_volume_and_trades_are_by_the_second() -> None:
    messages = [
        (START_NS + at * SECOND, trade(at, "61837.60", quantity, START_NS // MS))
        for at, quantity in enumerate(["0.5", "1.25", "0.25"])
    ]
    measures = told(messages)["BTCUSDT"]
    assert (measures.trades, measures.duration_s, measures.volume_per_s) == (3, 2.0, 1.0)
    assert measures.spread_bps is None
    assert measures.volatility_bps is None


def test_the_spread_is_weighted_by_the_time_it_was_in_force() -> None:
    messages = [
        (START_NS, quote(1, "99", "101")),
        (START_NS + 3 * SECOND, quote(2, "98", "102")),
        (START_NS + 4 * SECOND, quote(3, "1", "199")),
    ]
    assert told(messages)["BTCUSDT"].spread_bps == pytest.approx((3 * 200 + 1 * 400) / 4)


def test_volatility_is_that_of_the_last_mid_price_of_each_second() -> None:
    mids = [100.0, 101.0, 101.0, 99.0]
    messages = []
    for second, mid in enumerate(mids):
        if second != 2:  # a quiet second repeats the one before
            messages.append((START_NS + second * SECOND, quote(2 * second, "5", "7")))
            last = quote(2 * second + 1, str(mid - 1), str(mid + 1))
            messages.append((START_NS + second * SECOND + SECOND // 2, last))
    returns = [math.log(b / a) for a, b in itertools.pairwise(mids)]
    assert told(messages)["BTCUSDT"].volatility_bps == pytest.approx(1e4 * statistics.pstdev(returns))


def test_latency_is_that_of_messages_by_kind_and_may_be_negative() -> None:
    messages = [(START_NS + at * MS, trade(at, "1.0", "1", START_NS // MS + 5)) for at in range(4)]
    assert told(messages)["BTCUSDT"].latency == {"trade": Latency(4, -4.0, -2.0, -2.0)}


def test_each_symbol_is_measured_by_itself() -> None:
    messages = [
        (START_NS, trade(1, "1.0", "1", START_NS // MS)),
        (START_NS, trade(7, "1.0", "5", START_NS // MS, "ETHUSDT")),
        (START_NS + SECOND, trade(8, "1.0", "5", START_NS // MS, "ETHUSDT")),
    ]
    measures = told(messages)
    assert [(name, m.trades, m.volume_per_s) for name, m in measures.items()] == [
        ("BTCUSDT", 1, None),
        ("ETHUSDT", 2, 10.0),
    ]


def test_aggregated_trades_are_taken_where_there_are_no_others() -> None:
    single = trade(1, "1.0", "1", START_NS // MS)
    sums = single.replace(b"@trade", b"@aggTrade").replace(b'"e":"trade"', b'"e":"aggTrade"')
    sums = sums.replace(b'"t":1', b'"a":1,"f":1,"l":2').replace(b'"q":"1"', b'"q":"8"')
    for messages, volume in (([sums, sums], 16.0), ([sums, single], 1.0), ([single, sums], 1.0)):
        timed = [(START_NS + at * SECOND, message) for at, message in enumerate(messages)]
        assert told(timed)["BTCUSDT"].volume_per_s == volume


def test_clocks_that_step_back_and_messages_that_are_none_do_no_harm() -> None:
    messages = [
        (START_NS, b'{"stream":"!gap","data":{"from_id":1}}'),
        (START_NS, quote(1, "99", "101")),
        (START_NS - SECOND, quote(2, "98", "102")),
        (START_NS, b'{"stream":"btcusdt@trade","data":{"e":"trade"}}'),
    ]
    measures = told(messages)["BTCUSDT"]
    assert (measures.trades, measures.volume_per_s) == (0, None)
    assert measures.spread_bps is None
