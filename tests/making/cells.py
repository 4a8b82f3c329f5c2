"""Distributions as they come of counting."""

from __future__ import annotations

from typing import Any

import numpy as np

from paraminspect.values.distribution import CELLS, Distribution, count_cells


def in_cells(values: np.ndarray[Any, Any]) -> Distribution:
    """Of numbers that are counted and not kept."""
    counts = np.zeros(CELLS, np.int64)
    count_cells(values, counts)
    return Distribution.of_cells(counts)
