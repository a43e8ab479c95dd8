"""OrderBuffer gives what a sort gives, however its input is cut into batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.event import NONE, Field, Flag, Int64Array, Kind, empty_events
from rlx_datapipe.ingestion.order import DeltaClock, OrderBuffer

HORIZON = 10
Row = tuple[int, int, int, int]
"""Kind, origin time, update id, message."""


@st.composite
def arrivals(draw: st.DrawFn, max_size: int = 40) -> list[Row]:
    """Messages of one to three rows each, whose clock mostly runs on, with ids that mostly grow."""
    rows: list[Row] = []
    now, update = 1_000, 100
    for message in range(draw(st.integers(0, max_size))):
        kind = draw(st.sampled_from(Kind))
        now += draw(st.sampled_from((0, 0, 1, 3, 8, 30)))
        time = now - draw(st.sampled_from((0, 0, 0, 1, 5, HORIZON, HORIZON + 1, 50)))
        update += draw(st.sampled_from((0, 1, 1, 2)))
        stated = NONE if kind == Kind.TRADE else update - draw(st.sampled_from((0, 0, 0, 1, 4)))
        rows += [(int(kind), time, stated, message)] * draw(st.integers(1, 3))
    return rows


def to_events(rows: list[Row], stream: int = 0) -> Int64Array:
    events = empty_events(len(rows))
    events[Field.FLAGS] = 0
    for at, (kind, time, update, message) in enumerate(rows):
        events[Field.KIND, at], events[Field.ORIGIN_TIME, at] = kind, time
        events[Field.UPDATE_ID, at], events[Field.MESSAGE, at] = update, message
        events[Field.PRICE, at], events[Field.SIDE, at] = at, stream
    return events


@dataclass
class Dated:
    """The ten-line twin of one stream: each row with its order time and whether it came late."""

    newest: int | None = None
    deltas: list[tuple[int, int]] = field(default_factory=list)

    def date(self, rows: list[Row]) -> list[tuple[int, bool]]:
        dated = []
        for kind, origin, update, _ in rows:
            time = origin
            if kind == Kind.BOOK_DELTA and all(update >= older for older, _ in self.deltas):
                time = max([time, *(led for _, led in self.deltas)])
                self.deltas.append((update, time))
            late = self.newest is not None and time < self.newest - HORIZON
            time = self.newest - HORIZON if late and self.newest is not None else time
            self.newest = time if self.newest is None else max(self.newest, time)
            dated.append((time, late))
        return dated


def batches(rows: list[Row], borders: list[int]) -> list[list[Row]]:
    cuts = sorted({border % (len(rows) + 1) for border in borders})
    return [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]


def told(events: Int64Array) -> list[tuple[int, ...]]:
    """Order time, kind, update id, message, row in arrival order, stream, late."""
    fields = (Field.ORDER_TIME, Field.KIND, Field.UPDATE_ID, Field.MESSAGE, Field.PRICE, Field.SIDE)
    late = (events[Field.FLAGS] & Flag.LATE != 0).astype(np.int64)
    return list(zip(*(events[name].tolist() for name in fields), late.tolist(), strict=True))


def sorted_twin(rows: list[Row], stream: int = 0) -> list[tuple[int, ...]]:
    return [
        (time, kind, update, message, at, stream, late)
        for at, ((kind, _, update, message), (time, late)) in enumerate(
            zip(rows, Dated().date(rows), strict=True)
        )
    ]


def in_order(rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return sorted(rows, key=lambda row: (row[0], row[2], row[1]))


@given(arrivals(), st.lists(st.integers(0, 1_000), max_size=10))
def test_one_stream_comes_out_as_sorted_whatever_the_batches(rows: list[Row], borders: list[int]) -> None:
    buffer = OrderBuffer(1, HORIZON)
    out = []
    for batch in batches(rows, borders):
        buffer.push(0, to_events(batch))
        out.append(buffer.ready())
    buffer.close(0)
    out.append(buffer.ready())
    found = np.concatenate(out, axis=1)
    expected = in_order(sorted_twin(rows))
    places = found[Field.PRICE].copy()
    # Rows were numbered within their batch; their place in the stream is told by the twin.
    found[Field.PRICE] = [row[4] for row in expected]
    assert told(found) == expected
    starts = np.cumsum([0, *(len(batch) for batch in batches(rows, borders))])
    assert all(
        place in {row[4] - start for start in starts} for place, row in zip(places, expected, strict=True)
    )
    assert buffer.ready().shape[1] == 0


@given(arrivals(), st.lists(st.integers(0, 1_000), max_size=10))
def test_no_message_is_ever_cut(rows: list[Row], borders: list[int]) -> None:
    rows = [(kind, time, update, 2 * message) for kind, time, update, message in rows]
    buffer = OrderBuffer(1, HORIZON)
    for batch in batches(rows, borders):
        whole = [row for row in batch if rows.count(row) == batch.count(row)]
        buffer.push(0, to_events(whole))
        out = buffer.ready()[Field.MESSAGE].tolist()
        assert all(out.count(message) == sum(row[3] == message for row in rows) for message in set(out))
        changes = 1 + sum(a != b for a, b in pairwise(out))
        assert not out or changes == len(set(out))


@given(st.lists(arrivals(max_size=15), min_size=1, max_size=4), st.integers(1, 7))
def test_streams_merge_as_sorted_when_the_one_behind_is_read_first(
    streams: list[list[Row]], rows: int
) -> None:
    # Streams of one archive hold different kinds of events.
    streams = [
        [
            (kind % 2 + 2 * number, time, update, 1_000 * number + message)
            for kind, time, update, message in part
        ]
        for number, part in enumerate(streams)
    ]
    buffer = OrderBuffer(len(streams), HORIZON)
    waiting = [batches(part, list(range(0, len(part) + 1, rows))) for part in streams]
    out = []
    while (behind := buffer.behind()) is not None:
        if waiting[behind]:
            buffer.push(behind, to_events(waiting[behind].pop(0), behind))
        else:
            buffer.close(behind)
        out.append(buffer.ready())
    found = told(np.concatenate(out, axis=1))
    parts = [row for number, part in enumerate(streams) for row in sorted_twin(part, number)]
    assert [row[:4] + row[5:] for row in found] == [row[:4] + row[5:] for row in in_order(parts)]


def test_deltas_keep_their_sequence_when_the_exchanges_clock_steps_back() -> None:
    rows = [
        (int(Kind.BOOK_DELTA), time, update, update) for update, time in enumerate((100, 103, 99, 101, 104))
    ]
    buffer = OrderBuffer(1, HORIZON)
    buffer.push(0, to_events(rows))
    buffer.close(0)
    out = buffer.ready()
    assert out[Field.UPDATE_ID].tolist() == [0, 1, 2, 3, 4]
    assert out[Field.ORDER_TIME].tolist() == [100, 103, 103, 103, 104]
    assert out[Field.ORIGIN_TIME].tolist() == [100, 103, 99, 101, 104]


def test_deltas_that_changed_places_on_the_way_are_put_back() -> None:
    buffer = OrderBuffer(1, HORIZON)
    buffer.push(
        0, to_events([(int(Kind.BOOK_DELTA), *row, row[1]) for row in ((100, 1), (104, 3), (102, 2))])
    )
    buffer.close(0)
    assert buffer.ready()[Field.UPDATE_ID].tolist() == [1, 2, 3]


def test_what_comes_exactly_at_the_horizon_is_in_time_and_one_later_is_not() -> None:
    buffer = OrderBuffer(1, HORIZON)
    out = []
    for time in (100, 110, 100, 99):
        buffer.push(0, to_events([(int(Kind.TRADE), time, NONE, time)]))
        out.append(buffer.ready())
    buffer.close(0)
    found = np.concatenate([*out, buffer.ready()], axis=1)
    assert found[Field.ORIGIN_TIME].tolist() == [100, 100, 99, 110]
    assert (found[Field.FLAGS] & Flag.LATE != 0).tolist() == [False, False, True, False]


def test_no_more_is_held_than_the_horizon_spans() -> None:
    buffer = OrderBuffer(1, HORIZON)
    for time in range(5_000):
        buffer.push(0, to_events([(int(Kind.TRADE), 10_000 + time, NONE, time)]))
        buffer.ready()
        assert buffer.streams[0].held <= HORIZON + 1


def test_nothing_leaves_while_a_stream_has_not_begun() -> None:
    buffer = OrderBuffer(2, HORIZON)
    buffer.push(0, to_events([(int(Kind.TRADE), time, NONE, time) for time in (1, 1_000_000)]))
    assert buffer.ready().shape[1] == 0
    assert buffer.behind() == 1
    buffer.close(1)
    assert buffer.ready()[Field.ORIGIN_TIME].tolist() == [1]
    buffer.close(0)
    assert buffer.ready()[Field.ORIGIN_TIME].tolist() == [1_000_000]
    assert buffer.behind() is None


def test_a_chain_without_events_gives_none() -> None:
    buffer = OrderBuffer(1, HORIZON)
    buffer.push(0, empty_events())
    buffer.close(0)
    assert buffer.ready().shape == empty_events().shape


@given(arrivals(), st.integers(0, 100))
def test_the_delta_clock_reads_the_same_in_parts(rows: list[Row], border: int) -> None:
    ids, times = (np.array([row[at] for row in rows], dtype=np.int64) for at in (2, 1))
    whole, parts, cut = DeltaClock(), DeltaClock(), border % (len(rows) + 1)
    read = np.concatenate((parts.read(ids[:cut], times[:cut]), parts.read(ids[cut:], times[cut:])))
    assert read.tolist() == whole.read(ids, times).tolist()
