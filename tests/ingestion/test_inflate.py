"""Streams are cut where no piece can blow up, and inflated to the last sound byte whatever their cuts."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from rlx_datapipe.ingestion import inflate
from rlx_datapipe.ingestion.inflate import Inflated, codec_of

DICE = random.Random(7)
TEXT = b"\n".join(b'%d {"x":"%x"}' % (n, DICE.getrandbits(200)) for n in range(20_000))
MOST_BYTES = 16 << 20


def frame(data: bytes, **how: bool | int) -> bytes:
    return zstandard.ZstdCompressor(**how).compress(data)  # type: ignore[arg-type]


def flushed(data: bytes, every: int) -> bytes:
    """One frame of many small blocks, as a recorder writes that flushes often."""
    packer = zstandard.ZstdCompressor().compressobj()
    pieces = [data[at : at + every] for at in range(0, len(data), every)]
    packed = [packer.compress(piece) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for piece in pieces]
    return b"".join([*packed, packer.flush()])


SKIPPED = b"\x50\x2a\x4d\x18" + (3000).to_bytes(4, "little") + bytes(3000)
STREAMS: dict[str, tuple[bytes, bytes]] = {
    # What is in the file, and what it inflates to.
    "zstd": (frame(TEXT), TEXT),
    "zstd, no size, checksum": (frame(TEXT, write_content_size=False, write_checksum=True), TEXT),
    "zstd, level 19": (frame(TEXT[:300_000], level=19), TEXT[:300_000]),
    "zstd, frames": (
        b"".join(frame(TEXT[at : at + 70_000]) for at in range(0, 700_000, 70_000)),
        TEXT[:700_000],
    ),
    "zstd, tiny frames": (frame(b"abc", write_checksum=True) * 3000 + frame(b""), b"abc" * 3000),
    "zstd, padding": (frame(TEXT[:999]) + bytes(3000) + frame(b"z") + bytes(2), TEXT[:999] + b"z"),
    "zstd, skippable": (frame(TEXT[:999]) + SKIPPED + frame(TEXT), TEXT[:999] + TEXT),
    "zstd, flushed": (flushed(TEXT[:200_000], 150), TEXT[:200_000]),
    "zstd, equal bytes": (frame(bytes(5_000_000) + TEXT), bytes(5_000_000) + TEXT),
    "zstd, raw blocks": (frame(DICE.randbytes(700_000)) * 2, b""),
    "gzip": (gzip.compress(TEXT, mtime=0), TEXT),
    "gzip, streams": (gzip.compress(TEXT, 1, mtime=0) * 2 + bytes(99), TEXT * 2),
    "gzip, equal bytes": (gzip.compress(bytes(9 << 20), mtime=0), bytes(9 << 20)),
    "xz": (lzma.compress(TEXT, preset=0), TEXT),
    "xz, equal bytes": (lzma.compress(bytes(9 << 20), preset=0) * 2, bytes(18 << 20)),
}
NAMES = list(STREAMS)
ZSTD = [name for name in NAMES if name.startswith("zstd")]


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "packed"
    path.write_bytes(data)
    return path


def inflated(path: Path) -> tuple[bytes, str, int]:
    """What a file gives, its damage, and the bytes consumed."""
    stream = Inflated(path, codec_of(path), 1 << 20)
    return b"".join(stream.pieces()), stream.damage, stream.consumed


def byte_by_byte(data: bytes, make: Callable[[], Any]) -> bytes:
    """All that can be inflated of a stream of one kind before it ends or breaks."""
    out, opened = [], None
    for at in range(len(data)):
        if opened is None:
            if not data[at]:
                continue
            opened = make()
        try:
            out.append(opened.decompress(data[at : at + 1]))
        except (zstandard.ZstdError, zlib.error, lzma.LZMAError):
            break
        opened = None if opened.eof else opened
    return b"".join(out)


MAKERS: dict[str, Callable[[], Any]] = {
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "gzip": lambda: zlib.decompressobj(31),
    "xz": lzma.LZMADecompressor,
}


class TestCuts:
    @pytest.mark.parametrize("name", ZSTD)
    @pytest.mark.parametrize("step", [1, 5, 1000, 1 << 16])
    def test_pieces_are_the_file_and_none_can_blow_up(
        self, name: str, step: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = STREAMS[name][0][:200_000]
        monkeypatch.setattr(inflate, "_STEP_BYTES", step)
        pieces = list(inflate._zstd_pieces(io.BytesIO(data if step > 5 else data[:3_000])))
        assert b"".join(pieces) == (data if step > 5 else data[:3_000])
        stream = inflate._Inflater(codec_named("zstd"))
        assert max(sum(map(len, stream.feed(piece))) for piece in pieces) <= MOST_BYTES

    def test_a_bomb_is_cut_into_small_pieces(self) -> None:
        bomb = frame(bytes(300 << 20))
        pieces = list(inflate._zstd_pieces(io.BytesIO(bomb)))
        stream = inflate._Inflater(codec_named("zstd"))
        sizes = [sum(map(len, stream.feed(piece))) for piece in pieces]
        assert sum(sizes) == 300 << 20
        assert max(sizes) <= MOST_BYTES

    def test_what_is_no_zstd_goes_in_careful_steps(self) -> None:
        for data in (b"\x28\xb5\x2f\xfd" + bytes(9_000), frame(b"abc") + DICE.randbytes(9_000), SKIPPED * 2):
            pieces = list(inflate._zstd_pieces(io.BytesIO(data)))
            assert b"".join(pieces) == data
            assert max(map(len, pieces)) <= 1024

    @pytest.mark.parametrize("name", ["gzip, equal bytes", "xz, equal bytes"])
    def test_gzip_and_xz_give_no_more_than_a_mebibyte_at_a_time(self, name: str, tmp_path: Path) -> None:
        path = written(tmp_path, STREAMS[name][0])
        parts = list(Inflated(path, codec_of(path), 1).pieces())
        assert max(map(len, parts)) == 1 << 20
        assert b"".join(parts) == STREAMS[name][1]

    @pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, (2 << 20) + 1])
    @pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
    def test_no_byte_stays_behind_a_full_part(
        self, size: int, pack: Callable[[bytes], bytes], tmp_path: Path
    ) -> None:
        data = b"0123456789" * (size // 10 + 1)
        assert inflated(written(tmp_path, pack(data[:size])))[:2] == (data[:size], "")


def codec_named(name: str) -> inflate.Codec:
    return next(codec for codec in inflate._CODECS.values() if codec.name == name)


class TestWhole:
    @pytest.mark.parametrize("name", NAMES)
    def test_all_is_given_out_and_consumed(self, name: str, tmp_path: Path) -> None:
        data, text = STREAMS[name]
        found, damage, consumed = inflated(written(tmp_path, data))
        assert (damage, consumed) == ("", len(data))
        assert found == (text or byte_by_byte(data, MAKERS["zstd"]))


class TestDamaged:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
    def test_of_a_stream_cut_short_all_before_is_given(self, name: str, share: float, tmp_path: Path) -> None:
        data = STREAMS[name][0][:60_000]
        data = data[: int(len(data) * share)]
        found, damage, consumed = inflated(written(tmp_path, data))
        assert found == byte_by_byte(data, MAKERS[name.partition(",")[0]])
        assert consumed == len(data)
        assert not damage or "ends before its end marker" in damage

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("seed", range(4))
    def test_of_a_broken_stream_all_before_the_damage_is_given(
        self, name: str, seed: int, tmp_path: Path
    ) -> None:
        data = bytearray(STREAMS[name][0][:60_000])
        at = random.Random(seed).randrange(20, len(data))
        data[at : at + 8] = bytes(byte ^ 0xFF for byte in data[at : at + 8])
        found, _, consumed = inflated(written(tmp_path, bytes(data)))
        assert found == byte_by_byte(bytes(data), MAKERS[name.partition(",")[0]])
        assert consumed <= len(data)
