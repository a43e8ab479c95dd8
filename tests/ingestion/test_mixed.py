"""A recording of several symbols: each chain gets its own messages, and what may be anyone's."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.feed import Frames, Reject
from rlx_datapipe.ingestion.mixed import Taken, share_out

HELD = ("BTCUSDT", "ETHUSDT")
PAYLOADS = {
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","s":"BTCUSDT"}}': "BTCUSDT",
    b'{"e":"trade","E":1,"s":"BTCUSDT","t":5}': "BTCUSDT",
    b'{"u":7,"s":"ETHUSDT","b":"1","B":"1","a":"2","A":"1"}': "ETHUSDT",
    b'{"stream":"ethusdt@depth@snapshot","data":{"lastUpdateId":1,"bids":[],"asks":[]}}': "ETHUSDT",
    b'{"stream":"xrpusdt@trade","data":{"s":"XRPUSDT"}}': "all",
    b'{"stream":"!ticker@arr","data":[]}': "all",
    b'{"result":null,"id":1}': "all",
    b'{"broken': "all",
    b'{"lastUpdateId":1,"bids":[],"asks":[]}': "none",
}


def taken(payloads: Sequence[bytes], rejects: Sequence[Reject] = ()) -> Taken:
    rows = list(range(1, len(payloads) + 1))
    return Taken(Frames.of(rows, [row * 10 for row in rows], payloads), list(rejects), 99, 1234)


@given(st.lists(st.sampled_from(sorted(PAYLOADS)), max_size=30))
def test_each_message_goes_home(payloads: list[bytes]) -> None:
    shares = share_out(taken(payloads), HELD, "mixed")
    for symbol in HELD:
        rows = [row for row, p in enumerate(payloads, 1) if PAYLOADS[p] in (symbol, "all")]
        share = shares[symbol]
        assert share.frames.rows.tolist() == rows
        assert share.frames.received.tolist() == [row * 10 for row in rows]
        assert share.frames.payloads() == [payloads[row - 1] for row in rows]
        assert [r.row for r in share.rejects] == [
            row for row, p in enumerate(payloads, 1) if PAYLOADS[p] == "none"
        ]
        assert len(share.frames.rows) + len(share.rejects) + share.elsewhere == len(payloads)
        assert (share.row, share.consumed) == (99, 1234)


def test_a_line_that_could_not_be_read_is_told_to_all() -> None:
    reject = Reject("mixed", 1, "not valid UTF-8")
    shares = share_out(taken([], [reject]), HELD, "mixed")
    assert [share.rejects for share in shares.values()] == [[reject], [reject]]
    assert shares["BTCUSDT"].rejects is not shares["ETHUSDT"].rejects
