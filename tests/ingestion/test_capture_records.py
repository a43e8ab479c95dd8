"""What a capture says of itself becomes records and rejects; nothing else is taken out of the messages."""

from __future__ import annotations

import base64

import pytest

from rlx_datapipe.core.feed import Frames, Parsed
from rlx_datapipe.ingestion.capture_records import take_out

NS = 1_723_161_253_937_085_768
TRADE = b'{"stream":"btcusdt@trade","data":{"e":"trade"}}'


def taken(*payloads: bytes, symbol: str = "BTCUSDT") -> tuple[list[bytes], Parsed]:
    frames = Frames.of(range(1, len(payloads) + 1), [NS] * len(payloads), payloads)
    rest, said = take_out(frames, "file", symbol)
    return rest.payloads(), said


def gap(stream: str | None, first: int | None, last: int | None) -> bytes:
    told = [
        f'"{stream}"' if stream else "null",
        *("null" if one is None else str(one) for one in (first, last)),
    ]
    data = '{"stream":%s,"from_id":%s,"to_id":%s,"reason":"reconnect"}' % tuple(told)  # noqa: UP031
    return b'{"stream":"!gap","data":' + data.encode() + b"}"


def test_a_gap_tells_what_is_missing_and_why() -> None:
    rest, said = taken(TRADE, gap("btcusdt@trade", 10, 12), TRADE)
    assert rest == [TRADE, TRADE]
    (record,) = said.records
    assert (record.kind, record.severity, record.from_time) == ("capture_gap", "warn", NS)
    assert record.measures == {"count": 3, "expected_id": 10, "found_id": 13}
    assert record.detail == "the capture lacks ids 10 to 12 of btcusdt@trade: reconnect"
    assert said.counts == {"capture:gap": 1}


@pytest.mark.parametrize(
    ("stream", "is_told"), [("btcusdt@depth@100ms", True), ("ethusdt@trade", False), (None, True)]
)
def test_a_gap_of_another_symbol_is_only_counted(stream: str | None, is_told: bool) -> None:
    _, said = taken(gap(stream, None, None))
    assert [record.measures for record in said.records] == [{}] * is_told
    assert said.counts == {"capture:gap": 1}


def test_connections_are_boundaries_and_notes_are_counted() -> None:
    rest, said = taken(
        b'{"stream":"!open","data":{"url":"wss://x","streams":["btcusdt@trade"]}}',
        b'{"stream":"!note","data":{"kind":"clock","offset_ns":5}}',
        b'{"stream":"!close","data":{"reason":"24 hours"}}',
    )
    assert rest == []
    assert [(record.kind, record.detail) for record in said.records] == [
        ("capture_boundary", "a connection opened: wss://x"),
        ("capture_boundary", "a connection closed: 24 hours"),
    ]
    assert said.counts == {"capture:open": 1, "capture:note": 1, "capture:close": 1}


def test_what_is_no_message_is_rejected_with_its_bytes() -> None:
    raw = b"\xff{not json"
    rest, said = taken(TRADE, b'{"stream":"!raw","data":"' + base64.b64encode(raw) + b'"}')
    assert rest == [TRADE]
    (reject,) = said.rejects
    assert (reject.row, reject.raw) == (2, raw)


@pytest.mark.parametrize(
    ("raw", "is_granted"),
    [
        (b'{"result":null,"id":1}', True),
        (b'{"id": 7, "result": null}', True),
        (b'{"result":null,"id":1,"x":2}', False),
        (b'{"error":{"code":2,"msg":"Invalid request"},"id":1}', False),
        (b'{"result":["btcusdt@trade"],"id":1}', False),
    ],
)
def test_a_request_that_was_granted_is_no_message_that_could_not_be_read(
    raw: bytes, is_granted: bool
) -> None:
    rest, said = taken(b'{"stream":"!raw","data":"' + base64.b64encode(raw) + b'"}', TRADE)
    assert rest == [TRADE]
    assert [reject.raw for reject in said.rejects] == [raw] * (not is_granted)
    assert said.counts == ({"capture:answer": 1} if is_granted else {})


@pytest.mark.parametrize(
    "payload",
    [
        b'{"stream":"!ticker@arr","data":[]}',
        b'{"stream":"!gap","data":[1]}',
        b'{"stream":"!gap","data":',
        b'{"stream":"!raw","data":"no base64 \xc3\xa4"}',
        b'{"stream":"!raw","data":{}}',
        b'{"stream":"!later","data":{}}',
        b'{"stream":"' + b"[" * 50,
        b"{}",
    ],
)
def test_what_is_not_ours_stays_among_the_messages(payload: bytes) -> None:
    rest, said = taken(payload)
    assert rest == [payload]
    assert said == Parsed(said.events, said.quotes)
