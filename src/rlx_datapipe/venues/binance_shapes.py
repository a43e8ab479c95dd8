"""The shapes in which Binance spells its usual messages, to the byte, as programs for the kernel."""

from __future__ import annotations

import itertools
import re
from enum import IntEnum
from functools import cache
from typing import NamedTuple

import numpy as np

from rlx_datapipe.core.event import Int64Array
from rlx_datapipe.core.sequence import Link


class Op(IntEnum):
    """One step of a shape: what the next bytes of a message must be."""

    END = 0
    """The message ends here."""
    LITERAL = 1
    """The very bytes; argument: how many. They stand in the words that follow, eight in each."""
    SYMBOL = 2
    """The symbol of the instrument, in any spelling."""
    WORD = 3
    """ASCII letters, digits and low lines, at least one: another name that says nothing."""
    SPEED = 4
    """Nothing, or ``@`` and a number of milliseconds: the rest of the name of a depth stream."""
    WHOLE = 5
    """A whole number; argument: its slot."""
    TIME = 6
    """A time in ms or µs, in range, kept in ns; argument: its slot."""
    TRUTH = 7
    """``true`` or ``false``, kept as 1 or 0; argument: its slot."""
    PRICE = 8
    """A decimal number at the scale of the prices; argument: its slot."""
    QUANTITY = 9
    """A decimal number at the scale of the quantities; argument: its slot."""
    LEVELS = 10
    """A list of levels; argument: the slot for where they stop."""


class Slot(IntEnum):
    """Rows of the record of a message; levels lie between three places in an array of their own."""

    KIND = 0
    TIME = 1
    UPDATE_ID = 2
    FIRST_ID = 3
    PREVIOUS_ID = 4
    TRADE_ID = 5
    SIDE = 6
    PRICE = 7
    QUANTITY = 8
    BID_PRICE = 9
    BID_QUANTITY = 10
    ASK_PRICE = 11
    ASK_QUANTITY = 12
    LEVELS_FROM = 13
    BIDS_TO = 14
    LEVELS_TO = 15
    SPARE = 16
    """What is read for its form alone."""


SLOTS = len(Slot)


class Shape(IntEnum):
    """Kind of a message, as in the slot KIND; a message of no shape has REFUSED."""

    REFUSED = -1
    DEPTH = 0
    SNAPSHOT = 1
    TRADE = 2
    AGGREGATE = 3
    TICKER = 4


_FIELDS: dict[str, tuple[Op, Slot]] = {
    "symbol": (Op.SYMBOL, Slot.SPARE),
    "word": (Op.WORD, Slot.SPARE),
    "speed": (Op.SPEED, Slot.SPARE),
    "whole": (Op.WHOLE, Slot.SPARE),
    "truth": (Op.TRUTH, Slot.SPARE),
    "time": (Op.TIME, Slot.TIME),
    "id": (Op.WHOLE, Slot.UPDATE_ID),
    "first": (Op.WHOLE, Slot.FIRST_ID),
    "previous": (Op.WHOLE, Slot.PREVIOUS_ID),
    "trade": (Op.WHOLE, Slot.TRADE_ID),
    "sold": (Op.TRUTH, Slot.SIDE),
    "price": (Op.PRICE, Slot.PRICE),
    "quantity": (Op.QUANTITY, Slot.QUANTITY),
    "bid": (Op.PRICE, Slot.BID_PRICE),
    "bids at best": (Op.QUANTITY, Slot.BID_QUANTITY),
    "ask": (Op.PRICE, Slot.ASK_PRICE),
    "asks at best": (Op.QUANTITY, Slot.ASK_QUANTITY),
    "bids": (Op.LEVELS, Slot.BIDS_TO),
    "asks": (Op.LEVELS, Slot.LEVELS_TO),
}

_STREAMS = {
    Shape.DEPTH: "depth<speed>",
    Shape.TRADE: "trade",
    Shape.AGGREGATE: "aggTrade",
    Shape.TICKER: "bookTicker",
}
_BEST = '"b":"<bid>","B":"<bids at best>","a":"<ask>","A":"<asks at best>"'
_SPOT = {
    # What stands in square brackets may be left out.
    Shape.TICKER: ['{"u":<id>,"s":"<symbol>",' + _BEST + "}"],
    Shape.TRADE: [
        '{"e":"trade","E":<whole>,"s":"<symbol>","t":<trade>,"p":"<price>","q":"<quantity>",'
        '["b":<whole>,"a":<whole>,]"T":<time>,"m":<sold>,"M":<truth>}'
    ],
    Shape.DEPTH: [
        '{"e":"depthUpdate","E":<time>,"s":"<symbol>","U":<first>,"u":<id>,"b":<bids>,"a":<asks>}',
    ],
    Shape.AGGREGATE: [
        '{"e":"aggTrade","E":<whole>,"s":"<symbol>","a":<trade>,"p":"<price>","q":"<quantity>",'
        '"f":<whole>,"l":<whole>,"T":<time>,"m":<sold>,"M":<truth>}'
    ],
    Shape.SNAPSHOT: ['{"lastUpdateId":<id>,"bids":<bids>,"asks":<asks>}'],
}
_FUTURES = {
    Shape.TICKER: [
        '{"e":"bookTicker","u":<id>,"s":"<symbol>",' + _BEST + ',"T":<time>,"E":<whole>}',
        '{"u":<id>,"e":"bookTicker","s":"<symbol>","ps":"<word>",' + _BEST + ',"T":<time>,"E":<whole>}',
    ],
    Shape.TRADE: [
        '{"e":"trade","E":<whole>,"T":<time>,"s":"<symbol>","t":<trade>,"p":"<price>","q":"<quantity>",'
        '"X":"MARKET","m":<sold>}'
    ],
    Shape.DEPTH: [
        '{"e":"depthUpdate","E":<whole>,"T":<time>,"s":"<symbol>",["ps":"<word>",]"U":<first>,"u":<id>,'
        '"pu":<previous>,"b":<bids>,"a":<asks>}'
    ],
    Shape.AGGREGATE: [
        '{"e":"aggTrade","E":<whole>,"a":<trade>,"s":"<symbol>","p":"<price>","q":"<quantity>",'
        '"f":<whole>,"l":<whole>,"T":<time>,"m":<sold>}'
    ],
    Shape.SNAPSHOT: [
        '{"lastUpdateId":<id>,"E":<whole>,"T":<time>,["symbol":"<symbol>","pair":"<word>",]'
        '"bids":<bids>,"asks":<asks>}'
    ],
}
_SHAPES = {Link.FIRST_ID: _SPOT, Link.PREVIOUS_ID: _FUTURES}
_WORD_BYTES = 8


class Programs(NamedTuple):
    """All shapes of a market, one behind the other.

    ``steps`` are the words of the programs, int64 of shape (m,); ``firsts`` where each program starts and
    ``kinds`` the `Shape` of its messages, int64 of shape (k,).
    """

    steps: Int64Array
    firsts: Int64Array
    kinds: Int64Array


@cache
def programs(link: Link) -> Programs:
    """The shapes of the markets whose depth updates are linked so: spot by first ids, futures by previous.

    Each message may stand by itself or in the frame of a combined stream.
    """
    steps: list[int] = []
    firsts: list[int] = []
    kinds: list[int] = []
    framed = [(kind, spelled, _STREAMS.get(kind)) for kind, all_ in _SHAPES[link].items() for spelled in all_]
    for is_framed, (kind, spelled, stream) in itertools.product((True, False), framed):
        if is_framed and stream is None:
            continue
        text = f'{{"stream":"<symbol>@{stream}","data":{spelled}}}' if is_framed else spelled
        for variant in _variants(text):
            firsts.append(len(steps))
            kinds.append(kind)
            steps += _compiled(variant)
    return Programs(np.array(steps), np.array(firsts), np.array(kinds))


def _variants(text: str) -> list[str]:
    """A shape with and without what may be left out."""
    found = re.search(r"\[(.*?)\]", text)
    if found is None:
        return [text]
    before, after = text[: found.start()], text[found.end() :]
    return _variants(before + after) + _variants(before + found[1] + after)


def _compiled(text: str) -> list[int]:
    steps: list[int] = []
    for number, part in enumerate(re.split("<(.*?)>", text)):
        if number % 2:
            steps += _FIELDS[part]
        elif part:
            raw = part.encode()
            steps += [Op.LITERAL, len(raw)]
            for at in range(0, len(raw), _WORD_BYTES):
                steps.append(int.from_bytes(raw[at : at + _WORD_BYTES], "little"))
    return [*map(int, steps), int(Op.END), 0]
