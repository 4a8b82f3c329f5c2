"""A model in Python, for `paraminspect list configs/my_model.py:MyModel`."""

import torch
from torch import Tensor, nn


class MyModel(nn.Module):
    """Two matrices, of which only one is a parameter: `weight2` will not train, move or be saved."""

    def __init__(self, size: int = 20) -> None:
        super().__init__()
        self.weight1 = nn.Parameter(torch.rand(size, size))
        self.weight2 = torch.rand(size, size)

    def forward(self, x: Tensor) -> Tensor:
        """`x @ weight1 @ weight2`, of x [n, size]."""
        return x @ self.weight1 @ self.weight2
