"""Values of stored tensors, read through numpy: torch is not needed and nothing of a file is executed."""

from __future__ import annotations
