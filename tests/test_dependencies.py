"""Whatever a user's command imports is something that installing the package brings."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytest.importorskip("torch", reason="needs torch")  # one of the packages that are looked at
ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "paraminspect"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OWN = {"paraminspect", "benchmarks", "scripts"}
DEMO = "scripts.make_demo"
"""What `make demo` runs, in an environment that has the package and what it needs."""


def normalise(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def all_needs(requirements: list[str]) -> set[str]:
    """Projects that these bring, and what those need in turn; an extra counts where it is asked for."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        need = waiting.pop()
        extras = need.extras or {""}
        name = normalise(need.name)
        if name not in found or need.extras:
            found.add(name)
            further = (Requirement(text) for text in metadata.requires(name) or ())
            waiting += [
                each
                for each in further
                if normalise(each.name) not in found
                and (each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras))
            ]
    return found


def brought(wanted: set[str]) -> set[str]:
    """Names that can be imported once these projects are installed."""
    return {
        name
        for name, owners in metadata.packages_distributions().items()
        if wanted & {normalise(each) for each in owners}
    }


ALWAYS = brought({normalise(Requirement(text).name) for text in PROJECT["dependencies"]})
SOMETIMES = brought(all_needs([text for texts in PROJECT["optional-dependencies"].values() for text in texts]))
"""What an extra brings: a module may use it inside a function, which says what to install."""


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """(dotted module, whether it is imported with the module itself); what only a type checker sees is left out."""
    stack: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text()), True)]
    while stack:
        node, at_once = stack.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, at_once
            yield from ((f"{node.module}.{alias.name}", at_once) for alias in node.names)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            stack += [(child, at_once) for child in node.orelse]
            continue
        inside = at_once and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        stack += [(child, inside) for child in ast.iter_child_nodes(node)]


def foreign(path: Path) -> set[tuple[str, bool]]:
    return {
        (top, at_once)
        for name, at_once in imported(path)
        if (top := name.partition(".")[0]) not in sys.stdlib_module_names and top not in OWN
    }


def unmet(path: Path) -> set[str]:
    return {top for top, at_once in foreign(path) if top not in ALWAYS and (at_once or top not in SOMETIMES)}


def demo_files() -> set[Path]:
    """Files outside the package that `make demo` imports."""
    found: set[Path] = set()
    waiting = [DEMO]
    while waiting:
        path = ROOT.joinpath(*waiting.pop().split(".")).with_suffix(".py")
        if path.is_file() and path not in found:
            found.add(path)
            waiting += [name for name, _ in imported(path) if name.partition(".")[0] in OWN - {"paraminspect"}]
    return found


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda path: str(path.relative_to(SRC)))
def test_the_package_imports_what_it_declares(path: Path) -> None:
    assert unmet(path) == set()


def test_make_demo_needs_no_tool_of_development() -> None:
    files = demo_files()
    assert {path.stem for path in files} >= {"make_demo", "gpt2"}
    assert {path.name: unmet(path) for path in files if unmet(path)} == {}


def test_what_is_not_declared_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("import os, safetensors.torch\ndef later():\n    import pytest, yaml, PIL\n")
    assert unmet(path) == {"safetensors", "pytest"}
