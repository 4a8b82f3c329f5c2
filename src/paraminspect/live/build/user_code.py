"""Python that the user named: importing it, keeping standard output clean of it, and saying where it fails."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from types import ModuleType
from typing import Any

from torch import nn

from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.live.build.complaints import first_line
from paraminspect.live.build.factory_name import FactoryName
from paraminspect.names.suggestions import closest
from paraminspect.text import shorten

STDOUT, STDERR = 1, 2


@contextmanager
def running_user_code() -> Iterator[None]:
    """What is printed inside goes to standard error, from Python, from C and from child processes."""
    with suppress(AttributeError, ValueError):  # no standard output, or a closed one
        sys.stdout.flush()
    try:
        kept = os.dup(STDOUT)
    except OSError:
        kept = None
    try:
        if kept is not None:
            with suppress(OSError):
                os.dup2(STDERR, STDOUT)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        with suppress(AttributeError, ValueError, OSError):
            sys.stderr.flush()
        if kept is not None:
            os.dup2(kept, STDOUT)
            os.close(kept)


def import_file(path: str) -> ModuleType:
    """The module of a Python file, executed once; its folder is the first to be searched for what it imports.

    Raises:
        SourceError: No such file, or its code fails.
    """
    full = os.path.abspath(path)
    if not os.path.isfile(full):
        folder = os.path.dirname(full)
        near = [name for name in os.listdir(folder) if name.endswith(".py")] if os.path.isdir(folder) else []
        found = "not a regular file" if os.path.exists(full) else "no such file"
        raise SourceError(f"{path}: {found}", hint=closest(os.path.basename(full), near))
    name = _free_name(os.path.splitext(os.path.basename(full))[0], full)
    if name in sys.modules:
        return sys.modules[name]
    _search_first(os.path.dirname(full))
    spec = importlib.util.spec_from_file_location(name, full)
    if spec is None or spec.loader is None:
        raise SourceError(f"{path}: not a Python file", hint="its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with running_user_code(), explaining(f"import of {path}", [full]):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def import_module(name: str) -> ModuleType:
    """A module by its dotted name, searched for in the working directory first.

    Raises:
        SourceError: No such module, or its code fails.
    """
    _search_first(os.getcwd())
    try:
        with running_user_code(), explaining(f"import of {name}", []):
            return importlib.import_module(name)
    except SourceError as error:
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing.name and f"{name}.".startswith(f"{missing.name}."):
            raise _no_module(name, missing.name) from missing
        raise


def import_named(name: FactoryName) -> ModuleType:
    """The module that a file or a dotted name means.

    Raises:
        SourceError: There is none, or its code fails.
    """
    if not name.file:
        return import_module(name.module)
    try:
        return import_file(name.file)
    except SourceError as error:
        if error.hint is None and isinstance(error.__cause__, ImportError):
            error.hint = _as_package(name, error.__cause__)
        raise


def _as_package(name: FactoryName, error: ImportError) -> str | None:
    """How a file that imports from the package it lies in is named; None for another reason to fail."""
    folder, stem = os.path.split(os.path.splitext(os.path.abspath(name.file))[0])
    parts = [] if stem == "__init__" else [stem]
    missing = (error.name or "").partition(".")[0]
    is_relative = "relative import" in str(error)
    if not is_relative and missing not in folder.split(os.sep):
        return None
    while True:
        folder, last = os.path.split(folder)
        if not last:
            return None
        parts.insert(0, last)
        is_inside = os.path.exists(os.path.join(folder, "__init__.py"))
        if last == missing or (is_relative and not is_inside and len(parts) > _levels(name.file)):
            break
    where = "" if folder == os.getcwd() else f" in {os.path.relpath(folder)}"
    return f"it is part of a package: {'.'.join(parts)}:{name.attribute}{where}"


def _levels(path: str) -> int:
    """How far up the relative imports of a file go."""
    with open(path, "rb") as file:
        tree = ast.parse(file.read())
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=1)


def find_attribute(module: ModuleType, name: FactoryName) -> Any:
    """The attribute of a module, which may lie in another one of its attributes.

    Raises:
        SourceError: There is none; with the one that was meant.
    """
    where = name.file or name.module
    target: Any = module
    with running_user_code(), explaining(f"{where}:{name.attribute}", []):
        for part in name.attribute.split("."):
            if not hasattr(target, part):
                known = [each for each in vars(target) if not each.startswith("_")] if hasattr(target, "__dict__") else []  # fmt: skip
                models = _models_of(module)
                hint = closest(part, known) or (f"it defines {', '.join(models[:8])}" if models else None)
                raise SourceError(f"{where} has no {shorten(name.attribute)}", hint=hint)
            target = getattr(target, part)
    return target


def _models_of(module: ModuleType) -> list[str]:
    """What a module defines that may make a model: its nn.Module classes first, then its functions."""
    own = [(name, each) for name, each in vars(module).items() if getattr(each, "__module__", None) == module.__name__]
    classes = [name for name, each in own if isinstance(each, type) and issubclass(each, nn.Module)]
    return classes + [name for name, each in own if inspect.isfunction(each) and not name.startswith("_")]


@contextmanager
def explaining(what: str, files: list[str]) -> Iterator[None]:
    """Turn what user code raises into one line with the innermost place in that code.

    Args:
        what: What is being done, the beginning of the line.
        files: Of the user; none where any file outside of libraries will do.

    Raises:
        SourceError: Anything but a ParamInspectError was raised; KeyboardInterrupt passes.
    """
    try:
        yield
    except (ParamInspectError, KeyboardInterrupt, GeneratorExit):
        raise
    except SystemExit as error:
        message = f"{what}: it ends the program (SystemExit {error.code})"
        hint = "put what a script does under if __name__ == '__main__':"
        raise SourceError(message + place_of(error, files), hint=hint) from error
    except BaseException as error:
        text = first_line(error.msg if isinstance(error, SyntaxError) else error)
        message = f"{what}: {type(error).__name__}{': ' + text if text else ''}"
        raise SourceError(message + place_of(error, files)) from error


def place_of(error: BaseException, files: list[str]) -> str:
    """The innermost frame in the user's code, as " (file:line)"; "" where there is none."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f" ({_short(error.filename)}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if not _is_library(frame.filename)]
    for file in files:
        folder = os.path.dirname(os.path.abspath(file)) + os.sep
        near = [frame for frame in frames if os.path.abspath(frame.filename).startswith(folder)]
        inside = [frame for frame in near if _is_library(file) or not _is_library(frame.filename)] or inside
    return f" ({_short(inside[-1].filename)}:{inside[-1].lineno})" if inside else ""


def _is_library(filename: str) -> bool:
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    return (
        filename.startswith(("<frozen", own, os.path.dirname(os.__file__) + os.sep))
        or f"{os.sep}site-packages{os.sep}" in filename
    )


def _short(filename: str) -> str:
    """A path below the working directory without it."""
    here = os.getcwd() + os.sep
    return filename.removeprefix(here)


def _no_module(name: str, missing: str) -> SourceError:
    parent, _, last = missing.rpartition(".")
    import pkgutil

    path = getattr(sys.modules.get(parent), "__path__", None) if parent else [os.getcwd()]
    known = [each.name for each in pkgutil.iter_modules(path)] if path is not None else []
    hint = closest(last, known)
    if hint is None and not parent:
        hint = "it is searched for in the working directory and among the installed packages"
    return SourceError(f"no module {missing}" + (f" (of {name})" if name != missing else ""), hint=hint)


def _free_name(stem: str, full: str) -> str:
    """The name that a file's module goes by: the file's own, unless another module has it already."""
    name, number = stem, 1
    while (taken := sys.modules.get(name)) is not None and getattr(taken, "__file__", None) != full:
        number += 1
        name = f"{stem}_{number}"
    return name


def _search_first(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)
