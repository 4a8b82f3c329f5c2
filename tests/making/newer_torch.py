"""Tests that are about what torch has since a version; `make compat` runs them with older ones too."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from packaging.version import Version

ALONE = {"no_dist": True} if "no_dist" in inspect.signature(dcp.save).parameters else {}
"""Arguments with which `dcp.save` and `dcp.load` look for no other process; older ones find out."""


def since(version: str) -> pytest.MarkDecorator:
    """Skips where torch is older."""
    return pytest.mark.skipif(not is_since(version), reason=f"takes torch {version}")


def is_since(version: str) -> bool:
    """Whether torch is of this version or newer."""
    return Version(torch.__version__) >= Version(version)


def dtypes(names: Iterable[str]) -> list[Any]:
    """Types as parameters of a test, which skips those that an older torch has not got."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(not hasattr(torch, name), reason=f"takes a torch with {name}"))
        for name in names
    ]
