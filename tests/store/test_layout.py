"""Names from outside as folders: they never leave the dataset and never meet."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from rlx_datapipe.core.instrument import Instrument
from rlx_datapipe.store.layout import (
    QUARANTINE,
    partition_folder,
    place_problem,
    readable,
    set_aside_file,
    slug,
    table_folder,
)
from rlx_datapipe.store.manifest import chain_record

WICKED = [
    *("", ".", "..", "...", "/", "//", "/etc/passwd", "../../etc", "..\\..\\x", "C:\\x", "a/b", "A/B"),
    *("A\0B", "\0", "%2F", "%2e%2e%2f", "..%2F..%2Fetc", "%00", "~", "~root", "-rf", "--", "*", "?", "[a]"),
    *("{a}", "$(x)", "`x`", "a b", " A", "A ", "A.", "A..B", ".A", "_A", "_a-000000000000", "CON", "NUL"),
    *(
        "A:B",
        "A=B",
        "symbol=A",
        "#",
        "&",
        "BTCUSDT",
        "btcusdt",
        "BtcUsdt",
        "BTC-USDT",
        "BTC_USDT",
        "BTC/USDT",
    ),
    *("BTC.USDT", "币安人生USDT", "币安人生usdt", "é", "e\u0301", "É", "E\u0301", "Å", "\u212b", "A\u030a"),
    *("ß", "SS", "\u017f", "K", "\u212a", "ﬀ", "FF", "İ", "i̇", "\u202eTDSU", "\u200bA", "A\u200b", "\ufeffA"),
    *("\ud800", "\udcff", "A" * 64, "A" * 65, "A" * 300, "a" * 300, "\U0001f600" * 75, "\n", "A\nB"),
    *("A\tB", "\x7f", "\x1b[31m"),
]


def odd_names(count: int) -> list[str]:
    """Wicked ones, and thousands made of their pieces, without repeats."""
    dice = random.Random(1)
    pieces = [*WICKED, *"ABab01._-/%é币\0 "]
    names = dict.fromkeys(WICKED)
    while len(names) < count:
        names["".join(dice.choice(pieces) for _ in range(dice.randint(1, 4)))] = None
    return list(names)


NAMES = odd_names(10_000)


def test_no_name_leaves_its_folder(tmp_path: Path) -> None:
    root = str(tmp_path.resolve())
    for name in NAMES:
        folder = slug(name)
        assert folder.isascii()
        assert folder.isprintable()
        assert 0 < len(folder.encode()) <= 80
        assert not set(folder) & set('/\\\0:%=*?"<>| +')
        assert folder not in {".", ".."}
        assert not folder.startswith((".", "-", "~"))
        for path in (
            table_folder(tmp_path, "events") / partition_folder(name, name, "2024-08-08"),
            set_aside_file(tmp_path, QUARANTINE, name, name, name),
            chain_record(tmp_path, Instrument(name, name)),
        ):
            resolved = os.path.normpath(path)
            assert resolved == str(path)
            assert resolved.startswith(root + os.sep)
            assert max(len(part) for part in path.parts) <= 255


def test_no_two_names_share_a_folder_even_where_case_is_ignored() -> None:
    folders = {slug(name).casefold() for name in NAMES}
    assert len(folders) == len(NAMES) == 10_000
    # Nor does a name that looks like the folder of another.
    for name in NAMES[:500]:
        if slug(name) != name:
            assert slug(slug(name)) != slug(name)


def test_no_two_chains_share_a_record(tmp_path: Path) -> None:
    pairs = [("A.B", "C"), ("A", "B.C"), ("A.B.C", "D"), ("A", "B"), ("A+B", "C"), ("A", "B+C"), ("a", "b")]
    records = {str(chain_record(tmp_path, Instrument(*pair))).casefold() for pair in pairs}
    assert len(records) == len(pairs)


def test_usual_names_are_themselves() -> None:
    for name in ("BTCUSDT", "BTC-USDT", "BTC-USDT-PERP", "BTCUSD_PERP", "BINANCE_FUTURES", "1000SHIBUSDT"):
        assert slug(name) == name


def test_folders_can_be_made_for_all_of_them(tmp_path: Path) -> None:
    for name in NAMES[:300]:
        (tmp_path / slug(name)).mkdir()
    assert len(list(tmp_path.iterdir())) == 300


@pytest.mark.parametrize("name", ["plain", "ünï", "caf\udce9", "\ud800"])
def test_readable_names_can_be_written(name: str) -> None:
    assert readable(name).encode()
    assert readable(name) == name or "\\ud" in readable(name)


def test_places_that_readers_would_misread_are_refused(tmp_path: Path) -> None:
    assert place_problem(tmp_path / "run=1" / "a[b]*") == ""
    assert "partition" in place_problem(tmp_path / "symbol=X" / "set")
    assert "%" in place_problem(tmp_path / "100%")
