"""How a model is cut; what comes of it is tested where several processes run, in cli/test_ranks.py."""

from __future__ import annotations

import pytest
from torch import nn

from paraminspect.errors import BackwardError, ParamInspectError
from paraminspect.live.grad import sharding
from paraminspect.live.grad.asked import Shard, parse_shard


@pytest.mark.parametrize(
    ("text", "due"), [("fsdp", (True, 0)), ("tp=2", (False, 2)), ("tp=4,fsdp", (True, 4)), ("fsdp,tp=3", (True, 3))]
)
def test_what_shard_says(text: str, due: tuple[bool, int]) -> None:
    assert parse_shard(text) == Shard(text, *due)


@pytest.mark.parametrize(
    "text", ["ddp", "tp", "tp=", "tp=1", "tp=x", "tp=2,tp=2", "fsdp,fsdp", "fsdp,tp=2,pp=2", ",", "2"]
)
def test_what_it_cannot_say(text: str) -> None:
    with pytest.raises(ParamInspectError, match="expected fsdp, tp=N or tp=N,fsdp"):
        parse_shard(text)


def test_groups_are_apart_and_tied_parameters_stay_with_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "LEAST_BYTES", 1)
    blocks = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)) for _ in range(9)))
    embed, head = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
    head.weight = embed.weight
    model = nn.ModuleDict({"embed": embed, "held": nn.ModuleList([blocks]), "head": head})
    assert sharding._groups(model) == list(blocks)


def test_a_tensor_that_is_neither_parameter_nor_buffer_is_refused() -> None:
    model = nn.Linear(2, 2, device="meta")
    model.table = model.weight.detach() + 1
    with pytest.raises(BackwardError, match="table is neither parameter nor buffer"):
        sharding._names(model)
