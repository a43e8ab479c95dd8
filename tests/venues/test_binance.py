"""Binance frames become events, quotes, kept messages or rejects, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.errors import OptionError
from rlx_datapipe.core.event import NONE, Field, Flag, Kind, Quote, Side
from rlx_datapipe.core.feed import Frames, Parsed, Reject
from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.sequence import Link
from rlx_datapipe.venues.binance import MARKETS, parse, probe, recognise

T_MS = 1_723_161_255_208
T_NS = T_MS * 1_000_000
SPOT, USDM, COINM = (MARKETS[f"binance-{name}"] for name in ("spot", "usdm", "coinm"))
BTC = Instrument("BINANCE", "BTC-USDT", price_decimals=2, quantity_decimals=3)


def depth(**changes: Any) -> dict[str, Any]:
    message = {"e": "depthUpdate", "E": T_MS, "s": "BTCUSDT", "U": 5, "u": 7}
    return {**message, "b": [["100.50", "1.5"], ["100", "0"]], "a": [["101.00", "2"]], **changes}


def futures_depth(**changes: Any) -> dict[str, Any]:
    return depth(**{"T": T_MS - 8, "pu": 4, **changes})


def trade(**changes: Any) -> dict[str, Any]:
    message = {"e": "trade", "E": T_MS + 1, "s": "BTCUSDT", "t": 9, "p": "100.5", "q": "0.02", "T": T_MS}
    return {**message, "m": True, "M": True, **changes}


def aggregate(**changes: Any) -> dict[str, Any]:
    message = {"e": "aggTrade", "E": T_MS, "s": "BTCUSDT", "a": 3, "p": "100.5", "q": "0.02", "f": 8, "l": 9}
    return {**message, "T": T_MS, "m": False, "M": True, **changes}


def ticker(**changes: Any) -> dict[str, Any]:
    return {"u": 8, "s": "BTCUSDT", "b": "100.50", "B": "1", "a": "101", "A": "2.125", **changes}


def snapshot(**changes: Any) -> dict[str, Any]:
    return {"lastUpdateId": 6, "bids": [["100", "1"], ["99", "2"]], "asks": [["101", "3"]], **changes}


def combined(message: Any, stream: str = "btcusdt@depth@100ms") -> bytes:
    return json.dumps({"stream": stream, "data": message}, separators=(",", ":")).encode()


def raw(message: Any) -> bytes:
    return json.dumps(message).encode()


def parsed(
    *payloads: bytes, market: Any = SPOT, trades: str = "trade", instrument: Instrument = BTC
) -> Parsed:
    count = len(payloads)
    frames = Frames.of(range(10, 10 + count), range(T_NS, T_NS + count), payloads)
    return parse(frames, "file.gz", instrument, market, trades)


def only_reject(*payloads: bytes, **options: Any) -> Reject:
    result = parsed(*payloads, **options)
    assert result.events.shape[1] == result.quotes.shape[1] == 0
    (reject,) = result.rejects
    assert reject.raw == payloads[0]
    assert (reject.file, reject.row) == ("file.gz", 10)
    return reject


class TestMarkets:
    def test_spot_links_by_first_id_and_futures_by_previous_id(self) -> None:
        facts = [(m.exchange, m.rule.link, m.rule.keeps_equal) for m in (SPOT, USDM, COINM)]
        assert facts == [
            ("BINANCE", Link.FIRST_ID, False),
            ("BINANCE_FUTURES", Link.PREVIOUS_ID, True),
            ("BINANCE_DELIVERY", Link.PREVIOUS_ID, True),
        ]


class TestRecognise:
    @pytest.mark.parametrize(
        ("message", "format_name"),
        [
            (depth(), "binance-spot"),
            (futures_depth(), "binance-usdm"),
            (futures_depth(ps="BTCUSDT", st=1), "binance-usdm"),
            (futures_depth(s="BTCUSDT_240927"), "binance-usdm"),
            (futures_depth(s="BTCUSD_PERP"), "binance-coinm"),
            (futures_depth(s="BTCUSD_240927"), "binance-coinm"),
            (trade(), "binance-spot"),
            (trade(X="MARKET"), "binance-usdm"),
            (aggregate(), "binance-spot"),
            ({k: v for k, v in aggregate().items() if k != "M"}, "binance-usdm"),
            (ticker(), "binance-spot"),
            (ticker(e="bookTicker", T=T_MS, E=T_MS), "binance-usdm"),
            (ticker(s="ETHUSD_PERP", e="bookTicker", T=T_MS, E=T_MS), "binance-coinm"),
            (snapshot(), "binance-spot"),
            (snapshot(E=T_MS, T=T_MS, symbol="BTCUSD_PERP"), "binance-coinm"),
        ],
    )
    def test_one_message_tells_its_market(self, message: dict[str, Any], format_name: str) -> None:
        assert recognise([raw(message)]) == format_name
        assert recognise([b"not json", raw({"result": None, "id": 1}), combined(message)]) == format_name

    def test_a_snapshot_without_times_decides_last(self) -> None:
        assert recognise([raw(snapshot()), raw(futures_depth())]) == "binance-usdm"

    def test_a_futures_snapshot_does_not_tell_which_futures(self) -> None:
        assert recognise([raw(snapshot(E=T_MS, T=T_MS))]) is None

    @pytest.mark.parametrize(
        "payload", [b"", b"{}", b"[1]", b"7", b'{"topic":"orderbook.50.BTCUSDT","data":{}}']
    )
    def test_what_is_not_binance_is_not_recognised(self, payload: bytes) -> None:
        assert recognise([payload]) is None


class TestProbe:
    def test_it_tells_decimals_extent_symbols_and_kinds(self) -> None:
        payloads = [
            raw(depth()),
            raw(snapshot(bids=[["20000.125000", "1"]])),
            raw(ticker()),
            raw({"id": 1}),
            b"x",
        ]
        found = probe(payloads, SPOT)
        assert found.exchange == "BINANCE"
        assert (found.price_decimals, found.quantity_decimals) == (3, 3)
        assert (found.price_largest, found.quantity_largest) == (20_000, 3)
        assert found.symbols == {"BTCUSDT": 2}
        assert found.kinds == {
            "depthUpdate": 1,
            "snapshot": 1,
            "bookTicker": 1,
            "unknown:unnamed": 1,
            "rejected": 1,
        }
        assert found.price_texts[:3] == ["100.50", "100", "101.00"]

    def test_values_that_no_scale_can_hold_are_left_out(self) -> None:
        odd = [["1" * 20, "1"], ["1." + "1" * 19, "1"], ["NaN", "1"], ["1_0", "1"], ["1.5", "1"]]
        found = probe([raw(depth(b=odd))], SPOT)
        assert (found.price_decimals, found.price_largest) == (1, 101)

    def test_the_sample_of_prices_is_bounded(self) -> None:
        many = [[str(n), "1"] for n in range(1, 10_000)]
        assert len(probe([raw(depth(b=many))], SPOT).price_texts) == 4096


class TestDepth:
    def test_each_level_is_one_event_with_bids_before_asks(self) -> None:
        events = parsed(combined(depth())).events
        assert events[Field.KIND].tolist() == [Kind.BOOK_DELTA] * 3
        assert events[Field.SIDE].tolist() == [Side.BID, Side.BID, Side.ASK]
        assert events[Field.PRICE].tolist() == [10_050, 10_000, 10_100]
        assert events[Field.QUANTITY].tolist() == [1_500, 0, 2_000]
        assert events[Field.MESSAGE].tolist() == [10] * 3
        assert events[Field.RECEIVED_TIME].tolist() == [T_NS] * 3
        assert events[Field.FLAGS].tolist() == [0] * 3
        assert set(events[Field.ORDER_TIME]) == set(events[Field.TRADE_ID]) == {NONE}

    def test_spot_has_no_previous_id_and_takes_the_event_time(self) -> None:
        event = parsed(raw(depth())).events[:, 0]
        ids = (event[Field.FIRST_ID], event[Field.UPDATE_ID], event[Field.PREVIOUS_ID])
        assert ids == (5, 7, NONE)
        assert event[Field.ORIGIN_TIME] == T_NS

    def test_futures_have_a_previous_id_and_take_the_transaction_time(self) -> None:
        event = parsed(combined(futures_depth()), market=USDM).events[:, 0]
        assert event[Field.PREVIOUS_ID] == 4
        assert event[Field.ORIGIN_TIME] == T_NS - 8_000_000

    def test_a_message_without_levels_is_one_event_without_a_price(self) -> None:
        events = parsed(raw(depth(b=[], a=[])), raw(depth())).events
        assert events.shape[1] == 4
        assert (events[[Field.SIDE, Field.PRICE, Field.QUANTITY], 0] == NONE).all()
        assert events[Field.FLAGS].tolist() == [Flag.EMPTY_GROUP, 0, 0, 0]
        assert events[Field.UPDATE_ID, 0] == 7

    def test_a_futures_delta_without_previous_id_is_rejected(self) -> None:
        reject = only_reject(raw(depth()), market=USDM)
        assert (reject.reason, reject.field) == ("field is missing", "pu")

    def test_a_futures_delta_in_a_spot_file_is_rejected(self) -> None:
        assert "futures" in only_reject(raw(futures_depth())).reason

    def test_a_first_id_above_the_last_is_rejected(self) -> None:
        reject = only_reject(raw(depth(U=8)))
        assert (reject.reason, reject.field, reject.found) == ("first id is above the last id 7", "U", "8")

    @pytest.mark.parametrize("stream", ["btcusdt@depth20@100ms", "btcusdt@depth5", "btcusdt@rpiDepth@500ms"])
    def test_books_of_another_kind_are_kept_apart(self, stream: str) -> None:
        result = parsed(combined(futures_depth(), stream), combined(snapshot(), stream), market=USDM)
        assert result.counts == {f"unknown:{stream.partition('@')[2]}": 2}
        assert not result.events.size


class TestSnapshot:
    def test_it_carries_the_last_update_id_and_no_time_on_spot(self) -> None:
        events = parsed(raw(snapshot())).events
        assert events[Field.KIND].tolist() == [Kind.BOOK_SNAPSHOT] * 3
        assert events[Field.SIDE].tolist() == [Side.BID, Side.BID, Side.ASK]
        assert set(events[Field.UPDATE_ID]) == {6}
        assert set(events[Field.ORIGIN_TIME]) == set(events[Field.FIRST_ID]) == {NONE}

    def test_futures_take_the_transaction_time(self) -> None:
        events = parsed(raw(snapshot(E=T_MS, T=T_MS - 8)), market=USDM).events
        assert set(events[Field.ORIGIN_TIME]) == {T_NS - 8_000_000}

    def test_a_quantity_of_zero_has_no_meaning_there(self) -> None:
        reject = only_reject(raw(snapshot(asks=[["101", "3"], ["102", "0.000"]])))
        assert (reject.reason, reject.field) == ("quantity must be positive", "asks[1].quantity")

    def test_it_may_come_within_a_capture_stream(self) -> None:
        assert parsed(combined(snapshot(), "btcusdt@depth")).counts == {"snapshot": 1}
        assert parsed(combined(snapshot(), "")).counts == {"snapshot": 1}


class TestTrades:
    @pytest.mark.parametrize(("maker_bought", "side"), [(False, Side.BID), (True, Side.ASK)])
    def test_side_is_the_aggressors(self, maker_bought: bool, side: Side) -> None:
        events = parsed(combined(trade(m=maker_bought), "btcusdt@trade")).events
        assert events[Field.SIDE].tolist() == [side]

    def test_its_fields(self) -> None:
        event = parsed(combined(trade(b=88, a=99), "btcusdt@trade")).events[:, 0]
        assert (event[Field.KIND], event[Field.TRADE_ID], event[Field.FLAGS]) == (Kind.TRADE, 9, 0)
        assert (event[Field.PRICE], event[Field.QUANTITY], event[Field.ORIGIN_TIME]) == (10_050, 20, T_NS)
        assert set(event[[Field.UPDATE_ID, Field.FIRST_ID, Field.PREVIOUS_ID]]) == {NONE}

    def test_only_market_trades_of_futures_are_unflagged(self) -> None:
        payloads = [combined(trade(X=kind), "btcusdt@trade") for kind in ("MARKET", "INSURANCE_FUND", "ADL")]
        flags = parsed(*payloads, market=USDM).events[Field.FLAGS].tolist()
        assert flags == [0, Flag.NOT_MARKET, Flag.NOT_MARKET]

    def test_one_kind_of_trade_is_taken_and_the_other_set_aside(self) -> None:
        payloads = (combined(trade(), "btcusdt@trade"), combined(aggregate(), "btcusdt@aggTrade"))
        single, summed = parsed(*payloads), parsed(*payloads, trades="aggTrade")
        assert single.events[Field.TRADE_ID].tolist() == [9]
        assert single.counts == {"trade": 1, "set aside:aggTrade": 1}
        assert summed.events[Field.TRADE_ID].tolist() == [3]
        assert summed.events[Field.FLAGS].tolist() == [Flag.AGGREGATE]
        assert summed.counts == {"aggTrade": 1, "set aside:trade": 1}

    def test_another_word_for_trades_is_refused(self) -> None:
        with pytest.raises(OptionError, match="trade or aggTrade"):
            parsed(trades="trades")

    def test_quantity_zero_is_rejected(self) -> None:
        reject = only_reject(raw(trade(q="0.000")))
        assert (reject.field, reject.found, reject.reason) == ("q", "0.000", "quantity must be positive")

    def test_the_futures_kind_that_says_nothing_is_kept(self) -> None:
        result = parsed(raw(trade(X="NA", p="0", q="0")), raw(trade(X="NA")), market=USDM)
        assert result.counts == {"trade": 1, "trade without price": 1}
        assert [kept.row for kept in result.kept] == [10]
        assert not result.rejects


class TestQuotes:
    def test_its_fields_and_no_time_on_spot(self) -> None:
        quotes = parsed(combined(ticker(), "btcusdt@bookTicker")).quotes
        assert quotes[:, 0].tolist() == [NONE, T_NS, 8, 10_050, 1_000, 10_100, 2_125, 10]

    def test_futures_take_the_transaction_time(self) -> None:
        quotes = parsed(combined(ticker(e="bookTicker", T=T_MS, E=T_MS + 1), "btcusdt@bookTicker")).quotes
        assert quotes[Quote.ORIGIN_TIME].tolist() == [T_NS]

    def test_an_empty_side_has_neither_price_nor_quantity(self) -> None:
        quotes = parsed(raw(ticker(b="0.00", B="0.000"))).quotes
        assert quotes[[Quote.BID_PRICE, Quote.BID_QUANTITY], 0].tolist() == [NONE, NONE]
        assert quotes[Quote.ASK_PRICE, 0] == 10_100

    @pytest.mark.parametrize(
        ("field", "reason"), [("a", "price must be positive"), ("A", "quantity must be positive")]
    )
    def test_half_an_empty_side_is_rejected(self, field: str, reason: str) -> None:
        reject = only_reject(raw(ticker(**{field: "0"})))
        assert (reject.field, reject.reason) == (field, reason)


class TestTime:
    def test_microseconds_and_milliseconds_are_told_apart(self) -> None:
        events = parsed(raw(trade(T=T_MS)), raw(trade(T=T_MS * 1000 + 7))).events
        assert events[Field.ORIGIN_TIME].tolist() == [T_NS, T_NS + 7_000]

    @pytest.mark.parametrize("time", [0, 1_483_228_799_999, 4_102_444_800_000, T_MS // 1000, T_NS])
    def test_a_time_outside_the_years_2017_to_2100_is_rejected(self, time: int) -> None:
        for payload in (trade(T=time), depth(E=time), ticker(T=time)):
            reject = only_reject(raw(payload))
            assert (reject.reason, reject.found) == ("time out of range", str(time))


class TestSymbol:
    @pytest.mark.parametrize("spelling", ["BTCUSDT", "btcusdt", "BTC-USDT", "BTC/USDT"])
    def test_spelling_does_not_matter(self, spelling: str) -> None:
        assert not parsed(combined(depth()), instrument=Instrument("BINANCE", spelling, 2, 3)).rejects

    @pytest.mark.parametrize(
        "payload",
        [
            combined(depth(s="ETHUSDT")),
            combined(depth(), "ethusdt@depth"),
            raw(trade(s="ETHUSDT")),
            raw(ticker(s="ETHUSDT")),
            raw(snapshot(symbol="ETHUSDT")),
        ],
    )
    def test_another_symbol_is_rejected(self, payload: bytes) -> None:
        assert only_reject(payload).reason.upper() == "SYMBOL ETHUSDT IN A FILE OF BTC-USDT"

    def test_a_stranger_between_two_good_messages_takes_nothing_with_it(self) -> None:
        result = parsed(combined(depth()), combined(depth(s="ETHUSDT")), combined(depth()))
        assert result.events[Field.MESSAGE].tolist() == [10] * 3 + [12] * 3
        assert [reject.row for reject in result.rejects] == [11]


class TestNumbers:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("NaN", "not a plain decimal"),
            ("Infinity", "not a plain decimal"),
            ("1e5", "not a plain decimal"),
            ("\u0661\u0662", "not a plain decimal"),
            ("1_000", "not a plain decimal"),
            (" 1", "not a plain decimal"),
            ("", "not a plain decimal"),
            ("-1", "negative"),
            ("1.005", "more decimals"),
            ("92233720368547758.08", "too large"),
            ("0.00", "price must be positive"),
        ],
    )
    def test_one_bad_price_rejects_the_whole_message(self, text: str, reason: str) -> None:
        levels = [["100", "1"], ["99", "1"], ["98", "1"], [text, "1"], ["-5", "-5"]]
        reject = only_reject(raw(depth(b=levels)))
        assert (reject.field, reject.found) == ("b[3].price", text)
        assert reason in reject.reason
        assert only_reject(raw(trade(p=text))).field == "p"
        assert only_reject(raw(snapshot(asks=levels))).field == "asks[3].price"

    def test_asks_are_numbered_from_zero_also_behind_empty_messages(self) -> None:
        result = parsed(raw(depth(b=[], a=[])), raw(depth(a=[["101", "1"], ["102", "x"]])))
        assert [(r.row, r.field, r.found) for r in result.rejects] == [(11, "a[1].quantity", "x")]
        assert result.counts == {"depthUpdate": 1}

    @pytest.mark.parametrize("number", [100, 100.5])
    def test_a_json_number_is_no_price(self, number: float) -> None:
        for payload, field in (
            (combined(depth(a=[["1", "1"], [number, "1"]])), "a[1].price"),
            (combined(trade(q=number), "btcusdt@trade"), "q"),
            (combined(ticker(B=number), "btcusdt@bookTicker"), "B"),
        ):
            reject = only_reject(payload)
            assert reject.reason == "a JSON number where a string is due"
            assert (reject.field, reject.found) == (field, str(number))

    def test_what_is_found_is_cut(self) -> None:
        assert len(only_reject(raw(trade(p="9" * 10_000))).found) == 80

    @pytest.mark.parametrize("number", [-1, 2**63, 10**40, 1.5, "7", None])
    def test_an_id_is_a_whole_number_from_zero_to_int64(self, number: Any) -> None:
        for payload, field in (
            (depth(u=number), "u"),
            (trade(t=number), "t"),
            (snapshot(lastUpdateId=number), ""),
        ):
            reject = only_reject(raw(payload))
            assert reject.field == (field or "lastUpdateId")

    def test_the_largest_id_passes(self) -> None:
        assert parsed(raw(depth(u=2**63 - 1))).events[Field.UPDATE_ID, 0] == 2**63 - 1

    def test_a_missing_field_is_named(self) -> None:
        message = depth()
        del message["u"]
        reject = only_reject(combined(message))
        assert (reject.reason, reject.field) == ("field is missing", "u")


class TestMalformed:
    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"{",
            combined(depth())[:-2],
            combined(depth()) + b"}",
            b"\xef\xbb\xbf" + raw(depth()),
            raw(depth()).replace(b'"BTCUSDT"', b'"\\ud800"'),
            raw(depth()).replace(b'"BTCUSDT"', b'"\xff"'),
            raw(depth()).replace(b'"100.50"', b"NaN"),
            raw(depth()).replace(b'"100.50"', b"Infinity"),
            raw(depth()).replace(b"}", b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
            b"[" * 100_000,
            b'{"stream":"btcusdt@depth","data":' + b"[" * 100_000,
            b'{"stream":7,"data":{}}',
            b'{"e":7}',
            b"7",
            b"null",
            b'"text"',
            raw(depth(b="1")),
            raw(depth(b=[["1"]])),
            raw(depth(b=[["1", "2", "3"]])),
            raw(depth(b=None)),
            raw(trade(m=1)),
        ],
    )
    def test_it_is_rejected_with_its_bytes(self, payload: bytes) -> None:
        assert only_reject(payload).reason

    def test_of_duplicate_keys_the_last_counts(self) -> None:
        payload = raw(depth()).replace(b'"u": 7', b'"u": 6, "u": 7')
        assert parsed(payload).events[Field.UPDATE_ID, 0] == 7

    def test_new_fields_are_ignored(self) -> None:
        assert parsed(combined(futures_depth(st=1, ps="BTCUSDT", new={"x": []})), market=USDM).counts

    @given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([raw(depth()), combined(trade())]))))
    def test_every_frame_is_counted_once_whatever_it_holds(self, payloads: list[bytes]) -> None:
        result = parsed(*payloads)
        assert result.counts.total() + len(result.rejects) == len(payloads)

    @given(st.data())
    def test_a_damaged_byte_never_raises(self, data: st.DataObject) -> None:
        good = data.draw(st.sampled_from([combined(depth()), raw(trade()), raw(ticker()), raw(snapshot())]))
        at = data.draw(st.integers(0, len(good) - 1))
        bad = good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
        result = parsed(bad)
        assert result.counts.total() + len(result.rejects) == 1


class TestUnknown:
    @pytest.mark.parametrize(
        ("payload", "name"),
        [
            (raw({"result": None, "id": 1}), "answer"),
            (raw({"error": {"code": 2, "msg": "x"}, "id": 1}), "error"),
            (raw({"code": -1121, "msg": "Invalid symbol."}), "error"),
            (combined({"e": "serverShutdown", "E": T_MS}, "!serverShutdown"), "serverShutdown"),
            (combined({"e": "kline", "s": "BTCUSDT", "k": {}}, "btcusdt@kline_1m"), "kline"),
            (combined([{"e": "24hrTicker"}], "!ticker@arr"), "!ticker@arr"),
            (raw([]), "array"),
            (raw({}), "unnamed"),
        ],
    )
    def test_it_is_kept_and_counted_by_name(self, payload: bytes, name: str) -> None:
        result = parsed(payload)
        assert result.counts == {f"unknown:{name}": 1}
        assert not result.rejects
        assert result.kept == [Reject("file.gz", 10, "unknown message type", raw=payload)]


class TestOrder:
    def test_events_and_quotes_keep_their_order_of_arrival(self) -> None:
        payloads = [combined(trade()), raw(snapshot()), combined(depth()), raw(ticker()), combined(trade())]
        result = parsed(*payloads)
        assert result.events[Field.MESSAGE].tolist() == [10, 11, 11, 11, 12, 12, 12, 14]
        assert result.quotes[Quote.MESSAGE].tolist() == [13]

    def test_nothing_gives_nothing(self) -> None:
        result = parsed()
        assert result.events.shape[1] == result.quotes.shape[1] == 0
