"""`--rules-file my_rules.py`: the user's own initializers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.live.build.user_code import import_file
from paraminspect.rules.functions import describe_function, describe_functions
from paraminspect.rules.initializers import INITIALIZERS
from paraminspect.rules.rule import Initializer


@dataclass(frozen=True, slots=True)
class OwnFunctions:
    """A user's own initializers.

    Attributes:
        described: By name, as rules see them.
        functions: By the same name.
        files: Where they are defined, for the place of an error.
    """

    described: Mapping[str, Initializer] = field(default_factory=dict)
    functions: Mapping[str, Callable[..., object]] = field(default_factory=dict)
    files: tuple[str, ...] = ()


def own_functions(functions: Mapping[str, Callable[..., object]], files: tuple[str, ...] = ()) -> OwnFunctions:
    """Functions by the names that rules give them.

    Raises:
        RuleError: One takes no tensor, or an argument that no rule can give.
    """
    callables = {name.removesuffix("_"): function for name, function in functions.items()}
    return OwnFunctions(describe_functions(functions), callables, files)


def load_functions(path: str, *, notes: list[str] | None = None) -> OwnFunctions:
    """The functions that a Python file defines; those it imports and those with a leading underscore do not count.

    A function that takes no tensor is a helper of the others, and left out.

    Args:
        path: Of the file, which is executed.
        notes: Takes a remark on each function whose name torch.nn.init has too.

    Raises:
        SourceError: No such file, its code fails, or it defines no function of a tensor.
    """
    try:
        module = import_file(path)
    except ParamInspectError as error:
        error.source = path  # not the model, for whose sake it is read
        error.message = error.message.removeprefix(f"{path}: ")
        raise
    found: dict[str, Callable[..., object]] = {}
    for name, each in vars(module).items():
        if name.startswith("_") or not inspect.isfunction(each) or each.__module__ != module.__name__:
            continue
        try:
            describe_function(name, each)
        except ValueError:
            continue
        found[name] = each
    if not found:
        raise SourceError(
            "it defines no function of a tensor", hint="write def my_init(tensor, generator=None): ..", source=path
        )
    own = own_functions(found, (path,))
    if notes is not None:
        notes += [f"{name} is the function of {path}, not torch's" for name in own.described if name in INITIALIZERS]
    return own
