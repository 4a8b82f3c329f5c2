"""An orthogonal matrix in half of the memory: the values of `torch.nn.init.orthogonal_`, to the bit.

Its QR decomposition has the matrix, a copy column by column, Q and R at one time. LAPACK needs one of them, column by
column, which a matrix of more columns than rows is when its transpose is taken.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def fill_orthogonal(tensor: Tensor, gain: float, generator: Generator | None = None) -> Tensor:
    """Fill a contiguous tensor of real numbers, of two or more dimensions, none of them 0.

    Source:
        torch/nn/init.py, `orthogonal_` (torch 2.13): which matrix is drawn, and the signs that make it uniform.
    """
    rows = tensor.view(tensor.shape[0], -1)
    drawn = rows.normal_(0, 1, generator=generator).t()
    is_tall = rows.shape[0] >= rows.shape[1]
    matrix = drawn.contiguous().t() if is_tall else drawn
    scales = matrix.new_empty(min(matrix.shape))
    torch.geqrf(matrix, out=(matrix, scales))
    signs = matrix.diagonal().sign()
    torch.linalg.householder_product(matrix, scales, out=matrix)
    matrix *= signs
    if is_tall:
        rows.copy_(matrix)
    return tensor.mul_(gain)
