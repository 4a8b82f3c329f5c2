"""Statistics of a torch tensor, by the same code as those of stored ones."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from paraminspect.records import InitStep
from paraminspect.text import counted
from paraminspect.values.moments import Moments

CHUNK = 1 << 20
"""Elements that are looked at together."""


def measure(tensor: Tensor) -> Moments:
    """Moments of all elements of a dense tensor, on any device."""
    moments = Moments()
    for piece in pieces_of(tensor):
        add_piece(moments, piece)
    return moments


def pieces_of(tensor: Tensor) -> Iterator[Tensor]:
    """The elements in row-major order, some at a time, as contiguous 1-D tensors; views where the tensor is contiguous."""
    flat = tensor.detach().reshape(-1)
    for begin in range(0, flat.numel(), CHUNK):
        yield flat[begin : begin + CHUNK].contiguous()


def add_piece(moments: Moments, piece: Tensor) -> None:
    """Take in one piece; types that numpy lacks are widened to float32, which holds them exactly."""
    if piece.dtype == torch.bfloat16 or str(piece.dtype).startswith("torch.float8"):
        piece = piece.float()
    moments.add(piece.cpu().numpy())


def with_statistics(step: InitStep, found: Moments) -> InitStep:
    """A step with what was measured; a note if the type of the tensor cannot hold its values."""
    lost = found.count - found.finite
    notes = [step.note, f"{counted(lost, 'value')} infinite or no number" if lost else ""]
    note = "; ".join(filter(None, notes))
    return step._replace(mean=found.mean, std=found.std, min=found.min, max=found.max, note=note)
