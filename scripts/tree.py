"""Write the tree of the package, each module with its first sentence, into docs/line.md.

    python scripts/tree.py           write the section
    python scripts/tree.py --check   only compare; exit status 1 if the section is out of date

The floors and the order of the folders come from the layer contract in pyproject.toml.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "rlx_datapipe"
PAGE = ROOT / "docs" / "line.md"
BEGIN = "<!-- tree: begin; written by `make docs`, not by hand -->\n"
END = "<!-- tree: end -->\n"
SENTENCE_AT = 24


def sentence(module: Path) -> str:
    """The first paragraph of the module's docstring on one line; empty where there is none."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def floors() -> list[list[str]]:
    """Folders by floor, top first, as the layer contract lists them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[folder.strip(" ()") for folder in layer.split("|")] for layer in layers]


def tree() -> str:
    """The section, without its markers."""
    rows = []
    stack = floors()
    for down, folders in enumerate(stack):
        rows.append(f"── floor {len(stack) - 1 - down}")
        for folder in folders:
            rows.append(_row(f"{folder}/", PACKAGE / folder / "__init__.py"))
            rows += [
                _row(f"  {module.relative_to(PACKAGE / folder)}", module)
                for module in sorted((PACKAGE / folder).rglob("*.py"))
                if module.name != "__init__.py"
            ]
    return "\n```\n" + "\n".join(rows) + "\n```\n\n"


def _row(name: str, module: Path) -> str:
    return f"{name:<{SENTENCE_AT}}{' ' if len(name) >= SENTENCE_AT else ''}{sentence(module)}".rstrip()


def written(page: str) -> str:
    """The section as it stands in the page, without its markers."""
    return page.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write or compare."""
    page = PAGE.read_text(encoding="utf-8")
    if BEGIN not in page or END not in page:
        raise SystemExit(f"docs/line.md: the two lines that mark the tree are missing: {BEGIN}{END}")
    if "--check" in sys.argv:
        if written(page) != tree():
            raise SystemExit("docs/line.md: the tree is out of date; run `make docs`")
        return
    head, _, rest = page.partition(BEGIN)
    PAGE.write_text(head + BEGIN + tree() + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
