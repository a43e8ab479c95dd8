"""A workbench of small sizes: what a benchmark tells is tested here, never how fast it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rlx_datapipe.pipeline.bench.figure import Figure, Options
from rlx_datapipe.pipeline.bench.workbench import Workbench


def small(folder: Path, **given: Any) -> Workbench:
    """A workbench on which a benchmark takes moments."""
    return Workbench(folder, Options(**{"seed": 3, "rows": 20_000, "messages": 3_000, "repeats": 1, **given}))


def named(figures: Iterable[Figure]) -> dict[str, Figure]:
    """Figures by claim, each of which is sound."""
    by_claim = {figure.claim: figure for figure in figures}
    for figure in by_claim.values():
        # Of inputs so small an exponent is noise, of either sign.
        assert figure.figure >= 0 or figure.claim.endswith("exponent")
        assert (figure.is_met is None) or figure.target
        assert (figure.ratio is None) == (figure.ratio_to == "")
    return by_claim
