"""How the modules hang together, and what they are called."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"paraminspect": ROOT / "src", "benchmarks": ROOT, "scripts": ROOT}
ALL = {**FOLDERS, "fuzz": ROOT, "tests": ROOT}

SHARED_NAMES = {"check", "convert", "diff", "functions", "stats", "values"}
"""File names that more than two packages still have."""


def modules(folders: Mapping[str, Path]) -> dict[str, Path]:
    """Dotted name -> file, of all modules of these packages."""
    found = {}
    for package, root in folders.items():
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(known: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> those of the others that it names in an import, wherever that stands and whoever runs it."""
    return {name: set(_named(path, known)) - {name} for name, path in known.items()}


def _named(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in inner if name in known)
            if node.module in known and any(name not in known for name in inner):
                yield node.module


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Sets of modules that reach each other, sorted (strongly connected components of more than one)."""
    below = {name: _reached(name, arrows) for name in arrows}
    groups = {tuple(sorted({name, *(each for each in below[name] if name in below[each])})) for name in arrows}
    return sorted(list(group) for group in groups if len(group) > 1)


def _reached(name: str, arrows: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = arrows[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_no_imports_go_round() -> None:
    assert circles(imports(modules(FOLDERS))) == []


MAY_NAME = {
    "paraminspect": {"paraminspect"},
    "scripts": {"paraminspect", "scripts"},
    "benchmarks": {"paraminspect", "scripts", "benchmarks"},
    "fuzz": {"paraminspect", "scripts", "tests", "fuzz"},
    "tests": {"paraminspect", "scripts", "benchmarks", "fuzz", "tests"},
}
"""What each folder may lean on: tests make use of scripts, never the other way round."""


def test_folders_lean_one_way() -> None:
    for name, named in imports(modules(ALL)).items():
        assert {each.partition(".")[0] for each in named} <= MAY_NAME[name.partition(".")[0]], name


def test_a_circle_is_seen_whatever_it_is_made_of(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("from package import two\n")
    (package / "two.py").write_text("def later():\n    from package.three import name\n")
    (package / "three.py").write_text("if TYPE_CHECKING:\n    import package.one\n")
    (package / "four.py").write_text("import package.one\n")
    assert circles(imports(modules({"package": tmp_path}))) == [["package.one", "package.three", "package.two"]]


def test_no_file_name_is_in_three_packages() -> None:
    names = Counter(path.stem for path in modules(FOLDERS).values() if path.stem not in ("__init__", "__main__"))
    assert {name for name, count in names.items() if count > 2} <= SHARED_NAMES


def test_no_module_is_called_like_one_of_python() -> None:
    names = {path.stem for path in modules(FOLDERS).values()} | {name.rpartition(".")[2] for name in modules(FOLDERS)}
    assert names & (sys.stdlib_module_names - {"__main__"}) == set()


def test_no_type_is_called_how() -> None:
    trees = {name: ast.parse(path.read_text()) for name, path in modules(FOLDERS).items()}
    classes = {
        (name, node.name) for name, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }
    assert ("paraminspect.formats.pickles.machine", "PickleMachine") in classes
    assert {name for name, what in classes if what.strip("_") == "How"} == set()
