"""TorchScript archives (`torch.jit.save`): a torch zip whose object is a tree of scripted modules.

Beside the entries of a torch zip there are NAME/constants.pkl and NAME/code/**.py. `data.pkl` holds one object per
module: its class is `__torch__.` plus a dotted name, its state a dictionary of attributes, in which tensors and
submodules stand side by side. Which tensors are parameters and buffers the class's code says:

    class Linear(Module):
      __parameters__ = ["weight", "bias", ]
      __buffers__ = []

The code is searched for these two lines; it is not compiled or run. A tensor in neither list is a plain attribute:
it is not part of the state dict.

Source: torch/csrc/jit/serialization (export_module.cpp, import_source.cpp); files of torch 1.2 to 2.13.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from paraminspect.errors import LimitExceededError
from paraminspect.formats.pickles.inert import Global, Opaque, TensorValue
from paraminspect.formats.pickles.remark import note_calls
from paraminspect.formats.pytorch.archive import TorchArchive, find_root
from paraminspect.formats.pytorch.objects import GlobalTable
from paraminspect.formats.pytorch.walk import MAX_NESTING, name_tensors
from paraminspect.formats.zip_file import ZipDirectory
from paraminspect.records import Checkpoint

MAX_CODE_BYTES: Final = 32 << 20
"""Of all source files that are searched."""

MAX_ATTRIBUTES: Final = 3_000_000
"""Attributes of all modules together; of modules with one dictionary, those of each."""

_CLASS: Final = re.compile(r"^class (\w+)\(Module\):\n((?:  .*\n|\n)*)", re.MULTILINE)
_LIST: Final = re.compile(r"^  __(parameters|buffers)__ = \[(.*)\]$", re.MULTILINE)
_NAME: Final = re.compile(r'"([^"\\]*)"')


def is_torchscript(directory: ZipDirectory) -> bool:
    """Whether there are code and constants beside the data.pkl."""
    root = find_root(directory)
    return root is not None and f"{root}constants.pkl" in directory.entries


def read_torchscript(directory: ZipDirectory) -> Checkpoint:
    """Parameters, buffers and tensor attributes of a scripted or traced module."""
    archive = TorchArchive(directory)
    table = GlobalTable()
    root = archive.load(table)
    _as_modules(root, _ClassTables(archive))
    tensors = name_tensors(root, archive.storage)
    notes = [*note_calls(table.foreign), *archive.note_unlisted(root)]
    version = archive.metadata.get("version", "")
    return Checkpoint("torchscript", tensors, {}, tuple(notes), stored=archive.stored(), version=version)


class _ClassTables:
    """Names of parameters and buffers of each class, from its code."""

    def __init__(self, archive: TorchArchive) -> None:
        self._archive = archive
        self._left = MAX_CODE_BYTES
        self._known: dict[str, dict[str, tuple[frozenset[str], frozenset[str]]]] = {}

    def of(self, cls: str) -> tuple[frozenset[str], frozenset[str]] | None:
        """(parameters, buffers) of "__torch__.pkg.mod.Class", None if the archive has no such code."""
        module, _, name = cls.rpartition(".")
        if module not in self._known:
            self._known[module] = dict(self._read(module))
        return self._known[module].get(name)

    def _read(self, module: str) -> Iterator[tuple[str, tuple[frozenset[str], frozenset[str]]]]:
        path = f"{self._archive.root}code/{module.replace('.', '/')}.py"
        entry = self._archive.directory.entries.get(path)
        if entry is None:
            return
        code = self._archive.directory.read(entry, self._left).decode("utf-8", "replace")
        self._left -= entry.size
        for match in _CLASS.finditer(code):
            lists = {kind: frozenset(_NAME.findall(names)) for kind, names in _LIST.findall(match[2])}
            yield match[1], (lists.get("parameters", frozenset()), lists.get("buffers", frozenset()))


def _as_modules(root: object, tables: _ClassTables) -> None:
    """Give scripted objects the tables of a pickled `nn.Module`, so that one walk serves both; in place."""
    pending: list[tuple[object, str, int]] = [(root, "", 0)]
    seen: set[int] = set()
    work = 0
    while pending:
        value, prefix, depth = pending.pop()
        if not isinstance(value, Opaque) or id(value) in seen:
            continue
        names = tables.of(value.class_name)
        if isinstance(value.func, Global):
            value.func = Global(*_shown_class(value.func))
        if not isinstance(value.state, dict):
            continue
        if depth > MAX_NESTING:
            raise LimitExceededError("levels of nesting", limit=MAX_NESTING, actual=None)
        seen.add(id(value))
        work += len(value.state) + len(prefix) // 64
        if work > MAX_ATTRIBUTES:
            raise LimitExceededError("attributes of scripted modules", limit=MAX_ATTRIBUTES, actual=None)
        if names is None:
            continue
        parameters, buffers = names
        tensors = {key: item for key, item in value.state.items() if isinstance(item, TensorValue)}
        modules = {key: item for key, item in value.state.items() if isinstance(item, Opaque)}
        others = {key: item for key, item in value.state.items() if key not in modules and key not in parameters}
        value.state = {
            **{key: item for key, item in others.items() if key not in buffers},
            "_parameters": {key: item for key, item in tensors.items() if key in parameters},
            "_buffers": {key: item for key, item in tensors.items() if key in buffers},
            "_modules": modules,
        }
        pending.extend((module, f"{prefix}{key}.", depth + 1) for key, module in reversed(modules.items()))


def _shown_class(func: Global) -> tuple[str, str]:
    """Module and name without what TorchScript adds: `__torch__.` and `___torch_mangle_N`."""
    module = re.sub(r"\.___torch_mangle_\d+", "", func.module.removeprefix("__torch__.").removeprefix("__torch__"))
    return module, func.name
