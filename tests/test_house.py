"""The house rules that the text of the package shows: names, sizes, docstrings, imports, public face."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import tree

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = tree.PACKAGE
MODULES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}
PARSED = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}

CATCH_ALL = {"utils", "util", "common", "helpers", "helper", "misc", "tools"}
LINES_NEED_A_REASON, LINES_MAX, FUNCTION_LINES_MAX = 400, 600, 70
LONG_MODULES: dict[str, str] = {}
"""Modules over 400 lines, each with its reason."""

PICKLING = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
HEAVY = {"numba", "polars", "pyarrow", "deltalake", "ray", "gymnasium"}
every_module = pytest.mark.parametrize("name", PARSED)


@every_module
def test_a_module_opens_with_one_sentence(name: str) -> None:
    sentence = tree.sentence(MODULES[name])
    assert sentence, "no docstring"
    assert sentence[0].isupper() or not sentence[0].isalpha(), sentence
    assert sentence[-1] in ".?!", sentence


@every_module
def test_a_folder_says_what_it_is_and_nothing_else(name: str) -> None:
    if name.endswith("/__init__.py"):
        assert len(PARSED[name].body) == 1, "a folder's __init__ holds a docstring only"


@every_module
def test_a_name_says_what_is_inside(name: str) -> None:
    words = {word.strip("_").lower() for word in Path(name).with_suffix("").parts}
    assert not words & CATCH_ALL


@every_module
def test_a_module_is_short(name: str) -> None:
    lines = len(MODULES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= LINES_MAX
    assert (lines > LINES_NEED_A_REASON) == (name in LONG_MODULES), f"{lines} lines; reasons: LONG_MODULES"


def test_reasons_are_given_for_modules_that_exist() -> None:
    assert LONG_MODULES.keys() <= MODULES.keys()
    assert all(LONG_MODULES.values())


@every_module
def test_a_function_fits_on_a_screen(name: str) -> None:
    long = {
        node.name: lines
        for node in ast.walk(PARSED[name])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert not long


@every_module
def test_nothing_is_imported_from_a_front_door(name: str) -> None:
    wrong = [f"line {line}: {target}" for line, target in _imports(PARSED[name]) if not _is_module(target)]
    assert not wrong, "import the module that defines the name, by its full path"


def _imports(parsed: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and module of each import of our own; `from folder import module` gives the module."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            if not _is_ours(origin):
                continue
            for alias in node.names:
                yield node.lineno, origin if _is_module(origin) else f"{origin}.{alias.name}"


def _is_ours(module: str) -> bool:
    return module.startswith(".") or module.split(".", maxsplit=1)[0] == PACKAGE.name


def _is_module(dotted: str) -> bool:
    """Whether this is the full path of a module, not of a folder nor of a name inside a module."""
    return bool(dotted) and (PACKAGE.parent / Path(*dotted.split("."))).with_suffix(".py").is_file()


@every_module
def test_nothing_prints_pickles_or_evaluates(name: str) -> None:
    wrong = []
    for node in ast.walk(PARSED[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            wrong += [node.func.id] * (node.func.id in {"print", "eval", "exec", "compile"})
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            wrong += [node.arg] * (not (isinstance(node.value, ast.Constant) and node.value.value is False))
        if isinstance(node, ast.Import):
            wrong += [alias.name for alias in node.names if alias.name.split(".")[0] in PICKLING]
        if isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            wrong += [origin] * (origin.split(".")[0] in PICKLING)
    assert not wrong


@every_module
def test_no_error_is_swallowed(name: str) -> None:
    """A broad handler may clean up if it ends by raising again; nothing else may be broad."""
    broad = [
        node.lineno
        for node in ast.walk(PARSED[name])
        if isinstance(node, ast.ExceptHandler) and _catches_all(node.type) and not _raises_again(node)
    ]
    assert not broad, f"lines {broad}"


def _catches_all(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_catches_all(one) for one in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


FAULTS: list[tuple[Callable[[str], None], str, str]] = [
    (test_a_module_opens_with_one_sentence, "sink/fault.py", "import os"),
    (test_a_module_opens_with_one_sentence, "sink/fault.py", '"""some words"""'),
    (
        test_a_folder_says_what_it_is_and_nothing_else,
        "sink/__init__.py",
        '"""States become tables."""\nA = 1',
    ),
    (test_a_name_says_what_is_inside, "sink/helpers.py", ""),
    (test_a_name_says_what_is_inside, "common/rows.py", ""),
    (test_a_module_is_short, "sink/fault.py", "\n" * (LINES_NEED_A_REASON + 1)),
    (test_a_function_fits_on_a_screen, "sink/fault.py", "def f():\n" + "    g()\n" * FUNCTION_LINES_MAX),
    (test_nothing_is_imported_from_a_front_door, "sink/fault.py", "import rlx_datapipe"),
    (test_nothing_is_imported_from_a_front_door, "sink/fault.py", "from rlx_datapipe import __version__"),
    (test_nothing_is_imported_from_a_front_door, "sink/fault.py", "from rlx_datapipe.core import Settings"),
    (test_nothing_is_imported_from_a_front_door, "sink/fault.py", "from . import rows"),
    (test_nothing_prints_pickles_or_evaluates, "sink/fault.py", "print(1)"),
    (test_nothing_prints_pickles_or_evaluates, "sink/fault.py", "from pickle import loads"),
    (test_nothing_prints_pickles_or_evaluates, "sink/fault.py", "eval(text)"),
    (test_nothing_prints_pickles_or_evaluates, "sink/fault.py", "np.load(path, allow_pickle=True)"),
    (test_no_error_is_swallowed, "sink/fault.py", "try:\n    f()\nexcept:\n    pass"),
    (test_no_error_is_swallowed, "sink/fault.py", "try:\n    f()\nexcept (OSError, Exception):\n    pass"),
]


@pytest.mark.parametrize(("rule", "name", "code"), FAULTS)
def test_a_rule_finds_its_fault(
    rule: Callable[[str], None], name: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fault.py"
    path.write_text(code, encoding="utf-8")
    monkeypatch.setitem(MODULES, name, path)
    monkeypatch.setitem(PARSED, name, ast.parse(code))
    with pytest.raises(AssertionError):
        rule(name)


@pytest.mark.parametrize("module", ["rlx_datapipe", "rlx_datapipe.cli.main"])
def test_the_import_is_light(module: str) -> None:
    unwanted = HEAVY | ({"rich"} if module == "rlx_datapipe" else set())
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not unwanted & set(done.stdout.split())


def test_the_public_face_is_sorted_and_complete() -> None:
    face = import_module(PACKAGE.name)
    promised: list[str] = getattr(face, "__all__", [])
    assert promised == sorted(set(promised))
    assert promised, "no __all__"
    assert [name for name in promised if not hasattr(face, name)] == []
    assert _visible(face) | {"__version__"} <= set(promised)


def _visible(face: ModuleType) -> set[str]:
    """Public names that a type checker or a reader of ``dir`` finds, apart from modules."""
    typed = {
        alias.asname or alias.name
        for node in ast.walk(PARSED["__init__.py"])
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or "")
        for alias in node.names
    }
    present = {name for name, value in vars(face).items() if not isinstance(value, ModuleType)}
    return {name for name in typed | present if not name.startswith("_")} - {"annotations", "TYPE_CHECKING"}


def test_version_project_and_change_log_agree() -> None:
    change_log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    top = re.search(r"^## \[(\d+\.\d+\.\d+)\]", change_log, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert top, "the change log has no version"
    assert top[1] == project["project"]["version"] == import_module(PACKAGE.name).__version__


def test_the_documented_tree_equals_the_docstrings() -> None:
    written = tree.written(tree.PAGE.read_text(encoding="utf-8"))
    assert written == tree.tree(), "run `make docs`"
