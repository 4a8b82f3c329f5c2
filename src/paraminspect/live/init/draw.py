"""The values of one tensor: drawn in float32, contiguous, from a generator of its own."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Generator, Tensor, nn

from paraminspect.errors import ParamInspectError, RuleError
from paraminspect.live.build.complaints import first_line
from paraminspect.live.build.seeds import derive_seed, seeded
from paraminspect.live.build.user_code import explaining, running_user_code
from paraminspect.live.init.functions import OwnFunctions
from paraminspect.rules.functions import GENERATOR, takes_generator
from paraminspect.rules.parse import rule_error
from paraminspect.rules.rule import Initializer, Scalar
from paraminspect.rules.steps import PlannedStep, with_tensor
from paraminspect.text import shape_text

ONE_AT_A_TIME = threading.RLock()
"""Held by whatever draws from a generator that the whole process shares: default initialisation, user code."""


class Drawing:
    """Draws the tensors of a plan.

    Each from a generator seeded by (seed, canonical name): values depend on no other tensor, on no order, and on no
    number of threads. May be called from several threads.

    Args:
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
            On the CPU, contiguous, of the target's shape; float32, or float64 for a float64 tensor whose values are
            not drawn by torch: these may be exact.

        Raises:
            RuleError: The initializer, or the user's code, fails on it.
        """
        rule, resolved, initializer = step.rule, step.resolved, step.initializer
        assert rule is not None
        assert resolved is not None
        assert initializer is not None
        target = step.target
        is_wide = target.dtype == "float64" and not initializer.random
        tensor = torch.empty(target.shape, dtype=torch.float64 if is_wide else torch.float32, device="cpu")
        if not tensor.numel():
            return tensor
        if step.needs_values:
            tensor.copy_(base().detach())
        padding = None if target.padding_idx is None else tensor[target.padding_idx].clone()
        generator = Generator().manual_seed(derive_seed(self._seed, target.name))
        try:
            with torch.no_grad(), torch.device("cpu"), self._alone(step):
                for part in tensor.chunk(resolved.chunks) if resolved.chunks > 1 else (tensor,):
                    self._apply(step, part, generator)
        except ParamInspectError as error:
            raise failed(step, error.message, error.hint) from error
        except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
            raise failed(step, first_line(error) or type(error).__name__) from error
        tensor = tensor.detach()  # a function may have asked for gradients
        if padding is not None and target.padding_idx is not None:
            tensor[target.padding_idx] = padding if initializer.kind == "edit" else 0
        return tensor

    def _apply(self, step: PlannedStep, part: Tensor, generator: Generator) -> None:
        initializer, resolved = step.initializer, step.resolved
        assert initializer is not None
        assert resolved is not None
        if initializer.kind != "function":
            apply(initializer, part, resolved.arguments, generator)
            return
        function = self._own.functions[initializer.name]
        shape = part.shape
        given: dict[str, Any] = dict(resolved.arguments)
        if takes_generator(function):
            given[GENERATOR] = generator
        with explaining(initializer.name, list(self._own.files)):
            result = function(part, **given)
        if not isinstance(result, Tensor | None):
            raise RuleError(f"{initializer.name} returned {type(result).__name__}; expected a tensor, or nothing")
        for made, what in ((result, "returned a tensor of"), (part, "made the tensor one of")):
            if made is not None and made.shape != shape:
                raise RuleError(f"{initializer.name} {what} {shape_text(made.shape)}; expected {shape_text(shape)}")
        if result is not None and result is not part:
            part.detach().copy_(result.detach())

    @contextmanager
    def _alone(self, step: PlannedStep) -> Iterator[None]:
        """Alone with the process's generators, where the initializer may draw from them."""
        initializer = step.initializer
        assert initializer is not None
        is_own = initializer.kind == "function"
        if not is_own and not initializer.global_generator:
            yield
            return
        with ONE_AT_A_TIME, seeded(self._seed, step.target.name), running_user_code() if is_own else nullcontext():
            yield


def apply(initializer: Initializer, tensor: Tensor, arguments: Mapping[str, Scalar], generator: Generator) -> None:
    """Let torch fill or edit a contiguous tensor in place.

    Args:
        tensor: Without gradient.
        arguments: All of them, in the order of its parameters.
    """
    if initializer.kind == "edit":
        getattr(tensor, f"{initializer.name}_")(*arguments.values())
    else:
        given = {GENERATOR: generator} if initializer.random else {}
        getattr(nn.init, f"{initializer.name}_")(tensor, **arguments, **given)


def failed(step: PlannedStep, message: str, hint: str | None = None) -> RuleError:
    """The error for a step that could not be done: it names the tensor, its shape and the rule."""
    assert step.rule is not None
    return with_tensor(rule_error(step.rule.text, step.rule.origin, message, hint=hint), step.target, step.number)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread: the result of a QR decomposition depends on how many there are.

    What torch warns of a truncated normal distribution is a note of the plan.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "mean is more than 2 std from")
            yield
    finally:
        torch.set_num_threads(before)
