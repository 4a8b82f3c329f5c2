"""The oracle of statistics: torch, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from paraminspect.values.distribution import BINS, QUANTILES
from paraminspect.values.stats import TensorStats

if TYPE_CHECKING:
    import torch

CheckStats = Callable[[TensorStats, "torch.Tensor"], None]

CLOSE = 1e-12
CELL = 1 / 128
"""Relative error of quantiles where there are many values of a wide type."""


def check(found: TensorStats, tensor: torch.Tensor) -> None:
    """Statistics are those that torch gives of the finite values, as float64."""
    import torch

    wide = tensor.detach().flatten()
    if wide.is_complex():
        wide = torch.where(torch.isnan(wide), torch.nan, wide.to(torch.complex128).abs())
    narrow = wide.dtype.itemsize <= 2
    wide = wide.double()
    assert (found.count, found.nan, found.inf) == (wide.numel(), int(wide.isnan().sum()), int(wide.isinf().sum()))
    wide = wide[wide.isfinite()]
    if not wide.numel():
        assert (found.mean, found.std, found.min, found.quantiles, found.histogram) == (None,) * 5
        return
    scale = float(wide.square().mean().sqrt())
    assert found.zeros == int((wide == 0).sum())
    assert (found.min, found.max) == pytest.approx((float(wide.min()), float(wide.max())), rel=4e-16, abs=0)
    assert found.mean == pytest.approx(float(wide.mean()), rel=0, abs=CLOSE * scale + 5e-324)
    assert found.norm == pytest.approx(float(torch.linalg.vector_norm(wide)), rel=CLOSE)
    if wide.numel() > 1:
        assert found.std == pytest.approx(float(wide.std()), rel=CLOSE, abs=1e-15 * scale)
    else:
        assert found.std is None
    assert found.quantiles is not None
    assert found.histogram is not None
    expected = np.quantile(wide.numpy(), QUANTILES)
    few = narrow or tensor.numel() <= 1 << 16
    np.testing.assert_allclose(
        found.quantiles, expected, rtol=1e-12 if few else CELL, atol=1e-14 * scale + 5e-324 if few else 1e-40
    )
    assert (len(found.histogram), sum(found.histogram)) == (BINS, wide.numel())
    span = float(wide.max()) - float(wide.min())
    # numpy refuses a range that it cannot cut into bins of their own
    if few and max(1e-300, 1e-13 * float(wide.abs().max())) < span < np.inf:
        assert list(found.histogram) == np.histogram(wide.numpy(), BINS)[0].tolist()
    elif not few:
        apart = np.array(found.histogram) - np.histogram(wide.numpy(), BINS)[0]
        assert np.abs(apart).max() <= wide.numel() / 500


@pytest.fixture
def check_stats() -> Any:
    return check
