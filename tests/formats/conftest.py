"""What people save with torch, for the tests of the formats that it writes; other tests do without torch."""

from __future__ import annotations

from hypothesis import settings

from tests.making.without_torch import HAS_TORCH

if HAS_TORCH:
    from tests.making.torch_states import assert_like_torch, dtype, foreign_class, state  # noqa: F401

settings.register_profile("formats")  # the first example of a test may import torch
settings.load_profile("formats")
