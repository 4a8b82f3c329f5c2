"""One rank of those that write a checkpoint of `make_models.py` together; run by torchrun.

    torchrun --nproc-per-node 2 scripts/make_ranks.py dcp|fsdp1|fsdp2|hf FOLDER

`FOLDER/whole.pt` is the state dict of the model before it was sharded.
"""

# mypy: disable-error-code="no-untyped-call, attr-defined, misc"

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.distributed import checkpoint
from torch.distributed.device_mesh import init_device_mesh


def build() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 5, bias=False))


def shard(kind: str, model: nn.Module) -> dict[str, Any]:
    """The state dict of the model, divided among the ranks."""
    mesh = init_device_mesh("cpu", (2,))
    if kind == "fsdp1":
        from torch.distributed.fsdp import FullyShardedDataParallel, ShardedStateDictConfig, StateDictType

        wrapped = FullyShardedDataParallel(model, device_mesh=mesh, use_orig_params=True, device_id=torch.device("cpu"))
        config = ShardedStateDictConfig()
        with FullyShardedDataParallel.state_dict_type(wrapped, StateDictType.SHARDED_STATE_DICT, config):
            return dict(wrapped.state_dict())
    if kind == "dcp":
        from torch.distributed.tensor import Shard, distribute_tensor

        return {
            name: distribute_tensor(tensor, mesh, [Shard(tensor.dim() - 1)])
            for name, tensor in model.state_dict().items()
        }
    from torch.distributed.fsdp import fully_shard

    fully_shard(model, mesh=mesh)
    return model.state_dict()


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    distributed.init_process_group("gloo")
    model = build()
    if distributed.get_rank() == 0:
        torch.save(model.state_dict(), folder / "whole.pt")
    state = shard(kind, model)
    if kind == "hf":
        from torch.distributed.checkpoint import HuggingFaceStorageWriter

        writer = HuggingFaceStorageWriter(path=str(folder / "sharded"), save_distributed=True)
        checkpoint.save(state, storage_writer=writer)
    else:
        checkpoint.save(state, checkpoint_id=folder / "checkpoint")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
