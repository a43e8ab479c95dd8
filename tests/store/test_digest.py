"""The digest of rows: blind to batches, slices and chunks; never blind to a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rlx_datapipe.core.schema import PRICE, SCHEMAS
from rlx_datapipe.store import digest as digest_module
from rlx_datapipe.store.digest import TableDigest, combine

SCHEMA = pa.schema(
    [
        pa.field("number", pa.int64()),
        pa.field("flags", pa.int32()),
        pa.field("text", pa.string()),
        pa.field("price", PRICE),
        pa.field("ladder", pa.list_(PRICE)),
        pa.field("words", pa.list_(pa.string())),
        pa.field("measures", pa.struct([pa.field("count", pa.int64()), pa.field("share", pa.float64())])),
    ]
)


@pytest.fixture(autouse=True, params=[2, 65_536], ids=["small leaves", "leaves as they are"], scope="module")
def _leaves(request: pytest.FixtureRequest) -> Iterator[None]:
    """Rows are chained in leaves: small ones, so that a few rows make several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest_module, "LEAF_ROWS", request.param)
        yield


prices = st.decimals(0, 10**6, places=8)
row = st.fixed_dictionaries(
    {
        "number": st.none() | st.integers(-(2**63), 2**63 - 1),
        "flags": st.none() | st.integers(0, 2**31 - 1),
        "text": st.none() | st.text(max_size=5),
        "price": st.none() | prices,
        "ladder": st.none() | st.lists(st.none() | prices, max_size=3),
        "words": st.none() | st.lists(st.none() | st.text(max_size=3), max_size=3),
        "measures": st.fixed_dictionaries(
            {"count": st.none() | st.integers(0, 9), "share": st.none() | st.floats(allow_nan=False)}
        ),
    }
)
rows = st.lists(row, max_size=8)


def table(content: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(content, SCHEMA)


def digest(*batches: pa.Table | pa.RecordBatch, schema: pa.Schema = SCHEMA) -> str:
    running = TableDigest(schema)
    for batch in batches:
        running.update(batch)
    return running.hexdigest()


@given(rows, st.data())
def test_batches_slices_and_chunks_do_not_matter(content: list[dict[str, Any]], data: st.DataObject) -> None:
    whole = table(content)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    edges = [0, *cuts, len(content)]
    slices = [whole.slice(a, b - a) for a, b in pairwise(edges)]
    expected = digest(whole)
    assert digest(*slices) == expected
    assert digest(pa.concat_tables(slices)) == expected
    assert digest(*(batch for piece in slices for batch in piece.to_batches())) == expected
    assert digest(*(table(piece.to_pylist()) for piece in slices)) == expected
    # A slice of a larger table, whose buffers hold more than its rows.
    if content:
        padded = pa.concat_tables([table(content[-1:]), whole, table(content[:1])]).combine_chunks()
        assert digest(padded.slice(1, len(content))) == expected


@given(rows, row, st.data())
def test_any_change_shows(content: list[dict[str, Any]], other: dict[str, Any], data: st.DataObject) -> None:
    assume(content)
    at = data.draw(st.integers(0, len(content) - 1))
    name = data.draw(st.sampled_from(SCHEMA.names))
    changed = [dict(one) for one in content]
    changed[at][name] = other[name]
    same = table(changed).equals(table(content))
    assert (digest(table(changed)) == digest(table(content))) == same
    assert digest(table([*content, other])) != digest(table(content))
    turned = content[::-1]
    assert (digest(table(turned)) == digest(table(content))) == table(turned).equals(table(content))


CHANGES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "null is not zero": ([{"number": None}], [{"number": 0}]),
    "null is not empty": ([{"text": None}], [{"text": ""}]),
    "a null list is not an empty one": ([{"ladder": None}], [{"ladder": []}]),
    "texts have edges": ([{"text": "ab"}, {"text": "c"}], [{"text": "a"}, {"text": "bc"}]),
    "lists have edges": (
        [{"ladder": [Decimal(1)]}, {"ladder": [Decimal(2)]}],
        [{"ladder": [Decimal(1), Decimal(2)]}, {"ladder": []}],
    ),
    "one unit in the last decimal": ([{"price": Decimal("1")}], [{"price": Decimal("1.000000000000000001")}]),
    "order of rows": ([{"number": 1}, {"number": 2}], [{"number": 2}, {"number": 1}]),
    "a row more": ([{"number": None}], [{"number": None}, {"number": None}]),
    "minus zero": ([{"measures": {"share": 0.0}}], [{"measures": {"share": -0.0}}]),
    "which column": ([{"number": 5}], [{"flags": 5}]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_small_difference_is_one(name: str) -> None:
    left, right = CHANGES[name]
    assert digest(table(left)) != digest(table(right))


def test_names_and_order_of_columns_count() -> None:
    content = pa.table({"a": [1], "b": [1]})
    digests = {
        digest(content, schema=content.schema),
        digest(content, schema=content.select(["b", "a"]).schema),
        digest(content.rename_columns(["a", "c"]), schema=content.rename_columns(["a", "c"]).schema),
        digest(
            content.cast(pa.schema([("a", pa.int64()), ("b", pa.int32())])),
            schema=pa.schema([("a", pa.int64()), ("b", pa.int32())]),
        ),
    }
    assert len(digests) == 4


def test_columns_are_taken_by_name() -> None:
    content = table([{"number": 1, "text": "x"}])
    assert digest(content.select(SCHEMA.names[::-1])) == digest(content)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_table_can_be_digested(name: str) -> None:
    schema = SCHEMAS[name]
    assert digest(schema.empty_table(), schema=schema) == digest(schema=schema)


def test_combined_digests_go_by_name() -> None:
    assert combine({"a": "1", "b": "2"}) == combine({"b": "2", "a": "1"})
    different: list[Callable[[], str]] = [
        lambda: combine({"a": "1", "b": "2"}),
        lambda: combine({"a": "2", "b": "1"}),
        lambda: combine({"a": "1"}),
        lambda: combine({}),
    ]
    assert len({make() for make in different}) == 4


@given(st.lists(st.integers(-1, 4), max_size=9), st.integers(0, 4), st.integers(0, 9))
def test_texts_that_come_by_number_are_the_same_texts(numbers: list[int], start: int, cut: int) -> None:
    names = pa.array(["ä", "", "long name", "of eight", "of more than two words"])
    by_number = pa.table(
        {
            "text": pa.DictionaryArray.from_arrays(
                pa.array([n if n >= 0 else None for n in numbers], pa.int32()), names
            )
        }
    )
    as_texts = by_number.cast(pa.schema([("text", pa.string())]))
    schema = as_texts.schema

    def digest(parts: list[pa.Table]) -> str:
        running = TableDigest(schema)
        for part in parts:
            running.update(part)
        return running.hexdigest()

    cut_ones = [by_number.slice(start, cut), by_number.slice(start + cut)]
    assert digest(cut_ones) == digest([as_texts.slice(start)])
