"""The values of one tensor: drawn in float32 or complex64, contiguous, from a generator of its own.

So are those of a part that a rule is for, as if it were a tensor, from another generator.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final

import torch
from torch import Generator, Tensor, nn

from paraminspect.errors import ParamInspectError, RuleError
from paraminspect.live.build.complaints import first_line
from paraminspect.live.build.seeds import make_generator, seeded
from paraminspect.live.build.user_code import explaining, running_user_code
from paraminspect.live.init.elements import block_range, fill_tensor, filler, part_text, pieces_of
from paraminspect.live.init.functions import OwnFunctions
from paraminspect.live.init.orthogonal import fill_orthogonal
from paraminspect.rules.functions import GENERATOR, takes_generator
from paraminspect.rules.parse import rule_error
from paraminspect.rules.rule import Initializer, Scalar
from paraminspect.rules.steps import PlannedStep, with_tensor
from paraminspect.text import shape_text

_DRAWN_IN: Final = {
    "float64": (torch.float32, torch.float64),
    "complex32": (torch.complex64, torch.complex64),
    "complex64": (torch.complex64, torch.complex64),
    "complex128": (torch.complex64, torch.complex128),
}
"""By the type of a tensor: that in which torch draws it, and that in which its values are kept or edited; float32 of others."""

ONE_AT_A_TIME = threading.RLock()
"""Held by whatever draws from a generator that the whole process shares: default initialisation, user code."""

_GLOBAL: Final = "global"
"""The stream of the generators that the process shares: another one than that of the generator that is given."""


class Drawing:
    """Draws the tensors of a plan.

    Each from streams of (seed, canonical name): values depend on no other tensor, on no order, and on no
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
            step: That changes something.
            base: Gives the values that are there; called only if the step needs them.

        Returns:
            On the CPU, contiguous, of the target's shape; float32 or, of complex numbers, complex64; twice as wide for a
            tensor of twice as wide numbers some of which are not drawn by torch: these may be exact.

        Raises:
            RuleError: An initializer, or the user's code, fails on it.
        """
        drawn, exact = _DRAWN_IN.get(step.target.dtype, (torch.float32, torch.float32))
        is_drawn = not step.needs_values and all(draw.initializer.random for draw in step.draws if draw.initializer)
        tensor = torch.empty(step.target.shape, dtype=drawn if is_drawn else exact, device="cpu")
        if not tensor.numel():
            return tensor
        if step.needs_values:
            tensor.copy_(base().detach())
        for draw in step.draws:
            rows = tensor if draw.part is None else tensor[draw.rows]
            new = self._draw(draw, rows, drawn if draw.initializer and draw.initializer.random else exact)
            if draw.part is None:
                tensor = new if new.dtype == tensor.dtype else tensor.copy_(new)
            else:
                rows.copy_(new)
        return tensor

    def draws_by_element(self, step: PlannedStep) -> bool:
        """Whether `pieces` gives what `draw` gives."""
        draws = step.draws
        if len(draws) != 1 or draws[0].part is not None or draws[0].resolved is None or draws[0].initializer is None:
            return False
        return draws[0].initializer.by_element and draws[0].resolved.chunks == 1

    def pieces(self, step: PlannedStep, block: int) -> Iterator[Tensor]:
        """The elements of one block of a tensor that is drawn by element, some at a time, without the rest of it.

        Args:
            block: Which, from 0.

        Returns:
            1-D tensors as `draw` has them, each gone when the next one comes.

        Raises:
            RuleError: As `draw`.
        """
        draw, target = step.draws[0], step.target
        initializer = draw.initializer
        assert initializer is not None
        dtype = _DRAWN_IN.get(target.dtype, (torch.float32, torch.float32))[not initializer.random]
        elements = block_range(block, math.prod(target.shape))
        cuts = list(pieces_of(elements.start, elements.stop))
        memory = torch.empty(max((end - begin for begin, end in cuts), default=0), dtype=dtype, device="cpu")
        row, width = target.padding_idx, math.prod(target.shape[1:])
        with _explained(draw):
            fill = filler(draw, self._seed, block)
        for begin, end in cuts:
            piece = memory[: end - begin]
            with _explained(draw), torch.no_grad():
                fill(piece)
            if row is not None:
                piece[max(row * width - begin, 0) : max((row + 1) * width - begin, 0)] = 0
            yield piece

    def _draw(self, step: PlannedStep, values: Tensor, dtype: torch.dtype) -> Tensor:
        """What one rule makes of the values that are there, which may be changed.

        Args:
            dtype: In which it is done.
        """
        resolved, initializer = step.resolved, step.initializer
        assert resolved is not None
        assert initializer is not None
        tensor = values if values.dtype == dtype else torch.empty(values.shape, dtype=dtype)
        row = _padding_row(step)
        padding = None if row is None else tensor[row].clone()
        part = part_text(step)
        with _explained(step), torch.no_grad(), torch.device("cpu"):
            if initializer.by_element:
                fill_tensor(tensor, step, self._seed)
            else:
                self._apply_to_chunks(step, tensor, part)
        tensor = tensor.detach()  # a function may have asked for gradients
        if padding is not None and row is not None:
            tensor[row] = padding if initializer.kind == "edit" else 0
        return tensor

    def _apply_to_chunks(self, step: PlannedStep, tensor: Tensor, part: str) -> None:
        assert step.resolved is not None
        chunks = step.resolved.chunks
        generator = make_generator(self._seed, step.target.name, part)
        with self._alone(step, part):
            for chunk in tensor.chunk(chunks) if chunks > 1 else (tensor,):
                self._apply(step, chunk, generator)

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
    def _alone(self, step: PlannedStep, part: str) -> Iterator[None]:
        """Alone with the process's generators, where the initializer may draw from them."""
        initializer = step.initializer
        assert initializer is not None
        is_own = initializer.kind == "function"
        if not is_own and not initializer.global_generator:
            yield
            return
        with (
            ONE_AT_A_TIME,
            seeded(self._seed, step.target.name, f"{part} {_GLOBAL}".lstrip()),
            running_user_code() if is_own else nullcontext(),
        ):
            yield


@contextmanager
def _explained(step: PlannedStep) -> Iterator[None]:
    """What fails inside is said of the step."""
    try:
        yield
    except ParamInspectError as error:
        raise failed(step, error.message, error.hint) from error
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        raise failed(step, first_line(error) or type(error).__name__) from error


def _padding_row(step: PlannedStep) -> int | None:
    """Which of the rows that it is for stays zero, from 0; None where none does."""
    row = step.target.padding_idx
    if row is None or step.part is None:
        return row
    rows = step.part.rows(step.target.shape[0])
    return row - rows.start if rows.start <= row < rows.stop else None


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
        is_ours = initializer.name == "orthogonal"
        fill: Callable[..., object] = fill_orthogonal if is_ours else getattr(nn.init, f"{initializer.name}_")
        fill(tensor, **arguments, **given)


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
