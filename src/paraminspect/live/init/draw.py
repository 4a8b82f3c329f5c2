"""The values of one tensor: drawn in float32, contiguous, from a generator of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Generator, Tensor

from paraminspect.errors import ParamInspectError, RuleError
from paraminspect.live.complaints import first_line, shape_text
from paraminspect.live.init.functions import OwnFunctions
from paraminspect.live.init.initializers import FUNCTIONS, USES_GLOBAL_GENERATOR
from paraminspect.live.seeds import derive_seed, seeded
from paraminspect.live.user_code import explaining, running_user_code
from paraminspect.rules.functions import GENERATOR, takes_generator
from paraminspect.rules.parse import rule_error
from paraminspect.rules.plan import PlannedStep

ONE_AT_A_TIME = threading.RLock()
"""Held by whatever draws from a generator that the whole process shares: default initialisation, user code."""


class Drawing:
    """Draws the tensors of a plan.

    Each from a generator seeded by (seed, canonical name): values depend on no other tensor, on no order, and on no
    number of threads. May be called from several threads.

    Args:
        seed: Of the run.
        own: The user's own initializers.
    """

    def __init__(self, seed: int, own: OwnFunctions) -> None:
        self._seed = seed
        self._own = own

    def draw(self, step: PlannedStep, base: Callable[[], Tensor]) -> Tensor:
        """New values of one tensor.

        Args:
            step: With an initializer.
            base: Gives the values that are there; called only if the step needs them.

        Returns:
            On the CPU, contiguous, of the target's shape; float32, or float64 for an edit of a float64 tensor.

        Raises:
            RuleError: The initializer, or the user's code, fails on it.
        """
        rule, resolved, initializer = step.rule, step.resolved, step.initializer
        assert rule is not None
        assert resolved is not None
        assert initializer is not None
        target = step.target
        if step.needs_values:
            there = base().detach().to("cpu")
            dtype = torch.float64 if there.dtype == torch.float64 else torch.float32
            tensor = torch.empty(target.shape, dtype=dtype).copy_(there)
        else:
            tensor = torch.empty(target.shape, dtype=torch.float32)
        if not tensor.numel():
            return tensor
        padding = None if target.padding_idx is None else tensor[target.padding_idx].clone()
        generator = Generator().manual_seed(derive_seed(self._seed, target.name))
        try:
            with torch.no_grad(), self._alone(step):
                for part in tensor.chunk(resolved.chunks) if resolved.chunks > 1 else (tensor,):
                    self._apply(step, part, generator)
        except ParamInspectError as error:
            raise _located(step, error.message, error.hint) from error
        except (RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
            raise _located(step, first_line(error) or type(error).__name__, None) from error
        if padding is not None and target.padding_idx is not None:
            tensor[target.padding_idx] = padding if initializer.kind == "edit" else 0
        return tensor

    def _apply(self, step: PlannedStep, part: Tensor, generator: Generator) -> None:
        initializer, resolved = step.initializer, step.resolved
        assert initializer is not None
        assert resolved is not None
        if initializer.kind != "function":
            FUNCTIONS[initializer.name](part, resolved.arguments, generator)
            return
        function = self._own.functions[initializer.name]
        given: dict[str, Any] = dict(resolved.arguments)
        if takes_generator(function):
            given[GENERATOR] = generator
        with explaining(initializer.name, list(self._own.files)):
            result = function(part, **given)
        if isinstance(result, Tensor) and result is not part:
            if result.shape != part.shape:
                raise RuleError(
                    f"{initializer.name} returned a tensor of {shape_text(result.shape)}; expected {shape_text(part.shape)}"
                )
            part.copy_(result.detach())

    @contextmanager
    def _alone(self, step: PlannedStep) -> Iterator[None]:
        """Alone with the process's generators, where the initializer may draw from them."""
        initializer = step.initializer
        assert initializer is not None
        is_own = initializer.kind == "function"
        if not is_own and initializer.name not in USES_GLOBAL_GENERATOR:
            yield
            return
        with ONE_AT_A_TIME, seeded(self._seed, step.target.name), running_user_code() if is_own else nullcontext():
            yield


def _located(step: PlannedStep, message: str, hint: str | None) -> RuleError:
    assert step.rule is not None
    shape = shape_text(step.target.shape)
    text = f"rule {step.number} on {step.target.name or 'the tensor'} {shape}: {message}"
    return rule_error(step.rule.text, step.rule.origin, text, hint=hint)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread: the result of a QR decomposition depends on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
