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


def note_calls(foreign: Iterable[str]) -> Iterator[str]:
    """One remark that names up to three dangerous globals of a pickle.

    Args:
        foreign: Dotted names the pickle uses that are not on the allow-list.
    """
    found = [name for name in foreign if _is_dangerous(name)]
    if found:
        shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        yield f"loading this file with pickle could run code: it names {shown}; nothing was run"


def _is_dangerous(name: str) -> bool:
    module, _, attribute = name.partition(".")
    if module in ("builtins", "__builtin__"):
        return attribute in DANGEROUS_BUILTINS
    # a dotted attribute walk such as torch.serialization.os.system
    return module in DANGEROUS_MODULES or not DANGEROUS_MODULES.isdisjoint(attribute.split(".")[:-1])
