"""What in a Python file can be meant as a model, told from its text: nothing of it is run, and torch is not imported.

A class is one of modules if a base of it is called so (`nn.Module`, `LightningModule`, a class of torch.nn, another such
class of the file); a function makes a model if it says so, or returns what such a class, or one of torch.nn, makes.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import PathFinder
from typing import Final

from paraminspect.text import list_some
from paraminspect.tuples import NamedTuple

MAX_NAMED: Final = 6
"""Candidates that a hint names."""

_MODULES: Final = ("nn.", "torch.nn.")


class Candidate(NamedTuple):
    """A function, a class, or a model that is there.

    Attributes:
        required: Arguments that it has to be given.
    """

    name: str
    required: tuple[str, ...] = ()

    def text(self, where: str = "") -> str:
        """As it is typed behind a command."""
        return " ".join([f"{where}{self.name}", *(f"--arg {each}=.." for each in self.required)])


def hint_at(where: str, path: str) -> str:
    """The next step for one who named a module alone.

    Args:
        where: As the module was named.
        path: Of its file.
    """
    first, *more = find_candidates(path) or [Candidate("make_net")]
    also = list_some([each.text() for each in more], MAX_NAMED)
    return f"write {first.text(f'{where}:')}" + (f"; it also has {also}" if more else "")


def find_candidates(path: str) -> list[Candidate]:
    """What may make a model: functions and models first that take no arguments, then classes, then what takes some.

    Where nothing can be told to make one, all functions and classes of the file.
    """
    try:
        with open(os.path.abspath(path), "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[:1] != "_"]
    modules = _find_modules(classes)
    made = [Candidate(node.name, _required(node)) for node in functions if _makes_model(node, modules)]
    made += [Candidate(name) for name in _instances(tree, modules)]
    made += [Candidate(name, _required_of_class(name, classes)) for name in modules]
    if not made:
        made = [Candidate(node.name, _required(node)) for node in functions] + [Candidate(name) for name in classes]
    return sorted(made, key=lambda each: bool(each.required))


def find_module_file(name: str) -> str | None:
    """The Python file of a module, by its dotted name, as far as it can be found without running a package.

    Of a name without a dot only the working directory is looked into.
    """
    places: Iterable[str] | None = [os.getcwd()] if "." not in name else None
    found = None
    for part in name.split("."):
        if not part.isidentifier():
            return None
        where = [os.getcwd(), *_search_path()] if places is None else list(places)
        found = PathFinder.find_spec(part, where)
        if found is None:
            return None
        places = found.submodule_search_locations or ()
    path = found.origin if found is not None else None
    return path if path is not None and path.endswith(".py") else None


def _search_path() -> list[str]:
    import sys

    return sys.path


def _find_modules(classes: Mapping[str, ast.ClassDef]) -> list[str]:
    """Names of the classes of modules, in the order of the file."""
    found: dict[str, bool] = {}

    def is_module(name: str) -> bool:
        if name not in found:
            found[name] = False  # of a class that is its own base
            bases = [ast.unparse(base) for base in classes[name].bases]
            found[name] = any(is_module(base) if base in classes else _is_named_module(base) for base in bases)
        return found[name]

    return [name for name in classes if is_module(name) and name[:1] != "_"]


def _is_named_module(base: str) -> bool:
    return base.startswith(_MODULES) or base.rpartition(".")[2].endswith(("Module", "PreTrainedModel"))


def _required(node: ast.FunctionDef, *, skip: int = 0) -> tuple[str, ...]:
    """Arguments without a default."""
    arguments = node.args
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    free = len(positional) - len(arguments.defaults)
    named = [
        each.arg for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None
    ]
    return (*positional[:free][skip:], *named)


def _required_of_class(name: str, classes: Mapping[str, ast.ClassDef]) -> tuple[str, ...]:
    """Of its constructor, or the nearest one of a base in the file."""
    seen: list[str] = []
    while name in classes and name not in seen:
        seen.append(name)
        for node in classes[name].body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return _required(node, skip=1)
        name = next((base for base in map(ast.unparse, classes[name].bases) if base in classes), "")
    return ()


def _makes_model(node: ast.FunctionDef, modules: Iterable[str]) -> bool:
    if node.returns is not None:
        text = ast.unparse(node.returns).strip("'\"")
        if text in modules or _is_named_module(text):
            return True
    made = set(_assigned(node.body, modules))
    returned = [each.value for each in _statements(node.body) if isinstance(each, ast.Return)]
    return any(_is_made(value, modules) or (isinstance(value, ast.Name) and value.id in made) for value in returned)


def _instances(tree: ast.Module, modules: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(_assigned(tree.body, modules)) if not name.startswith("_")]


def _assigned(body: Iterable[ast.stmt], modules: Iterable[str]) -> Iterator[str]:
    """Names that a model is assigned to."""
    for each in _statements(body):
        if isinstance(each, ast.Assign) and _is_made(each.value, modules):
            yield from (target.id for target in each.targets if isinstance(target, ast.Name))
        if isinstance(each, ast.AnnAssign) and _is_made(each.value, modules) and isinstance(each.target, ast.Name):
            yield each.target.id


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Those of a block and of the blocks in it, but of no function or class in it."""
    for each in body:
        yield each
        if not isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for name in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(each, name, None) or ())


def _is_made(value: ast.expr | None, modules: Iterable[str]) -> bool:
    """Whether an expression is the call of a class of modules."""
    if not isinstance(value, ast.Call):
        return False
    called = ast.unparse(value.func)
    if called in modules:
        return True
    return called.startswith(_MODULES) and called.rpartition(".")[2][:1].isupper()
