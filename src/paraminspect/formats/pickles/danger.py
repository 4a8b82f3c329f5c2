"""What is said of the classes and functions a pickle names. Nothing is imported or run either way.

A pickle names a module and a path of attributes in it. What that leads to is decided on the text alone: Python 2's names
are translated as the unpickler does, and a path that walks through another module (`torch`, "serialization.os.system")
is judged by where it arrives.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from paraminspect.formats.pickles.tables import (
    DANGEROUS_METHODS,
    DANGEROUS_MODULES,
    DANGEROUS_NAMES,
    SAFE_CLASSES,
    SAFE_FUNCTIONS,
    SAFE_NAMES,
)
from paraminspect.text import list_some

Level = Literal["safe", "unknown", "danger"]

MAX_STEPS: Final = 64
"""Attributes on one path that are followed."""


class Verdict(NamedTuple):
    """What is known of a global.

    Attributes:
        level: "safe" if torch, numpy or Python write it for plain data; "danger" if a pickle can do harm with it.
        identity: Dotted name of what it is, whatever path led there.
        reason: Of a danger: completes the sentence "with this a pickle ...".
    """

    level: Level
    identity: str
    reason: str = ""


def judge(module: str, name: str, *, python2: bool = False) -> Verdict:
    """What a global is, and whether it is dangerous.

    Args:
        module: As the pickle says it.
        name: The same; may be a path of attributes.
        python2: Whether names of Python 2 are meant, as in protocols 0 to 2.
    """
    if python2:
        module, name = _translate(module, name)
    if module == "__builtin__":  # the unpickler of Python 2 takes it in every protocol
        module = "builtins"
    steps = name.split(".", MAX_STEPS)
    if len(steps) > MAX_STEPS:
        return Verdict("danger", f"{module}.{name}", "hides what it reaches behind a long path")
    for at, step in enumerate(steps[:-1]):
        # private aliases are the usual way in: collections._sys, random._os
        other = step.lstrip("_")
        if other == "builtins" or (other in DANGEROUS_MODULES and step == step.lower()):
            return _judge_plain(other, ".".join(steps[at + 1 :]))
    if any(step.startswith("__") and step.endswith("__") for step in steps) and len(steps) > 1:
        return Verdict("danger", f"{module}.{name}", "reaches into the insides of objects")
    for at in range(len(steps) - 2, -1, -1):  # a path that walks into another module ends in that one
        other = _MODULES.get(steps[at], steps[at])
        if other in _MODULES or other in sys.stdlib_module_names:
            return _judge_plain(".".join([other, *steps[at + 1 : -1]]), steps[-1])
    if len(steps) > 1 and not _is_class(steps[0]):
        return _judge_plain(".".join([module, *steps[:-1]]), steps[-1])
    if len(steps) == 1 and name.lstrip("_") in _OFTEN_IMPORTED:
        return Verdict("danger", name.lstrip("_"), DANGEROUS_MODULES[name.lstrip("_")])
    return _judge_plain(module, name)


def _judge_plain(module: str, name: str) -> Verdict:
    identity = f"{module}.{name}"
    if identity in SAFE_NAMES:
        return Verdict("safe", identity)
    reason = DANGEROUS_NAMES.get(identity) or _reason_of(identity)
    if not reason and module.partition(".")[0] in ("torch", "numpy"):
        reason = DANGEROUS_METHODS.get(name.rpartition(".")[2], "")
    if reason:
        return Verdict("danger", identity, reason)
    if module.startswith("__torch__") or (_is_below(module, SAFE_CLASSES) and _is_class(name)):
        return Verdict("safe", identity)
    if module in SAFE_FUNCTIONS and "." not in name:
        return Verdict("safe", identity)
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names and top != "builtins" and not _is_class(name.rpartition(".")[2]):
        if f"{module}.{name}" in _HARMLESS:
            return Verdict("unknown", identity)
        return Verdict("danger", identity, "calls a function of Python's library that no checkpoint needs")
    return Verdict("unknown", identity)


_MODULES: Final = {"torch": "torch", "numpy": "numpy", "np": "numpy", "pandas": "pandas", "pd": "pandas"}
"""What other modules import these as, besides those of Python itself."""

_HARMLESS: Final = frozenset(
    {
        "functools.partial", "logging.getLogger", "collections.namedtuple", "random.Random", "copy.copy", "copy.deepcopy",
        "math.inf", "math.sqrt", "math.exp", "math.log", "enum._make_class_unpicklable", "typing._GenericAlias",
        "itertools.count", "itertools.repeat", "itertools.chain", "itertools.cycle", "itertools.product", "weakref.ref",
        "string.capwords", "abc.abstractmethod", "dataclasses.field", "dataclasses._create_fn", "zoneinfo._unpickle",
        "copyreg.__reduce_ex__", "copyreg.constructor", "copyreg.pickle",
    }
)  # fmt: skip
"""Functions of the standard library that do turn up in training checkpoints, and do nothing by themselves."""


_OFTEN_IMPORTED: Final = frozenset(
    {"os", "sys", "subprocess", "posix", "nt", "socket", "importlib", "ctypes", "shutil", "pickle", "marshal", "runpy",
     "pty", "inspect", "asyncio", "multiprocessing", "tempfile", "webbrowser", "requests"}
)  # fmt: skip
"""Modules that many others import, so that they can be had as an attribute of those: (torch.serialization, os)."""


def _reason_of(identity: str) -> str:
    """Why a module above, or the name itself, is dangerous; "" if none is."""
    parts = identity.split(".", MAX_STEPS)
    for count in range(1, len(parts) + 1):
        above = ".".join(parts[:count])
        reason = DANGEROUS_MODULES.get(above) or DANGEROUS_NAMES.get(above)
        if reason:
            return reason
    return ""


def _is_below(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _is_class(name: str) -> bool:
    """Whether a name is spelled like a class: with a capital behind underscores."""
    return name.lstrip("_")[:1].isupper()


def _translate(module: str, name: str) -> tuple[str, str]:
    """What Python 3 calls a global of Python 2, as its unpickler translates it."""
    from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    return IMPORT_MAPPING.get(module, module), name


def note_calls(foreign: Iterable[tuple[str, str]]) -> Iterator[str]:
    """One remark that names up to three dangerous globals of a pickle.

    Args:
        foreign: (module, name) of what the pickle names that is not on the allow-list.
    """
    found = [f"{module}.{name}" for module, name in foreign if judge(module, name).level == "danger"]
    if found:
        shown = list_some(found, 3)[:300]
        yield f"loading this file with pickle could run code: it names {shown}; nothing was run"
