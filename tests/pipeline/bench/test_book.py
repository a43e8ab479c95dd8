"""`rlx bench book` measures the kernel, and proves that what it measures gives the right answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.core.errors import DatapipeError
from rlx_datapipe.pipeline.bench import book


def test_each_depth_is_told_beside_a_book_of_dicts(tmp_path: Path) -> None:
    measured = book.measure(small(tmp_path))
    figures = named(measured.figures)
    assert len(figures) == len(book.LEVELS)
    depths = [min(figure.detail["levels"]) for figure in figures.values()]
    assert depths == sorted(depths)
    assert depths[-1] > 50 * depths[0]
    targets = [figure.target for figure in figures.values()]
    assert targets == ["", "≥ 50,000,000", ""], "the target is that of a usual depth"
    for figure in figures.values():
        assert figure.ratio_to == "dict book"
        assert figure.detail["ns_per_row"] == pytest.approx(1e9 / figure.figure)
        assert figure.detail["memory_copy_ns_per_row"] > 0
    assert {"rows_per_second", "ratio_to_dict_book", "ns_per_row"} <= set(measured.told)


def test_a_wrong_answer_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = book.apply

    def wrong(engine: object, rows: book.Stream) -> None:
        right(engine, rows)  # type: ignore[arg-type]
        rows.best[0, 100] += 1

    monkeypatch.setattr(book, "apply", wrong)
    with pytest.raises(DatapipeError, match="differ in their best prices"):
        book.measure(small(tmp_path))
