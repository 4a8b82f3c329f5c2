"""A command line that torchrun started several times: one of them prints, and all leave with one status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from paraminspect.cli.explain import explain, wants_traceback
from paraminspect.cli.output import Output
from paraminspect.ranks.launched import Launched

if TYPE_CHECKING:
    from paraminspect.ranks.meeting import Meeting

TOGETHER: Final = frozenset({"init"})
"""Commands whose work is shared; the others run where RANK is 0."""

_HELP: Final = frozenset({"-h", "--help"})


class Together:
    """This process among those that run the same command line."""

    def __init__(self, launched: Launched) -> None:
        self.launched = launched
        self._meeting: Meeting | None = None

    def meet(self) -> Meeting:
        """Where they meet. Imports torch."""
        if self._meeting is None:
            from paraminspect.live.ranks.store import open_meeting

            self._meeting = open_meeting(self.launched)
        return self._meeting

    def fail(self, error: BaseException) -> None:
        """Say what went wrong: here, or to rank 0, which says it."""
        if self.launched.is_first:
            Output().error(error)
            return
        from paraminspect.ranks.meeting import EndedError

        if not isinstance(error, EndedError):
            self.meet().fail(*explain(error))

    def leave(self, status: int) -> int:
        """The status that all leave with, once everything is said."""
        if self._meeting is None and not status:
            return status
        if not self.launched.is_first:
            return self.meet().wait_until_said()
        if status:
            Output().remark(f"the exit status is {status}; torchrun makes 1 of every one that is not 0")
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        self.meet().say(status)
        return status


_CURRENT: list[Together] = []


def together() -> Together | None:
    """This process among several that share the work of the command that runs; None where it is alone."""
    return _CURRENT[-1] if _CURRENT else None


def run_by_ranks(launched: Launched, arguments: Sequence[str], run: Callable[[Sequence[str]], int]) -> int:
    """Run a command line: with others where its work is shared, else where RANK is 0.

    Returns:
        The exit status, the same everywhere if the work is shared.
    """
    shares = bool(arguments) and arguments[0] in TOGETHER and not _HELP.intersection(arguments)
    if not shares:
        return run(arguments) if launched.is_first else 0
    one = Together(launched)
    said = sys.stdout, sys.stderr
    if not launched.is_first and not wants_traceback():
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    _CURRENT.append(one)
    try:
        return one.leave(run(arguments))
    finally:
        _CURRENT.pop()
        sys.stdout, sys.stderr = said
