"""Numbers about gradients: norms, extremes, zeros; each tensor is gone through a few times and never copied."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from paraminspect.live.ranks.sharded import is_sharded, join_rows, local_part
from paraminspect.outcomes import GradState
from paraminspect.tuples import NamedTuple

EXACT = 1 << 20
"""Elements up to which angles are taken in float64."""


PIECE = 1 << 16
"""Elements of an inner product that are summed in their own type; norms of no more are taken in float64."""


class GradientNumbers(NamedTuple):
    """About one gradient.

    Attributes:
        state: Of one that is there: "ok", "zero", "nan" or "inf".
        norm: Euclidean.
        max_abs: Largest absolute value; nan if there is one.
        zero_fraction: Share of exact zeros; None for a tensor without elements.
        norm_ratio: Norm over that of the parameter, None where that is zero or no number.
    """

    state: GradState
    norm: float
    max_abs: float
    zero_fraction: float | None
    norm_ratio: float | None


def measure_gradients(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[list[GradientNumbers], float]:
    """The numbers of each gradient, and the norm of all of them together.

    The latter is what `torch.nn.utils.get_total_norm` gives, in float64.

    Args:
        pairs: (parameter, its gradient), dense.
    """
    if not pairs:
        return [], 0.0
    found = torch.stack([_numbers(local_part(parameter), local_part(gradient)) for parameter, gradient in pairs])
    if any(is_sharded(gradient) for _, gradient in pairs):
        found = join_rows(found.double(), [gradient for _, gradient in pairs])
    rows = found.tolist()  # one transfer from the device
    numbers = [_summary(gradient.numel(), row) for (_, gradient), row in zip(pairs, rows, strict=True)]
    return numbers, total_of([each.norm for each in numbers])


def total_of(norms: Sequence[float]) -> float:
    """The norm of all gradients together, from their own."""
    return math.nan if any(map(math.isnan, norms)) else math.hypot(*norms)


def dense(gradient: Tensor) -> Tensor:
    """The gradient itself; of a sparse one (an Embedding with sparse=True) all its elements."""
    return gradient if gradient.layout == torch.strided else gradient.to_dense()


def angle(part: Tensor, whole: Tensor, norms: float | None = None) -> float | None:
    """The cosine between two tensors of one shape; None where one is zero or no number.

    Args:
        norms: The product of their norms, if it is known; small tensors are measured again in float64.
    """
    if part.numel() <= EXACT and part.device.type != "mps":
        wide = _like(part, torch.float64)
        part, whole, norms = part.to(wide), whole.to(wide), None
    elif part.dtype in (torch.float16, torch.bfloat16):
        part, whole = part.float(), whole.float()
    norms = float(_norm(part)) * float(_norm(whole)) if norms is None else norms
    if not norms or not math.isfinite(norms):
        return None
    return max(-1.0, min(1.0, _dot(part, whole) / norms))


def norm_of(tensor: Tensor) -> float:
    """Euclidean norm, to the precision of its numbers."""
    return float(_norm(tensor))


def _numbers(parameter: Tensor, gradient: Tensor) -> Tensor:
    """[norm, minimum, maximum, number of non-zeros, norm of the parameter] in float64 on the CPU's terms."""
    plain = gradient.abs() if gradient.is_complex() else gradient
    norm = _norm(gradient)
    low, high = torch.aminmax(plain) if plain.numel() else (norm, norm)
    # mps has no float64
    dtype = torch.float32 if gradient.device.type == "mps" else torch.float64
    numbers = [norm, low, high, torch.count_nonzero(plain), _norm(dense(parameter.detach()))]
    return torch.stack([number.to(dtype) for number in numbers]).cpu()


def _summary(numel: int, row: Sequence[float]) -> GradientNumbers:
    norm, low, high, nonzero, weight = row
    max_abs = max(abs(low), abs(high))  # both are nan if there is one
    state: GradState = "ok"
    if math.isnan(max_abs):
        state = "nan"
    elif math.isinf(max_abs):
        state = "inf"
    elif numel and not nonzero:
        state = "zero"
    ratio = norm / weight if weight and math.isfinite(weight) else None
    return GradientNumbers(state, norm, max_abs, 1 - nonzero / numel if numel else None, ratio)


def _norm(tensor: Tensor) -> Tensor:
    """First of each row, then in float64 of these: torch sums up to 10^8 squares in float32 and loses three digits."""
    wide = torch.float32 if tensor.device.type == "mps" else torch.float64
    if tensor.numel() <= PIECE:
        small: Tensor = torch.linalg.vector_norm(tensor, dtype=_like(tensor, wide))
        return small
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    rows: Tensor = torch.linalg.vector_norm(
        tensor.reshape(tensor.shape[0] if tensor.dim() > 1 else 1, -1), dim=1, dtype=torch.float32 if half else None
    )
    norm: Tensor = torch.linalg.vector_norm(rows, dtype=wide)
    return norm


def _like(tensor: Tensor, wide: torch.dtype) -> torch.dtype:
    """The complex type of that width, for a complex tensor."""
    return wide.to_complex() if tensor.is_complex() else wide


def _dot(part: Tensor, whole: Tensor) -> float:
    """The real inner product; piece by piece, since millions of terms in float32 lose digits."""
    pieces = zip(torch.split(part.reshape(-1), PIECE), torch.split(whole.reshape(-1), PIECE), strict=True)
    return math.fsum(float(torch.vdot(one, other).real) for one, other in pieces)
