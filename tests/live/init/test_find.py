"""What rules can mean, of models and of checkpoints: the same names, each tensor once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from paraminspect.formats import open_source
from paraminspect.live.init.find import model_targets
from paraminspect.rules.meant import Targets, checkpoint_targets
from paraminspect.rules.targets import Target


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4, padding_idx=-1)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        self.wide = nn.Parameter(torch.ones(1).expand(3))


def by_name(found: Targets) -> dict[str, Target]:
    return {target.name: target for target in found.targets}


def test_a_tied_parameter_is_one_target_with_its_other_names() -> None:
    net = Net()
    found = model_targets(net)
    targets = by_name(found)
    assert list(targets) == [name for name, _ in net.named_parameters()]
    assert all(one is other for one, other in zip(found.tensors, net.parameters(), strict=True))
    embed = targets["embed.weight"]
    assert (embed.aliases, embed.padding_idx, embed.shape, embed.problem) == (("head.weight",), 4, (5, 4), "")
    assert [classes.own[0] for classes in (embed.classes, *embed.alias_classes)] == [
        "torch.nn.modules.sparse.Embedding", "torch.nn.modules.linear.Linear",
    ]  # fmt: skip
    assert {(other.name, other.what) for other in found.others} == {
        (name, "buffers") for name, _ in net.named_buffers()
    }


def test_two_parameters_of_one_storage_are_one() -> None:
    net = nn.ModuleList([nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)])
    net[1].weight = nn.Parameter(net[0].weight.detach())
    (target,) = model_targets(net).targets
    assert (target.name, target.aliases) == ("0.weight", ("1.weight",))


def test_what_no_rule_can_change_says_why() -> None:
    assert "many of its elements are one in memory" in by_name(model_targets(Net()))["wide"].problem
    (lazy, _) = model_targets(nn.LazyLinear(3)).targets
    assert (lazy.shape, "without a shape yet" in lazy.problem) == ((), True)


@pytest.mark.filterwarnings("ignore:.*[Ss]parse:UserWarning")
def test_a_checkpoint_has_the_targets_of_its_model(tmp_path: Path) -> None:
    net = Net()
    torch.save(net.state_dict(), tmp_path / "m.pt")
    found = checkpoint_targets(open_source(tmp_path / "m.pt").tensors)
    due = [(each.name, each.shape, each.dtype, each.aliases, each.problem) for each in model_targets(net).targets]
    stored = {each.name: (each.name, each.shape, each.dtype, each.aliases, each.problem) for each in found.targets}
    assert [stored[name] for name, *_ in due] == due
    assert [record.name for record in found.records] == [target.name for target in found.targets]


def test_tensors_that_are_not_plain_say_why(tmp_path: Path) -> None:
    state = {
        "sparse": torch.eye(2).to_sparse(),
        "expanded": torch.ones(1).expand(4),
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []},
    }
    torch.save(state, tmp_path / "m.pt")
    found = checkpoint_targets(open_source(tmp_path / "m.pt").tensors)
    assert {name: target.problem.split(":")[0] for name, target in by_name(found).items()} == {
        "sparse": "of layout sparse_coo", "expanded": "expanded",
    }  # fmt: skip
    assert [(other.name, other.what) for other in found.others] == [("optimizer.state.0.exp_avg", "optimizer state")]
