from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from paraminspect.architecture.module_outline import tree_lines
from paraminspect.live.build.outline import make_module_tree
from paraminspect.names.listing import make_listing, total
from paraminspect.records import Kind, TensorRecord
from tests.making.live_models import open_live


def parameters(records: list[TensorRecord]) -> list[tuple[str, tuple[int, ...] | None]]:
    return [(record.name, record.shape) for record in make_listing(records).records]


def test_step_1_print_net(configs: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    tree = make_module_tree(open_live(str(configs / "mlp.yaml")).model)
    assert "\n".join(line.text for line in tree_lines(tree)) == str(net)
    assert "(0): Linear(in_features=4, out_features=3, bias=True)" in str(net)


def test_step_2_named_parameters(configs: Path) -> None:
    live = open_live(str(configs / "mlp.yaml"))
    assert parameters(live.records) == [
        ("0.weight", (3, 4)),
        ("0.bias", (3,)),
        ("2.weight", (1, 3)),
        ("2.bias", (1,)),
    ]
    assert total(make_listing(live.records)).parameters == 19


def test_step_3_parameters_of_one_module(configs: Path) -> None:
    live = open_live(str(configs / "mlp.yaml"))
    records = make_listing(live.records, module="0").records
    kind: Kind = "parameter"
    assert [(each.name, each.shape, each.kind) for each in records] == [
        ("weight", (3, 4), kind),
        ("bias", (3,), kind),
    ]


def test_step_4_a_tensor_that_is_no_parameter(configs: Path) -> None:
    live = open_live(f"{configs / 'my_model.py'}:MyModel")
    assert parameters(live.records) == [("weight1", (20, 20))]
    (other,) = [record for record in live.records if record.role == "attribute"]
    assert (other.name, other.shape, other.kind) == ("weight2", (20, 20), "tensor")
    (note,) = live.notes
    assert note == (
        "weight2 is a tensor attribute of MyModel that is neither parameter nor buffer: "
        "it will not train, move or be saved"
    )


def test_step_4_with_an_argument(configs: Path) -> None:
    live = open_live(f"{configs / 'my_model.py'}:MyModel", arguments=["size=7"])
    assert parameters(live.records) == [("weight1", (7, 7))]


def test_step_5_values(configs: Path) -> None:
    live = open_live(str(configs / "mlp.yaml"))
    assert all(parameter.is_meta for parameter in live.model.parameters())
    values = live.tensor("0.weight")
    assert values.shape == (3, 4)
    assert values.device.type == "cpu"
    assert 0 < values.abs().max() <= 0.5  # uniform within 1/sqrt(4)
    assert torch.equal(values, open_live(str(configs / "mlp.yaml"), device="cpu").tensor("0.weight"))


def test_step_10_one_module_twice(configs: Path) -> None:
    live = open_live(str(configs / "shared_linear.yaml"))
    assert live.model[0] is live.model[1]
    assert parameters(live.records) == [("0.weight", (1, 1))]
    assert total(make_listing(live.records)).parameters == 1
    assert str(live.model).count("Linear(in_features=1, out_features=1, bias=False)") == 2
    first, second = live.records
    assert (second.name, second.storage is first.storage) == ("1.weight", True)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_step_10_on_both_devices(configs: Path, device: str) -> None:
    live = open_live(str(configs / "shared_linear.yaml"), device=device)
    assert len({id(record.storage) for record in live.records}) == 1
