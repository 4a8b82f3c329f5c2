"""A command line that torchrun started several times: one of them prints, and all leave with one status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final

from paraminspect.cli.explain import FAILED, explain, wants_traceback
from paraminspect.cli.output import Output
from paraminspect.errors import ElsewhereError
from paraminspect.ranks.launched import Launched

if TYPE_CHECKING:
    from torch import Tensor

    from paraminspect.models.open import Opened
    from paraminspect.ranks.meeting import Meeting

TOGETHER: Final = {"init": ("-o", "--output"), "grad": ("--shard",)}
"""Commands whose work is shared where one of these options is there; all others run where RANK is 0."""

_HELP: Final = frozenset({"-h", "--help"})


class Together:
    """This process among those that run the same command line."""

    def __init__(self, launched: Launched) -> None:
        self.launched = launched
        self._meeting: Meeting | None = None
        self._ending = Lock()
        """Held by who says the error that ends the run."""

    def meet(self) -> Meeting:
        """Where they meet. Imports torch."""
        if self._meeting is None:
            from paraminspect.live.ranks.store import open_meeting

            self._meeting = open_meeting(self.launched)
        return self._meeting

    def fail(self, error: BaseException) -> None:
        """Say what went wrong: here, or to rank 0, which says it; the error of another one where that is the reason."""
        if self.launched.is_first:
            failure = self.meet().wait_until_failed() if isinstance(error, ElsewhereError) else None
            with self._ending:
                failure = self._meeting.failed() if failure is None and self._meeting is not None else failure
                is_other = failure is not None and failure.message != explain(error)[0]
                Output().error(failure.error() if failure is not None and is_other else error)
            return
        from paraminspect.ranks.meeting import EndedError

        if not isinstance(error, (ElsewhereError, EndedError)):
            self.meet().fail(*explain(error))

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Inside, where processes wait for each other, one that waits for another that has failed is ended where it is."""
        done = Event()
        thread = Thread(target=self._guard, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()

    def _guard(self, done: Event) -> None:
        from paraminspect.ranks.meeting import LOOK_S

        meeting = self.meet()
        while not done.wait(LOOK_S):
            if not self.launched.is_first and meeting.is_said():
                os._exit(meeting.wait_until_said())
            if self.launched.is_first and (failure := meeting.failed()) is not None:
                with self._ending:
                    if not done.is_set():
                        Output().error(failure.error())
                        os._exit(self.leave(FAILED))

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


@contextmanager
def joined(one: Together, model: Opened, seed: int) -> Iterator[Callable[[str], Tensor]]:
    """Work with the other processes; what gives a tensor of the model by its name."""
    from hashlib import sha256  # OpenSSL takes a twentieth of the start

    import torch.distributed as dist

    from paraminspect import __version__
    from paraminspect.live.init.drawn import drawn_by
    from paraminspect.ranks.arrivals import arrive
    from paraminspect.rules.steps import InitPlan

    assert model.live is not None
    plan = model.plan or InitPlan((), (), {}, ())
    tensors = [(each.name, each.dtype, each.shape) for each in model.checkpoint.tensors]
    rules = [(step.target.name, [act.rule.text for act in step.acts if act.rule is not None]) for step in plan.steps]
    digest = sha256(repr((tensors, rules, seed)).encode(errors="surrogatepass")).hexdigest()
    arrive(one.meet(), __version__, digest, "has another model")
    with one.guarding():
        dist.init_process_group("gloo")
        yield drawn_by(plan, model.live, seed, model.rules.own if model.rules is not None else None)
        dist.destroy_process_group()


def run_by_ranks(launched: Launched, arguments: Sequence[str], run: Callable[[Sequence[str]], int]) -> int:
    """Run a command line: with others where its work is shared, else where RANK is 0.

    Returns:
        The exit status, the same everywhere if the work is shared.
    """
    sharing = TOGETHER.get(arguments[0], ()) if arguments and not _HELP.intersection(arguments) else ()
    if not any(word.startswith(sharing) for word in arguments):
        return run(arguments) if launched.is_first else 0
    one = Together(launched)
    said = sys.stdout, sys.stderr
    if not launched.is_first:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
        sys.stderr = sys.stderr if wants_traceback() else sys.stdout
    _CURRENT.append(one)
    try:
        return one.leave(run(arguments))
    finally:
        _CURRENT.pop()
        sys.stdout, sys.stderr = said
