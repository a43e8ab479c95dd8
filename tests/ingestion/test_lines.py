"""Recordings of any compression become frames in batches; what is damaged is told, never raised."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlx_datapipe.core.errors import SourceError
from rlx_datapipe.core.feed import Reject
from rlx_datapipe.ingestion import lines as module
from rlx_datapipe.ingestion.lines import head_frames, read_frames

T_NS = 1_723_161_253_937_085_768


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def plain(data: bytes) -> bytes:
    return data


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": plain,
    "gzip": gzip.compress,
    "zstd": zstd,
    "xz": lzma.compress,
}
COMPRESSED = [name for name in PACKERS if name != "plain"]


def numbered(count: int) -> list[bytes]:
    # Digits that do not compress to nothing, so that streams have some length.
    return [b'%d {"n":%d,"x":"%x"}' % (T_NS + n, n, pow(3, n + 99, 2**127 - 1)) for n in range(count)]


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "recording.anything"
    path.write_bytes(data)
    return path


def everything(
    path: Path, batch_rows: int = 1_000, line_bytes_max: int = 1 << 20
) -> tuple[list[tuple[int, int, bytes]], list[Reject]]:
    frames, rejects = [], []
    for batch, bad, _ in read_frames(path, batch_rows, line_bytes_max):
        frames += list(zip(batch.rows.tolist(), batch.received.tolist(), batch.payloads(), strict=True))
        rejects += bad
    return frames, rejects


class TestFormats:
    @pytest.mark.parametrize("packer", PACKERS)
    def test_compression_is_told_by_content(self, tmp_path: Path, packer: str) -> None:
        source = numbered(5_000)
        frames, rejects = everything(write(tmp_path, PACKERS[packer](b"\n".join(source) + b"\n")))
        assert not rejects
        assert [b"%d %s" % (received, payload) for _, received, payload in frames] == source
        assert [row for row, _, _ in frames] == list(range(1, 5_001))

    @pytest.mark.parametrize("packer", COMPRESSED)
    def test_streams_one_behind_another_are_one(self, tmp_path: Path, packer: str) -> None:
        source = numbered(20)
        parts = [PACKERS[packer](line + b"\n") for line in source]
        assert [frame[2] for frame in everything(write(tmp_path, b"".join(parts)))[0]] == [
            line.partition(b" ")[2] for line in source
        ]

    def test_microseconds_become_nanoseconds(self, tmp_path: Path) -> None:
        frames, _ = everything(write(tmp_path, b'1660228022484228 {"a":1}\n'))
        assert frames == [(1, 1_660_228_022_484_228_000, b'{"a":1}')]

    def test_lines_may_end_in_crlf_be_blank_or_lack_the_last_newline(self, tmp_path: Path) -> None:
        text = b'%d {"a":1}\r\n\r\n\n%d {"a":2}' % (T_NS, T_NS)
        frames, rejects = everything(write(tmp_path, text))
        assert [(row, payload.strip()) for row, _, payload in frames] == [(1, b'{"a":1}'), (4, b'{"a":2}')]
        assert not rejects

    def test_our_capture_lines_get_their_stream_name(self, tmp_path: Path) -> None:
        text = (
            b'{"capture_ns": %d, "stream": "btcusdt@trade", "data": {"e":"trade", "p":"1.10"}}\n'
            b'{"capture_ns":%d,"stream":"all","data":{"stream":"btcusdt@trade","data":{"e": 1}}}\n'
            b'{"capture_ns":%d,"stream":"!gap","data":{"stream":"btcusdt@trade","from_id":1}}\n'
        ) % (T_NS, T_NS, T_NS)
        frames, rejects = everything(write(tmp_path, text))
        assert not rejects
        assert [payload for _, _, payload in frames] == [
            b'{"stream":"btcusdt@trade","data":{"e":"trade", "p":"1.10"}}',
            b'{"stream":"btcusdt@trade","data":{"e": 1}}',
            b'{"stream":"!gap","data":{"stream":"btcusdt@trade","from_id":1}}',
        ]


class TestBatches:
    def test_all_but_the_last_are_full(self, tmp_path: Path) -> None:
        path = write(tmp_path, b"\n".join(numbered(10)))
        batches = list(read_frames(path, 4))
        assert [frames.rows.tolist() for frames, _, _ in batches] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
        assert batches[-1][2] == path.stat().st_size

    @pytest.mark.parametrize("packer", PACKERS)
    def test_batch_and_chunk_size_change_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packer: str
    ) -> None:
        source = numbered(300)
        source[100:100] = [b"bad", b"", b"\xff"]
        path = write(tmp_path, PACKERS[packer](b"\n".join(source)))
        whole = everything(path)
        for chunk in (1, 7, 64, 1000):
            monkeypatch.setattr(module, "CHUNK_BYTES", chunk)
            assert everything(path, batch_rows=chunk) == whole

    def test_progress_counts_compressed_bytes(self, tmp_path: Path) -> None:
        path = write(tmp_path, gzip.compress(b"\n".join(numbered(50_000))))
        steps = [consumed for _, _, consumed in read_frames(path, 5_000)]
        assert steps == sorted(steps)
        assert 0 < steps[0] < steps[-1] == path.stat().st_size

    def test_the_head_is_the_first_frames(self, tmp_path: Path) -> None:
        path = write(tmp_path, b"bad\n" + b"\n".join(numbered(10)))
        frames, rejects = head_frames(path, 3)
        assert frames.rows.tolist() == [2, 3, 4]
        assert [reject.row for reject in rejects] == [1]


class TestBadLines:
    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b"", "none"),
            (b'{"e":"trade"}', "no receive time"),
            (b'abc {"e":1}', "no receive time"),
            (b"1723161253937085768", "no receive time"),
            (b'-723161253937085768 {"e":1}', "no receive time"),
            ("\u0661723161253937085768 {}".encode(), "no receive time"),
            (b"\xef\xbb\xbf1723161253937085768 {}", "no receive time"),
            (b"1723161253937 {}", "neither 19 digits"),
            (b"0000161253937085768 {}", "out of range"),
            (b"9723161253937085 {}", "out of range"),
            (b"1723161253937085768 text", "no JSON"),
            (b"1723161253937085768  {}", "no JSON"),
            (b'1723161253937085768 {"a":"\xff"}', "not valid UTF-8"),
            (b"\0" * 50, "no receive time"),
            (b'{"capture_ns":1,"stream":"x","data":{}}', "out of range"),
            (b'{"capture_ns":1723161253937085768,"stream":"x"}', "not a capture line"),
            (b'{"capture_ns":1723161253937085768,"stream":"x","data":7}', "no JSON message"),
            (b'{"capture_ns":1.5,"stream":"x","data":{}}', "not a capture line"),
            (b'{"capture_ns":' + b"[" * 100_000, "not a capture line"),
        ],
    )
    def test_it_is_rejected_with_its_bytes_and_the_rest_goes_on(
        self, tmp_path: Path, line: bytes, reason: str
    ) -> None:
        good = numbered(2)
        path = write(tmp_path, b"\n".join([good[0], line, good[1]]))
        frames, rejects = everything(path)
        assert [row for row, _, _ in frames] == [1, 3]
        if line:
            (reject,) = rejects
            assert (reject.file, reject.row, reject.raw) == (path.name, 2, line)
            assert reason in reject.reason

    @pytest.mark.parametrize("chunk", [16, 1 << 20])
    def test_a_line_too_long_is_cut_and_rejected(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
    ) -> None:
        monkeypatch.setattr(module, "CHUNK_BYTES", chunk)
        long = b'%d {"x":"%s"}' % (T_NS, b"y" * 5_000)
        path = write(tmp_path, b"\n".join([b"%d {}" % T_NS, long, b"%d {}" % T_NS]))
        frames, (reject,) = everything(path, line_bytes_max=100)
        assert [row for row, _, _ in frames] == [1, 3]
        assert (reject.row, reject.reason) == (2, "line longer than 100 bytes")
        assert reject.raw == long[:100]

    @given(st.binary(min_size=1, max_size=200))
    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
    )
    def test_any_bytes_at_all_are_read_or_rejected(self, tmp_path: Path, data: bytes) -> None:
        try:
            everything(write(tmp_path, data))
        except SourceError as error:
            assert "no lines" in str(error)  # noqa: PT017 (nothing raised is right as well)


class TestDamage:
    @pytest.mark.parametrize("packer", COMPRESSED)
    @pytest.mark.parametrize("share", [0.3, 0.7, 0.999])
    def test_a_truncated_stream_gives_all_whole_lines_and_one_reject(
        self, tmp_path: Path, packer: str, share: float
    ) -> None:
        source = numbered(30_000)
        data = PACKERS[packer](b"\n".join(source) + b"\n")
        frames, (reject,) = everything(write(tmp_path, data[: int(len(data) * share)]))
        count = len(frames)
        assert [payload for _, _, payload in frames] == [x.partition(b" ")[2] for x in source[:count]]
        assert count > 0
        assert reject.reason == f"{packer} stream ends before its end marker; the lines before it are whole"
        assert reject.row == count + 1
        assert [*source, b""][count].startswith(reject.raw)

    @pytest.mark.parametrize("packer", COMPRESSED)
    def test_a_corrupt_stream_gives_what_was_before_and_one_reject(self, tmp_path: Path, packer: str) -> None:
        source = numbered(30_000)
        data = bytearray(PACKERS[packer](b"\n".join(source[:15_000]) + b"\n"))
        good = len(data)
        data += PACKERS[packer](b"\n".join(source[15_000:]))
        data[good + 1] ^= 0xFF
        frames, (reject,) = everything(write(tmp_path, bytes(data)))
        assert len(frames) == 15_000
        assert reject.reason.startswith(f"{packer} stream is corrupt")
        assert reject.row == 15_001

    def test_bytes_behind_the_end_are_told(self, tmp_path: Path) -> None:
        frames, (reject,) = everything(
            write(tmp_path, gzip.compress(b"\n".join(numbered(9)) + b"\n") + b"junk")
        )
        assert len(frames) == 9
        assert "corrupt" in reject.reason

    def test_zeros_behind_the_end_are_padding(self, tmp_path: Path) -> None:
        frames, rejects = everything(write(tmp_path, gzip.compress(b"\n".join(numbered(9))) + b"\0" * 512))
        assert len(frames) == 9
        assert not rejects

    @pytest.mark.parametrize("packer", COMPRESSED)
    def test_a_bomb_is_one_reject_cut_to_the_longest_line(self, tmp_path: Path, packer: str) -> None:
        path = write(tmp_path, PACKERS[packer](bytes(100 << 20)))
        frames, (reject,) = everything(path, line_bytes_max=1_000)
        assert not frames
        assert len(reject.raw) == 1_000


class TestSourceErrors:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no such file"):
            read_frames(tmp_path / "none.gz", 10)

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="not a file"):
            read_frames(tmp_path, 10)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="the file is empty"):
            read_frames(write(tmp_path, b""), 10)

    def test_a_stream_of_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="holds no lines"):
            list(read_frames(write(tmp_path, gzip.compress(b"")), 10))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        path = write(tmp_path, b"x")
        path.chmod(0)
        with pytest.raises(SourceError, match="can't be read"):
            read_frames(path, 10)

    def test_a_disk_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        batches = read_frames(write(tmp_path, b"x\n"), 10)

        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(Path, "open", fail)
        with pytest.raises(SourceError, match="Input/output error"):
            next(batches)
