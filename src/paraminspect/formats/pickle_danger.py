"""What is said of a pickle that names things no model needs. Nothing is run either way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

DANGEROUS_MODULES: Final = frozenset(
    {
        "os", "posix", "nt", "subprocess", "sys", "shutil", "socket", "runpy", "importlib", "pty", "commands",
        "pickle", "_pickle", "marshal", "ctypes", "code", "pip", "webbrowser", "asyncio", "multiprocessing", "imp",
        "zipimport", "timeit", "cProfile", "profile", "pdb", "bdb", "platform", "_posixsubprocess", "tempfile",
        "requests", "urllib", "httplib", "ftplib", "smtplib", "ssl", "operator", "functools",
    }
)  # fmt: skip
"""Top-level modules through which a pickle can run commands, load code or reach the network."""

DANGEROUS_BUILTINS: Final = frozenset(
    {"eval", "exec", "execfile", "compile", "open", "getattr", "setattr", "__import__", "globals", "apply", "input"}
)


def note_calls(foreign: Iterable[tuple[str, str]]) -> Iterator[str]:
    """One remark that names up to three dangerous globals of a pickle.

    Args:
        foreign: (module, name) of what the pickle names that is not on the allow-list.
    """
    found = [f"{module}.{name}" for module, name in foreign if _is_dangerous(module, name)]
    if found:
        shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        yield f"loading this file with pickle could run code: it names {shown[:300]}; nothing was run"


def _is_dangerous(module: str, name: str) -> bool:
    if module == "builtins":
        return name.partition(".")[0] in DANGEROUS_BUILTINS
    # in protocol 4 a name may be an attribute walk: torch, "serialization.os.system"
    steps = name.split(".")[:-1]
    return module.partition(".")[0] in DANGEROUS_MODULES or not DANGEROUS_MODULES.isdisjoint(steps)
