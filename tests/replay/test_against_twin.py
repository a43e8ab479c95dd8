"""EventReplayer decides, publishes and keeps what a replay in plain Python does, on any stream."""

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.replay.outcome import book_at, counted, replayed, said
from tests.replay.streams import RULES, Message, cut, streams, to_events
from tests.replay.twin import replay_plainly

from rlx_datapipe.core.config import Settings
from rlx_datapipe.core.event import Field, Flag
from rlx_datapipe.core.sequence import SequenceRule

EXAMPLES = int(os.environ.get("RLX_REPLAY_EXAMPLES", "0"))
randomly = settings(max_examples=EXAMPLES) if EXAMPLES else settings()

borders = st.lists(st.integers(0, 10_000), max_size=12)
cadences = st.builds(
    Settings,
    books_every_ms=st.sampled_from((0, 1, 100, 7_000)),
    books_levels=st.sampled_from((1, 3, 20)),
    keyframe_events=st.sampled_from((1, 3, 10, 1_000)),
    epoch_events=st.sampled_from((1, 2, 7, 1_000)),
    silence_ms=st.sampled_from((100, 10_000)),
)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.source)


@each_rule
@randomly
@given(st.data())
def test_every_event_gets_the_best_prices_and_flags_of_the_twin(rule: SequenceRule, data: Any) -> None:
    messages, cadence = data.draw(streams(rule)), data.draw(cadences)
    twin = replay_plainly(messages, rule, cadence)
    found = replayed([to_events(messages)], rule, cadence, step=10)
    assert [event[Field.MESSAGE] for event in found.events] == [event.message for event in twin.events]
    assert found.flags == [event.flags for event in twin.events]
    assert found.best == [event.best for event in twin.events]


@each_rule
@randomly
@given(st.data())
def test_everything_said_of_the_stream_is_what_the_twin_says(rule: SequenceRule, data: Any) -> None:
    messages, cadence = data.draw(streams(rule)), data.draw(cadences)
    twin = replay_plainly(messages, rule, cadence)
    found = replayed([to_events(messages)], rule, cadence)
    told, expected = said(found), twin.said
    assert [words[:7] for words in told] == [words[:7] for words in expected]
    for ours, theirs in zip(told, expected, strict=True):
        assert ours[7:] == pytest.approx(theirs[7:], rel=1e-12, nan_ok=True)
    for kind in ("duplicate", "check", "stale_check", "trade_off_book"):
        assert counted(found, kind) == twin.counts[kind], kind
    late = sum(bool(flags & Flag.LATE) for flags in found.flags)
    assert counted(found, "late") == late


@each_rule
@randomly
@given(st.data())
def test_full_books_and_samples_are_the_twins(rule: SequenceRule, data: Any) -> None:
    messages, cadence = data.draw(streams(rule)), data.draw(cadences)
    twin = replay_plainly(messages, rule, cadence)
    found = replayed([to_events(messages)], rule, cadence, step=10)
    assert found.keyframes == twin.keyframes
    assert [(event, sides) for event, _, sides in found.samples] == twin.samples()


@each_rule
@randomly
@given(st.data())
def test_any_book_is_the_last_full_book_and_the_deltas_since(rule: SequenceRule, data: Any) -> None:
    messages = data.draw(streams(rule, max_size=40))
    cadence = Settings(keyframe_events=data.draw(st.sampled_from((2, 1_000))))
    twin = replay_plainly(messages, rule, cadence)
    found = replayed([to_events(messages)], rule, cadence)
    # A snapshot that closes a gap replaces the book after the event before, which is published already.
    bridged = {words[2] - 1 for words in twin.said if words[0] == "resync"}
    for at, event in enumerate(twin.events):
        if event.flags & Flag.GROUP_END and at not in bridged:
            book = event.book
            expected = (
                None if book is None else [sorted(book[0].items(), reverse=True), sorted(book[1].items())]
            )
            assert book_at(found, at) == expected


@each_rule
@randomly
@given(st.data())
def test_the_batches_do_not_matter(rule: SequenceRule, data: Any) -> None:
    messages: list[Message] = data.draw(streams(rule))
    cadence = data.draw(cadences)
    events = to_events(messages)
    whole = replayed([events], rule, cadence)
    assert replayed(cut(events, data.draw(borders)), rule, cadence) == whole
    assert replayed(cut(events, list(range(len(messages)))), rule, cadence) == whole


@each_rule
@randomly
@given(st.data())
def test_an_epoch_ends_with_the_first_group_that_fills_it(rule: SequenceRule, data: Any) -> None:
    messages, cadence = data.draw(streams(rule)), data.draw(cadences)
    found = replayed([to_events(messages)], rule, cadence)
    ends, begun = [], 0
    numbers = [event[Field.MESSAGE] for event in found.events]
    for at, number in enumerate(numbers):
        last = at + 1 == len(numbers) or numbers[at + 1] != number
        if last and at + 1 - begun >= cadence.epoch_events:
            ends.append(at + 1)
            begun = at + 1
    assert found.epochs == [*ends, len(numbers)]
