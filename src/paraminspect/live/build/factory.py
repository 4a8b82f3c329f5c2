"""A model from the user's own Python: `pkg.mod:callable` or `file.py:callable`."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from paraminspect.architecture.built_in import CONTAINERS
from paraminspect.architecture.values import parse_value
from paraminspect.errors import SourceError, SpecError
from paraminspect.live.build.candidates import find_module_file, hint_at
from paraminspect.live.build.complaints import argument_names, describe_refusal, first_line
from paraminspect.live.build.construct import torch_types
from paraminspect.live.build.factory_name import parse_factory
from paraminspect.live.build.seeds import seeded
from paraminspect.live.build.user_code import (
    explaining,
    find_attribute,
    import_file,
    import_named,
    running_user_code,
)
from paraminspect.text import shorten
from paraminspect.tuples import NamedTuple

MAX_NOTES = 10
"""Warnings of the user's code that are repeated."""


def build_factory(
    source: str,
    *,
    arguments: Mapping[str, object] | None = None,
    device: str = "meta",
    seed: int = 0,
    notes: list[str] | None = None,
) -> nn.Module:
    """Import what the user named and call it.

    On the meta device, which takes no memory, unless the code does not run there: then in memory, with a note.
    Python's, numpy's and torch's random generators are seeded for the call and put back after it. What the code
    prints goes to standard error.

    Args:
        source: `pkg.mod:callable` or `file.py:callable`; a class is called too, a module object taken as it is.
        arguments: Of the call, by name.
        device: "meta" or "cpu": where tensors are made that the code does not place itself.
        notes: Takes remarks for the user.

    Raises:
        SourceError: No such file, module or attribute; the code fails; what it returns is no nn.Module.
    """
    remarks = [] if notes is None else notes
    name = parse_factory(source)
    if name is None or not name.attribute:
        raise _which(source)
    module = import_named(name)
    target = find_attribute(module, name)
    if isinstance(target, nn.Module):
        if arguments:
            raise SourceError(f"{name.attribute} is a model, not a callable: it takes no arguments")
        remarks.append(f"{name.attribute} was built when its module was imported: in memory, its values as they were")
        return target
    if not callable(target):
        raise SourceError(
            f"{name.attribute} is {_article(target)}; expected a function or class that makes an nn.Module"
        )
    call = FactoryCall(target, name.attribute, dict(arguments or {}), seed, remarks)
    call.check_arguments()
    made = call.run(device, [module.__file__] if module.__file__ else [])
    if not isinstance(made, nn.Module):
        hint = "return the model itself, not its parts" if isinstance(made, (dict, tuple, list)) else None
        raise SourceError(f"{name.attribute} returned {_article(made)}; expected an nn.Module", hint=hint)
    return made


def _which(source: str) -> SourceError:
    """What is to be said where no function or class is named."""
    where, opened, _ = source.partition("(")
    if opened and parse_factory(where) is not None:
        return SourceError("arguments are given by --arg", hint=f"{where} --arg NAME=VALUE")
    path = source if source.lower().endswith(".py") else find_module_file(source)
    if path is None:
        return SourceError(f"{source!r} is no factory", hint="write module:callable or file.py:callable")
    return SourceError(f"{source} is Python; which function or class makes the model?", hint=hint_at(source, path))


def parse_arguments(texts: Sequence[str]) -> dict[str, object]:
    """`key=value` texts; a value is read as YAML: a number, true, null, text, or a `[list]`.

    Raises:
        SourceError: No `=`, no name, a name twice, or a value that is none.

    Example:
        >>> parse_arguments(["width=64", "sizes=[1, 2]", "act=relu"])
        {'width': 64, 'sizes': [1, 2], 'act': 'relu'}
    """
    arguments: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise SourceError(f"--arg {shorten(text)!r}; expected key=value", hint="write --arg width=64")
        if key in arguments:
            raise SourceError(f"--arg {key} is given twice")
        try:
            arguments[key] = parse_value(value)
        except SpecError as error:
            raise SourceError(f"--arg {key}: {error.message}", hint=error.hint) from None
    return arguments


class FactoryCall(NamedTuple):
    """A call of what makes a model.

    Attributes:
        title: It is called in messages.
        arguments: By name.
        seed: Of what it draws.
        notes: Takes its warnings.
    """

    target: Callable[..., Any]
    title: str
    arguments: dict[str, object]
    seed: int
    notes: list[str]

    def check_arguments(self) -> None:
        """Refuse arguments that do not fit, before anything runs."""
        try:
            inspect.signature(self.target).bind(**self.arguments)
        except TypeError as error:
            complaint, hint = describe_refusal(self.target, error, (), self.arguments)
            names = argument_names(self.target)
            if "missing a required argument" in complaint and names:
                hint = f"write --arg {next((name for name in names if repr(name) in complaint), names[0])}=.."
            raise SourceError(f"{self.title}: {complaint}", hint=hint) from None
        except ValueError:  # a callable without signature
            pass

    def run(self, device: str, files: list[str]) -> Any:
        """What it returns; in memory where the meta device will not do."""
        reason = ""
        if device == "meta":
            try:
                return self.run_on("meta")
            except (Exception, SystemExit) as error:
                reason = f"{type(error).__name__}: {first_line(error)}"
        try:
            with explaining(self.title, files):
                made = self.run_on("cpu")
        except SourceError as error:
            if reason and error.hint is None:
                error.hint = "it ran twice: on the meta device, which has no values, it failed before"
            raise
        if reason:
            what = f"{self.title} does not run on the meta device ({reason})"
            self.notes.append(f"{what}: it was run again, and built in memory")
        return made

    def run_on(self, device: str) -> Any:
        with (
            running_user_code(),
            seeded(self.seed, ""),
            warnings.catch_warnings(record=True) as caught,
            torch.device(device),
        ):
            warnings.simplefilter("default")
            made = self.target(**self.arguments)
        texts = dict.fromkeys(f"{each.category.__name__}: {first_line(each.message)}" for each in caught)
        self.notes.extend(list(texts)[:MAX_NOTES])
        return made


def _article(value: object) -> str:
    if value is None:
        return "nothing (None)"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def load_modules(path: str, *, notes: list[str] | None = None) -> dict[str, type[nn.Module]]:
    """The nn.Module classes that a Python file defines, by name; those it imports do not count.

    Args:
        path: Of the file, which is executed.
        notes: Takes a remark on each class whose name a container of specs or torch.nn has too.

    Raises:
        SourceError: No such file, its code fails, or it defines no such class.
    """
    module = import_file(path)
    found = {
        name: each
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, nn.Module) and each.__module__ == module.__name__
    }
    if not found:
        raise SourceError(f"{path} defines no nn.Module class", hint="write class MyLayer(nn.Module): ..")
    known = torch_types()
    for name in found:
        if notes is None:
            break
        if name in CONTAINERS:
            notes.append(f"{name} of {path} is out of reach: specs have a built-in type of that name")
        elif name in known:
            notes.append(f"{name} is the class of {path}, not torch.nn's")
    return found
