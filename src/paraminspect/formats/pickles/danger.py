"""What is said of the classes and functions a pickle names. Nothing is imported or run either way.

A pickle names a module and a path of attributes in it. What that leads to is decided on the text alone: Python 2's names
are translated as the unpickler does, and a path that walks through another module (`torch`, "serialization.os.system")
is judged by where it arrives.
"""

from __future__ import annotations

from typing import Final, Literal

from paraminspect.formats.pickles.python_modules import PYTHON_MODULES
from paraminspect.formats.pickles.safe import HARMLESS, Expected, expected_use
from paraminspect.formats.pickles.tables import DANGEROUS_METHODS, DANGEROUS_MODULES, DANGEROUS_NAMES
from paraminspect.tuples import NamedTuple

Level = Literal["safe", "unknown", "danger"]

MAX_STEPS: Final = 64
"""Attributes on one path that are followed."""


class Verdict(NamedTuple):
    """What is known of a global.

    Attributes:
        level: "safe" if torch, numpy, Python or another producer that we know writes it; "danger" if a pickle can do harm
            with it.
        identity: Dotted name of what it is, whatever path led there.
        reason: Of a danger: completes the sentence "with this a pickle ...".
        expected: The most that honest files do with it.
    """

    level: Level
    identity: str
    reason: str = ""
    expected: Expected = ""


def judge(module: str, name: str, *, python2: bool = False) -> Verdict:
    """What a global is, and whether it is dangerous.

    Args:
        module: As the pickle says it.
        name: The same; may be a path of attributes.
        python2: Whether names of Python 2 are meant, as in protocols 0 to 2.
    """
    module, name = _translate(module, name, python2=python2)
    at, last, reason = _arrive(module, name)
    identity = f"{at}.{last}" if at else last
    if reason:
        return Verdict("danger", identity, reason)
    expected = expected_use(module, name)  # of the name as it is written, not of one that a path leads to
    if expected:
        return Verdict("safe", identity, "", expected)
    if module.startswith("__torch__"):  # a class of TorchScript, whose code lies in the file
        return Verdict("safe", identity, "", "called")
    return Verdict("unknown", identity, "", HARMLESS.get(identity, ""))


def is_dangerous(module: str, name: str) -> bool:
    """Whether `judge` calls a global a danger."""
    return bool(_arrive(*_translate(module, name, python2=False))[2])


def _arrive(module: str, name: str) -> tuple[str, str, str]:
    """Where a path of attributes ends, as module and name, and why that is dangerous; "" if it is not."""
    steps = name.split(".", MAX_STEPS)
    if len(steps) > MAX_STEPS:
        return module, name, "hides what it reaches behind a long path"
    for at, step in enumerate(steps[:-1]):
        # private aliases are the usual way in: collections._sys, random._os
        other = step.lstrip("_")
        if other == "builtins" or (other in DANGEROUS_MODULES and step == step.lower()):
            return _reason_at(other, ".".join(steps[at + 1 :]))
    if any(step.startswith("__") and step.endswith("__") for step in steps) and len(steps) > 1:
        return module, name, "reaches into the insides of objects"
    for at in range(len(steps) - 2, -1, -1):  # a path that walks into another module ends in that one
        other = _MODULES.get(steps[at], steps[at])
        if other in _MODULES or other in PYTHON_MODULES:
            return _reason_at(".".join([other, *steps[at + 1 : -1]]), steps[-1])
    if len(steps) > 1 and not _is_class(steps[0]):
        return _reason_at(".".join([module, *steps[:-1]]), steps[-1])
    if len(steps) == 1 and name.lstrip("_") in _OFTEN_IMPORTED:
        return "", name.lstrip("_"), DANGEROUS_MODULES[name.lstrip("_")]
    module, name, reason = _reason_at(module, name)
    # one name may be safe in a module of which a checkpoint needs nothing else
    return module, name, "" if reason and expected_use(module, name) else reason


def _reason_at(module: str, name: str) -> tuple[str, str, str]:
    """The same where no path is left to walk."""
    identity = f"{module}.{name}"
    top = module.partition(".")[0]
    reason = DANGEROUS_NAMES.get(identity) or _reason_above(identity)
    if not reason and top in ("torch", "numpy"):
        reason = DANGEROUS_METHODS.get(name.rpartition(".")[2], "")
    if not reason and top in PYTHON_MODULES and not _is_class(name.rpartition(".")[2]) and identity not in HARMLESS:
        reason = _NO_NEED
    return module, name, reason


_NO_NEED: Final = "calls a function of Python's library that no checkpoint needs"

_MODULES: Final = {"torch": "torch", "numpy": "numpy", "np": "numpy", "pandas": "pandas", "pd": "pandas"}
"""What other modules import these as, besides those of Python itself."""

_OFTEN_IMPORTED: Final = frozenset(
    {"os", "sys", "subprocess", "posix", "nt", "socket", "importlib", "ctypes", "shutil", "pickle", "marshal", "runpy",
     "pty", "inspect", "asyncio", "multiprocessing", "tempfile", "webbrowser", "requests"}
)  # fmt: skip
"""Modules that many others import, so that they can be had as an attribute of those: (torch.serialization, os)."""


def _reason_above(identity: str) -> str:
    """Why a module above, or the name itself, is dangerous; "" if none is."""
    parts = identity.split(".", MAX_STEPS)
    for count in range(1, len(parts) + 1):
        above = ".".join(parts[:count])
        reason = DANGEROUS_MODULES.get(above) or DANGEROUS_NAMES.get(above)
        if reason:
            return reason
    return ""


def _is_class(name: str) -> bool:
    """Whether a name is spelled like a class: with a capital behind underscores."""
    return name.lstrip("_")[:1].isupper()


def _translate(module: str, name: str, *, python2: bool) -> tuple[str, str]:
    """What Python 3 calls a global of Python 2, as its unpickler translates it."""
    if python2:
        from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

        if (module, name) in NAME_MAPPING:
            return NAME_MAPPING[module, name]
        module = IMPORT_MAPPING.get(module, module)
    # the unpickler of Python 2 takes this one in every protocol
    return "builtins" if module == "__builtin__" else module, name
