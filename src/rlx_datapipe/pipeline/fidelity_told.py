"""What a reconstruction orders of the process that reports on it, and its answer: one JSON object a line."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.core.paths import path_as_text, text_as_path

PROGRAM = (sys.executable, "-m", "rlx_datapipe.pipeline.fidelity_child")
FORMATS = ("html", "md", "json")


class Part(msgspec.Struct, frozen=True):
    """A chain, finished or not, from a time on."""

    instrument: Instrument
    since_ns: int = 0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be reported on: chains of a dataset against golden.

    ``folder`` is that of the reports; ``name`` that of this one in it. ``keep`` is where golden
    stays as a dataset for the next order.
    """

    dataset: Path
    golden: Path
    parts: tuple[Part, ...]
    folder: Path
    name: str
    key_file: Path | None = None
    keep: Path | None = None
    formats: tuple[str, ...] = FORMATS


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it for one chain; ``until_ns`` is the end of its last window, 0 if it has none."""

    exchange: str
    symbol: str
    verdict: str
    reason: str
    score: float | None
    until_ns: int
    report: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an order; ``problem`` is the sentence with which it was refused."""

    outcomes: tuple[Outcome, ...] = ()
    problem: str = ""


def encode(told: Order | Answer) -> bytes:
    """As one line."""
    return msgspec.json.encode(told, enc_hook=path_as_text) + b"\n"


def decode_order(line: bytes) -> Order:
    """From its line."""
    return msgspec.json.decode(line, type=Order, dec_hook=text_as_path)


def decode_answer(line: bytes) -> Answer:
    """From its line."""
    return msgspec.json.decode(line, type=Answer)
