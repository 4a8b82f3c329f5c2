"""One rank of a small training run with DeepSpeed, which saves a checkpoint; `scripts.make_fixtures` starts them.

torchrun --standalone --nproc-per-node RANKS scripts/make_zero.py STAGE FOLDER
"""

# mypy: disable-error-code="import-not-found, import-untyped, no-untyped-call, no-untyped-def, misc"
# deepspeed is installed by who runs this, and has no types

from __future__ import annotations

import os
import sys

os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed
import torch
from torch import nn


class Net(nn.Module):
    """A tied head, a frozen layer, buffers of two types, and sizes that no number of ranks divides."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 5)
        self.layer = nn.Linear(5, 5)
        self.norm = nn.LayerNorm(5)
        self.frozen = nn.Linear(5, 5).requires_grad_(False)
        self.head = nn.Linear(5, 11, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("shift", torch.arange(3.0))
        self.register_buffer("steps", torch.tensor(3))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """A loss."""
        hidden = self.frozen(self.norm(self.layer(self.embed(tokens))))
        return self.head(hidden).float().logsumexp(-1).mean()  # type: ignore[no-any-return]


def main() -> None:
    """Two steps, then the checkpoint."""
    stage, folder = int(sys.argv[1]), sys.argv[2]
    torch.manual_seed(0)
    deepspeed.init_distributed("gloo")
    net = Net()
    config = {
        "train_micro_batch_size_per_gpu": 4, "bf16": {"enabled": True},
        "optimizer": {"type": "Adam", "params": {"lr": 0.01, "torch_adam": True}},
        "zero_optimization": {"stage": stage, "sub_group_size": 30},
    }  # fmt: skip
    wanted = [each for each in net.parameters() if each.requires_grad]
    engine, *_ = deepspeed.initialize(model=net, model_parameters=wanted, config=config)
    for _ in range(2):
        engine.backward(engine(torch.randint(0, 11, (4,))))
        engine.step()
    engine.save_checkpoint(folder, tag="step", save_latest=False)


if __name__ == "__main__":
    main()
