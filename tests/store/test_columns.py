"""Scaled integers and decimal128(38,18): the same numbers, in both directions, for every scale."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_datapipe.core.errors import DatasetError
from rlx_datapipe.core.event import NONE
from rlx_datapipe.core.schema import PRICE
from rlx_datapipe.core.units import INT64_MAX
from rlx_datapipe.store.columns import from_decimals, nullable, to_decimals, to_ladder

values = st.one_of(
    st.integers(0, INT64_MAX),
    st.integers(0, 2_000),
    st.sampled_from([NONE, 0, 1, 2**32 - 1, 2**32, 2**62, INT64_MAX]),
)
scales = st.integers(0, 18)


def exact(value: int, decimals: int) -> Decimal | None:
    with localcontext(prec=60):
        return None if value == NONE else Decimal(value).scaleb(-decimals)


@given(st.lists(values, max_size=40), scales)
def test_decimals_are_exact_and_come_back(numbers: list[int], decimals: int) -> None:
    fitting = [number for number in numbers if number * 10 ** (18 - decimals) < 10**38]
    column = to_decimals(np.array(fitting, dtype=np.int64), decimals)
    assert column.type == PRICE == pa.decimal128(38, 18)
    column.validate(full=True)
    assert column.to_pylist() == [exact(number, decimals) for number in fitting]
    assert column.null_count == fitting.count(NONE)
    assert from_decimals(column, decimals).tolist() == fitting


@given(st.lists(values, min_size=1, max_size=40), scales, st.data())
def test_slices_and_chunks_are_the_same_numbers(
    numbers: list[int], decimals: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(numbers)))
    stop = data.draw(st.integers(start, len(numbers)))
    array = np.array(numbers, dtype=np.int64)
    column = to_decimals(array, decimals)
    assert from_decimals(column.slice(start, stop - start), decimals).tolist() == numbers[start:stop]
    chunks = pa.chunked_array([column.slice(start), column.slice(0, stop)], PRICE)
    assert from_decimals(chunks, decimals).tolist() == numbers[start:] + numbers[:stop]
    # An input that is not contiguous.
    assert to_decimals(np.repeat(array, 2)[::2], decimals).equals(column)


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**24)), min_size=1, max_size=10), scales)
def test_what_does_not_fit_is_refused(units: list[int | None], decimals: int) -> None:
    """Units of 1e-18, as any other writer may have put them."""
    with localcontext(prec=60):
        column = pa.array([None if u is None else Decimal(u).scaleb(-18) for u in units], PRICE)
    step = 10 ** (18 - decimals)
    expected = [NONE if u is None else u // step for u in units]
    if all(u is None or (u % step == 0 and u // step <= INT64_MAX) for u in units):
        assert from_decimals(column, decimals).tolist() == expected
    else:
        with pytest.raises(DatasetError, match="does not fit the scale"):
            from_decimals(column, decimals)


@pytest.mark.parametrize("unit", [-1, -(10**18)])
def test_a_negative_number_is_refused(unit: int) -> None:
    column = pa.array([Decimal(unit).scaleb(-18)], PRICE)
    with pytest.raises(DatasetError, match="does not fit"):
        from_decimals(column, 18)


def test_nulls_that_hide_rubbish_are_nulls() -> None:
    words = pa.py_buffer(np.full(4, 2**63 + 5, dtype=np.uint64))
    column = pa.Array.from_buffers(PRICE, 2, [pa.py_buffer(b"\x00"), words], 2)
    assert from_decimals(column, 8).tolist() == [NONE, NONE]


@given(st.lists(st.lists(st.integers(0, 10**12), max_size=4), max_size=6), scales)
def test_ladders_keep_their_lists(ladders: list[list[int]], decimals: int) -> None:
    flat = np.array([value for ladder in ladders for value in ladder], dtype=np.int64)
    counts = np.array([len(ladder) for ladder in ladders], dtype=np.int64)
    column = to_ladder(flat, counts, decimals)
    assert column.to_pylist() == [[exact(value, decimals) for value in ladder] for ladder in ladders]


def test_none_is_null() -> None:
    assert nullable(np.array([3, NONE, 0], dtype=np.int64)).to_pylist() == [3, None, 0]
