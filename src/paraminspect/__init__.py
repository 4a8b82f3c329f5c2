"""What is in this PyTorch model? Records of every tensor in a checkpoint, read from its headers, without torch."""

from __future__ import annotations

__version__ = "0.1.0"
