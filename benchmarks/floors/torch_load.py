"""Peer for torch files: `torch.load`, mapped into memory where the format allows it (`--mmap`)."""

from __future__ import annotations

import sys

import torch

state = torch.load(sys.argv[1], map_location="cpu", weights_only=True, mmap="--mmap" in sys.argv)
rows = [f"{name}\t{list(tensor.shape)}\t{tensor.dtype}\n" for name, tensor in state.items()]
sys.stdout.write("".join(rows))
