"""`rlx fidelity --history`: earlier results as one page, without data and without golden."""

from __future__ import annotations

from pathlib import Path

from tests.cli.door import rlx
from tests.fidelity.results import T0, result


def test_results_of_a_folder_become_a_page(tmp_path: Path) -> None:
    for day in range(3):
        one = result(3, begins_ns=T0 + day * 86_400 * 10**9, has_plots=False)
        (tmp_path / f"{day}.json").write_bytes(one.to_json())
    said = rlx("fidelity", "--history", tmp_path, "--report", tmp_path / "pages", "--json")
    assert said.status == 0
    page = Path(said.json()["page"])
    assert page == tmp_path / "pages" / "history.html"
    assert "3 runs in all" in page.read_text("utf-8")
    assert (tmp_path / "pages" / "history.md").exists()


def test_a_folder_without_results_is_one_sentence(tmp_path: Path) -> None:
    said = rlx("fidelity", "--history", tmp_path)
    assert said.status == 2
    assert "no fidelity results" in said.sentence()
