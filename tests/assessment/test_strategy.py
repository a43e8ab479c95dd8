"""The rule that recommends a strategy."""

from __future__ import annotations

import msgspec
import pytest

from rlx_datapipe.assessment.strategy import GAP_SHARE_MAX, BookStated, Facts, Strategy, recommend

CAPTURE = Facts(has_deltas=True, has_trades=True, book=BookStated.ANCHORED, contiguity_provable=True)
ARCHIVE = Facts(has_deltas=True, has_trades=True, book=BookStated.SAMPLED)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (CAPTURE, Strategy.FULL),
        (ARCHIVE, Strategy.FULL),
        (Facts(has_deltas=True, has_trades=False, book=BookStated.ANCHORED), Strategy.FULL),
        (Facts(has_deltas=False, has_trades=True, book=BookStated.SAMPLED), Strategy.SNAPSHOT),
        (Facts(has_deltas=False, has_trades=False, book=BookStated.ANCHORED), Strategy.SNAPSHOT),
        (Facts(has_deltas=True, has_trades=True, book=BookStated.NEVER), Strategy.ORIGIN_TIME_SORT),
        (Facts(has_deltas=False, has_trades=True, book=BookStated.NEVER), Strategy.ORIGIN_TIME_SORT),
        (Facts(has_deltas=False, has_trades=False, book=BookStated.NEVER), Strategy.ORIGIN_TIME_SORT),
    ],
)
def test_what_is_there_decides(facts: Facts, expected: Strategy) -> None:
    advice = recommend(facts)
    assert advice.strategy is expected
    assert advice.reasons
    assert all(advice.reasons)


def test_many_gaps_make_a_sampled_book_the_better_clock() -> None:
    few, many = (msgspec.structs.replace(ARCHIVE, gap_share=GAP_SHARE_MAX * by) for by in (1.0, 1.1))
    assert recommend(few).strategy is Strategy.FULL
    assert recommend(many).strategy is Strategy.SNAPSHOT


def test_many_gaps_change_nothing_where_no_book_is_sampled() -> None:
    advice = recommend(msgspec.structs.replace(CAPTURE, gap_share=0.5))
    assert advice.strategy is Strategy.FULL
    assert "50.00% of the depth updates are missing" in advice.reasons[-1]


def test_what_cannot_be_known_is_said() -> None:
    assert not any("can't be seen" in reason for reason in recommend(CAPTURE).reasons)
    assert any("can't be seen" in reason for reason in recommend(ARCHIVE).reasons)
    unusable = recommend(msgspec.structs.replace(CAPTURE, origin_time_usable=False))
    assert unusable.strategy is Strategy.FULL
    assert "set aside" in unusable.reasons[-1]
