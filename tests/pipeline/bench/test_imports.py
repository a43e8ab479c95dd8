"""`rlx bench import` times fresh processes, and sees a heavy package that one of them loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pipeline.bench.workbenches import named, small

from rlx_datapipe.pipeline.bench import imports


def test_both_are_told_beside_a_bare_process(tmp_path: Path) -> None:
    measured = imports.measure(small(tmp_path))
    figures = named(measured.figures)
    assert list(figures) == ["import rlx_datapipe", "rlx --help"]
    for figure in figures.values():
        assert figure.ratio_to == "bare Python"
        assert figure.detail["heavy_packages_loaded"] == []
    assert set(measured.told) == {"import_ms", "help_ms", "bare_python_ms"}


def test_a_heavy_package_misses_the_target_on_any_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = ("import rlx_datapipe", "import rlx_datapipe", "rlx_datapipe.core.event", 10**9)
    monkeypatch.setattr(imports, "_CLAIMS", (claim, claim))
    figure = imports.measure(small(tmp_path)).figures[0]
    assert "numpy" in figure.detail["heavy_packages_loaded"]
    assert figure.is_met is False
