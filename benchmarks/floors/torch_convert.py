"""What one writes oneself: load with torch, drop the tie, save with safetensors."""

from __future__ import annotations

import sys

import torch
from safetensors.torch import save_file


def main() -> None:
    state = torch.load(sys.argv[1], weights_only=True)
    seen: dict[int, str] = {}
    ties = {name: seen.setdefault(tensor.data_ptr(), name) for name, tensor in state.items()}
    kept = {name: tensor for name, tensor in state.items() if ties[name] == name}
    save_file(kept, sys.argv[2], {"format": "pt"})


if __name__ == "__main__":
    main()
