"""`--modules-file my_layers.py`: the user's own layers for a spec."""

from __future__ import annotations

from torch import nn

from paraminspect.architecture.built_in import BUILTINS, CONTAINERS
from paraminspect.errors import SourceError
from paraminspect.live.build.construct import torch_types
from paraminspect.live.build.user_code import import_file


def load_modules(path: str, *, notes: list[str] | None = None) -> dict[str, type[nn.Module]]:
    """The nn.Module classes that a Python file defines, by name; those it imports do not count.

    Args:
        path: Of the file, which is executed.
        notes: Takes a remark on each class whose name a built-in or torch.nn has too.

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
        if name in BUILTINS or name in CONTAINERS:
            notes.append(f"{name} of {path} is out of reach: specs have a built-in type of that name")
        elif name in known:
            notes.append(f"{name} is the class of {path}, not torch.nn's")
    return found
