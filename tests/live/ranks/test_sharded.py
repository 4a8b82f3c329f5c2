"""Models that several processes have together: what is refused, and that one that is alone is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from paraminspect import ParamInspectError, apply_init, backward, plan_init
from paraminspect.live.ranks.sharded import find_peers, has_shards, unsharded_parameters
from tests.making.running import PATIENCE_S, program

SCRIPT = Path(__file__).parents[2] / "making" / "sharded_models.py"


def run_script(ranks: int) -> str:
    """What the script prints, started by torchrun."""
    (python, *_), environ = program()
    done = subprocess.run(
        [python, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), str(SCRIPT)],
        env={**environ, "OMP_NUM_THREADS": "1"}, capture_output=True, timeout=PATIENCE_S, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_ranks_with_fsdp_tensor_parallel_and_ddp() -> None:
    assert run_script(2).split("\n") == ["fsdp ok", "tp ok", "ddp ok", ""]


@pytest.mark.extra(wants="several torchruns")
def test_four_ranks_with_both_fsdp_and_tensor_parallel() -> None:
    assert run_script(4) == "both ok\n"


def test_flattened_parameters_are_refused() -> None:
    model = FullyShardedDataParallel.__new__(FullyShardedDataParallel)  # which wants an accelerator
    nn.Module.__init__(model)
    inside = nn.Sequential(model)
    for call in (
        lambda: apply_init(inside, ["*=zeros"]),
        lambda: plan_init(inside, ["*=zeros"]),
        lambda: backward(inside, torch.ones(1, 2)),
    ):
        with pytest.raises(ParamInspectError, match="FullyShardedDataParallel keeps parameters flattened"):
            call()


def test_a_stage_of_a_pipeline_is_refused() -> None:
    stage = type("PipelineStage", (), {"__module__": "torch.distributed.pipelining.stage"})()
    with pytest.raises(ParamInspectError, match="PipelineStage is a stage of a pipeline"):
        apply_init(stage, ["*=zeros"])


def test_a_model_of_one_process_has_no_peers() -> None:
    model = nn.Linear(2, 2)
    assert not has_shards(model)
    assert find_peers(model) is None
    assert not list(unsharded_parameters(model))
    assert "torch.distributed.fsdp" in sys.modules
