"""What an exception says to the user: one line, and the next step."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from paraminspect.errors import ParamInspectError, RuleError

DEBUG = "PARAMINSPECT_DEBUG"
"""Environment variable that adds tracebacks to error messages."""

_INDENT = "    "
_NOT_ONE_OF = r": '([^']*)' is not one of (.*)$"
_QUOTED = r"'([^']*)'"

FAILED = 2
"""Exit status of an error."""


class OutputError(ParamInspectError):
    """Standard output cannot be written."""

    def __init__(self, error: OSError) -> None:
        from paraminspect.files.reasons import reason_of

        super().__init__(f"cannot write to standard output: {reason_of(error, 'write there')}")


def is_usage_error(error: BaseException) -> bool:
    """Whether typer raised it over the command line. Its exceptions have no public base class in every version."""
    return hasattr(error, "format_message")


def explain(error: BaseException) -> tuple[str, str | None]:
    """Message and hint for any exception."""
    if isinstance(error, ParamInspectError):
        return str(error), error.hint
    if is_usage_error(error):
        return _explain_usage(error)
    if isinstance(error, MemoryError):
        return "not enough memory", None
    if isinstance(error, RecursionError):
        return "nested too deeply", f"{DEBUG}=1 shows where"
    from paraminspect.live.torch_missing import explain_missing

    if missing := explain_missing(error):
        return str(missing), missing.hint
    return (
        f"internal error: {type(error).__name__}: {error}",
        f"this is a bug: run it again with {DEBUG}=1 to see where, and report that",
    )


def excerpt(error: BaseException, width: int) -> str:
    """The rule that an error is about, with a caret under the place; "" for other errors.

    Args:
        error: Any exception.
        width: Columns there are; a longer rule is cut on both sides.
    """
    if not isinstance(error, RuleError) or error.at is None or not error.rule:
        return ""
    room = max(width - 2 * len(_INDENT), 20)
    begin = max(0, min(error.at - room // 2, len(error.rule) - room))
    text = error.rule[begin : begin + room]
    return f"{_INDENT}{text}\n{_INDENT}{' ' * (error.at - begin)}^\n"


def with_source(error: Exception, source: str) -> Exception:
    """The same error, saying which source it is about."""
    if isinstance(error, ParamInspectError):
        error.source = error.source or source
        return error
    message, hint = explain(error)
    return ParamInspectError(message, hint=hint, source=source)


def wants_traceback() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get(DEBUG, "") not in {"", "0"}


def _explain_usage(error: BaseException) -> tuple[str, str | None]:
    message = str(getattr(error, "message", "")) or error.format_message()  # type: ignore[attr-defined]
    possibilities = getattr(error, "possibilities", None)
    if not possibilities:
        message = error.format_message()  # type: ignore[attr-defined]
    message = " ".join(message.split()).rstrip(".").replace(": Value error, ", ": ")  # as typer 0.29 has it
    message = message[:1].lower() + message[1:]
    if meant := _closest(str(getattr(error, "option_name", "")), possibilities or ()) or _closest(*_choice(message)):
        return message, f"did you mean {meant}?"
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "paraminspect"
    return message, f"{command} -h shows arguments, options and examples"


def _choice(message: str) -> tuple[str, list[str]]:
    """What was typed where only a few words can stand, and these words."""
    match = re.search(_NOT_ONE_OF, message)
    return (match[1], re.findall(_QUOTED, match[2])) if match else ("", [])


def _closest(typed: str, known: Iterable[str]) -> str:
    """The one of `known` that is most like what was typed; "" if none is."""
    from difflib import get_close_matches

    from paraminspect.names.suggestions import SHORT_WORDS

    words = list(known)
    meant = SHORT_WORDS.get(typed.lower(), "")
    return meant if meant in words else next(iter(get_close_matches(typed, words, n=1)), "")
