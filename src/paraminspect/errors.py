"""Every exception of paraminspect.

::

    ParamInspectError                 one line for the user, and what to do next
    ├── SourceError                   SOURCE cannot be opened: missing, a directory without a model, no permission
    │   ├── ChangedError              a file that is not what it was when it was opened first
    │   └── FarError                  a server that does not answer, refuses, or sends something else than it should
    ├── CheckpointError               the bytes are not a model file we can read
    │   ├── UnknownFormatError        recognised as something else, or as nothing
    │   ├── TruncatedError            the file ends before what it declares
    │   └── MalformedError            the file contradicts itself or its format
    ├── TargetError                   an output that cannot be written: no space, no permission, there already
    ├── SpecError                     an architecture spec that cannot be read or built: file:line:column
    ├── RuleError                     an initialisation rule that cannot be parsed or applied
    ├── BackwardError                 a model that runs, but from whose loss no gradient can be taken
    ├── ElsewhereError                another of several processes has failed, and says of what
    ├── LimitExceededError            a declared size, count or depth is past a named bound
    └── SelectionError                a selector or module path that cannot be parsed or names nothing

Readers raise bare facts; `formats.open_source` adds what the user typed (`source`), the command line adds
"error: " and prints `hint` below it.
"""

from __future__ import annotations

from typing import Any, Final

NOT_WHOLE: Final = "it was not written or copied to its end: fetch or save it again"
"""What to do about a file that ends too early."""

_WORD_BITS: Final = 64
"""Numbers that no size or count of a real file reaches are not written out."""


class ParamInspectError(Exception):
    """A failure that is explained to the user in one line.

    Args:
        message: What was found, without a full stop; expected and actual where both are known.
        hint: The next step, or None where there is none to name.
        source: What the user typed, once it is known.

    Attributes:
        line: Of the place in a text, from 1; None where there is none.
        column: Of the same, from 1, in characters.
    """

    line: int | None = None
    column: int | None = None

    def __init__(self, message: str, *, hint: str | None = None, source: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.source = source

    def __reduce__(self) -> tuple[Any, ...]:
        """All of it goes to another process, however it was made."""
        return _as_it_was, (type(self), self.args), self.__dict__

    def __str__(self) -> str:
        place = [str(part) for part in (self.source or None, self.line, self.column) if part is not None]
        if self.source and self.line is None and self._names_itself(self.source):
            return self.message
        return f"{':'.join(place)}: {self.message}" if place else self.message

    def _names_itself(self, source: str) -> bool:
        """Whether the message begins with the source, or with the file of a factory: "build.py has no make_net"."""
        return any(
            self.message.startswith(f"{name}: ") or ("." in name and self.message.startswith(f"{name} "))
            for name in (source, source.rpartition(":")[0])
            if name
        )


def _as_it_was(kind: type[ParamInspectError], arguments: tuple[object, ...]) -> ParamInspectError:
    return kind.__new__(kind, *arguments)


class SourceError(ParamInspectError):
    """SOURCE cannot be opened."""


class ChangedError(SourceError):
    """A file changed while it was read."""


class FarError(SourceError):
    """A server does not give the bytes of a file.

    Args:
        fault: Which entry of `files.faults` it is: "missing", "denied", "silent", "changed", ...
        wait_s: How long the server asks to wait before the next request; None where it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        source: str | None = None,
        fault: str = "status",
        wait_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, source=source)
        self.fault = fault
        self.wait_s = wait_s


class CheckpointError(ParamInspectError):
    """The bytes are not a model file we can read.

    Args:
        fault: The code under which `check` reports it; None for that of the class.
    """

    fault = "unreadable"

    def __init__(
        self, message: str, *, hint: str | None = None, source: str | None = None, fault: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, source=source)
        if fault is not None:
            self.fault = fault


class UnknownFormatError(CheckpointError):
    """The bytes are something else than a model file, or nothing we know."""

    fault = "unknown-format"


class TruncatedError(CheckpointError):
    """The file ends before what it declares."""

    fault = "truncated"

    def __init__(
        self, message: str, *, hint: str | None = NOT_WHOLE, source: str | None = None, fault: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, source=source, fault=fault)


class MalformedError(CheckpointError):
    """The file contradicts itself or its format."""

    fault = "malformed"


class LimitExceededError(ParamInspectError):
    """A declared size, count or depth is past a named bound.

    Args:
        what: What is bounded, in the plural where it is a count: "dimensions", "bytes of pickle".
        limit: The bound.
        actual: What the file asks for; None where counting stopped at the bound.
    """

    def __init__(self, what: str, *, limit: int, actual: int | None, hint: str | None = None) -> None:
        # Python refuses to write a number of over 4,300 digits
        known = actual is not None and actual.bit_length() <= _WORD_BITS
        found = f"{actual:,}" if known else f"more than {limit:,}"
        super().__init__(f"{found} {what}; the limit is {limit:,}", hint=hint)
        self.what = what
        self.limit = limit
        self.actual = actual


class TargetError(ParamInspectError):
    """An output that cannot be written."""


class SpecError(ParamInspectError):
    """An architecture spec that cannot be read or built.

    Args:
        line: From 1; None where the fault has no place in the text (an override, the whole model).
        column: From 1, in characters.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        source: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint, source=source)
        self.line = line
        self.column = column


class BackwardError(ParamInspectError):
    """A model that runs, but from whose loss no gradient can be taken."""


class ElsewhereError(ParamInspectError):
    """Another of several processes has failed, so that this one cannot go on; the error there says of what."""


class RuleError(ParamInspectError):
    """An initialisation rule that cannot be parsed, or not applied to a tensor that it matches.

    Args:
        source: Where the rule stands: `--rule`, or a file.
        rule: Its text.
        at: Where in that text the fault is, in characters from 0; None for the rule as a whole.
        line: Of the rule in its file, from 1; None on a command line.
        column: Of the fault there, from 1.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        source: str | None = None,
        rule: str = "",
        at: int | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint, source=source)
        self.rule = rule
        self.at = at
        self.line = line
        self.column = column


class SelectionError(ParamInspectError):
    """A selector or module path that cannot be parsed or names nothing."""
