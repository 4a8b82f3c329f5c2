"""What is said where torch is wanted and is not there: only a live model takes it, and files are read without."""

from __future__ import annotations

from types import TracebackType
from typing import Final

from paraminspect.errors import SourceError

INSTALL: Final = (
    "pip install torch, or without CUDA: pip install torch --index-url https://download.pytorch.org/whl/cpu"
)


def explain_missing(error: BaseException | None) -> SourceError | None:
    """What to tell whoever met this error if it is one of importing torch; None for any other."""
    if not isinstance(error, ImportError | OSError):
        return None
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":
        return SourceError("this takes torch, which is not installed", hint=INSTALL)
    if _is_raised_importing_torch(error.__traceback__):
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return SourceError(f"this takes torch, which cannot be imported: {reason}", hint=INSTALL)
    return None


def _is_raised_importing_torch(trace: TracebackType | None) -> bool:
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == "torch" and trace.tb_frame.f_code.co_name == "<module>":
            return True
        trace = trace.tb_next
    return False
