"""Write the tables of docs/metrics.md: the metrics of the catalogue, and the known answers.

python scripts/metrics_table.py           write the sections
python scripts/metrics_table.py --check   only compare; exit status 1 if one is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

from rlx_datapipe.fidelity.catalogue import standard_registry
from rlx_datapipe.fidelity.known import ANSWERS
from rlx_datapipe.fidelity.plugin import Goal

PAGE = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"
SECTION = "<!-- {0}: begin; written by `scripts/metrics_table.py`, not by hand -->\n{1}<!-- {0}: end -->\n"


def catalogue() -> str:
    """A row for each metric."""
    rows = [
        "| metric | category | cost tier | what | needs | best | reference |",
        "|---|---|---|---|---|---|---|",
    ]
    registry = standard_registry(with_plugins=False)
    for name in sorted(registry, key=lambda one: (registry.get(one).category, one)):
        told = registry.get(name).get_metadata()
        best = f"{told.low:g}" if told.goal == Goal.MINIMISE else f"{told.high:g}"
        unit = f", {told.unit}" if told.unit else ""
        rows.append(
            f"| `{name}` | {told.category} | {told.tier} | {told.purpose}{unit} "
            f"| {', '.join(told.requirements)} | {best} | {told.reference} |"
        )
    return "\n".join(rows) + "\n"


def answers() -> str:
    """A row for each known answer: what is expected, how far a draw may be off, what is found."""
    rows = ["| definition | case | expected | within | found | reference |", "|---|---|---|---|---|---|"]
    for one in ANSWERS:
        within = f"{one.tolerance:g}" if one.tolerance else "exact"
        rows.append(
            f"| {one.what} | {one.case} | {one.expected:.4g} | {within} | {one.found:.4g} | {one.reference} |"
        )
    return "\n".join(rows) + "\n"


SECTIONS = {"metrics": catalogue, "known answers": answers}


def section(name: str) -> str:
    """A section with its markers, made anew."""
    return SECTION.format(name, "\n" + SECTIONS[name]() + "\n")


def written(name: str, page: str) -> str:
    """A section with its markers, as the page has it; empty where there is none."""
    begin, end = (SECTION.format(name, "").split("\n")[k] for k in range(2))
    start, stop = page.find(begin), page.find(end)
    return page[start : stop + len(end) + 1] if 0 <= start < stop else ""


def main(arguments: list[str]) -> int:
    """Write the sections, or compare them."""
    page = PAGE.read_text(encoding="utf-8")
    fresh = page
    for name in SECTIONS:
        fresh = fresh.replace(written(name, page), section(name))
    if "--check" in arguments:
        return int(fresh != page)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
