"""The chapter on parameters, from the shell: what each step does in Python, and what the command must show."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

Command = tuple[list[str], dict[str, str]]

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def shell(command: Command) -> Any:
    """Run a command line and return what it prints, standard output and standard error."""

    def run_line(line: str) -> tuple[str, str]:
        program, environ = command
        done = subprocess.run(
            [*program, *shlex.split(line)], env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return run_line


@pytest.fixture
def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))


def rows(text: str) -> list[tuple[str, str]]:
    """Name and shape."""
    return [(line.split("\t")[0], line.split("\t")[1]) for line in text.splitlines()]


def test_1_tree_is_what_print_shows(shell: Any, net: nn.Module) -> None:
    stdout, _ = shell("tree configs/mlp.yaml")
    lines = stdout.splitlines()
    printed = str(net).splitlines()
    assert [line[: len(due)] for line, due in zip(lines, printed, strict=False)] == printed
    assert [line[len(due) :].split() for line, due in zip(lines, printed, strict=False)] == [
        ["19", "100%"], ["15", "78.9%"], [], ["4", "21.1%"], [],
    ]  # fmt: skip


def test_2_parameters_and_their_shapes(shell: Any, net: nn.Module) -> None:
    stdout, _ = shell("list configs/mlp.yaml")
    due = [(name, str(list(parameter.size())).replace(" ", "")) for name, parameter in net.named_parameters()]
    assert rows(stdout) == due == [("0.weight", "[3,4]"), ("0.bias", "[3]"), ("2.weight", "[1,3]"), ("2.bias", "[1]")]
    assert sum(int(line.split("\t")[3]) for line in stdout.splitlines()) == 19


def test_3_parameters_of_one_layer(shell: Any) -> None:
    stdout, _ = shell("list configs/mlp.yaml --module 0")
    assert rows(stdout) == [("weight", "[3,4]"), ("bias", "[3]")]
    assert [line.split("\t")[5:7] for line in stdout.splitlines()] == [["parameter", "true"]] * 2


def test_4_a_tensor_attribute_is_no_parameter(shell: Any) -> None:
    stdout, stderr = shell("list configs/my_model.py:MyModel")
    assert rows(stdout) == [("weight1", "[20,20]")]
    assert "weight2 is a tensor attribute" in stderr
    assert "neither parameter nor buffer: it will not train, move or be saved" in stderr
    stdout, _ = shell("list configs/my_model.py:MyModel --all")
    assert rows(stdout) == [("weight1", "[20,20]"), ("weight2", "[20,20]")]


def test_5_values(shell: Any) -> None:
    stdout, _ = shell("show configs/mlp.yaml 0.weight")
    head, values = stdout.split("\n", 1)
    assert head == "0.weight  Parameter  float32  [3,4]"
    tensor = eval(values, {"tensor": torch.tensor})
    assert tensor.shape == (3, 4)
    assert 0 < tensor.abs().max() <= 0.5  # torch draws a Linear from within 1/sqrt(inputs)
    assert shell("show configs/mlp.yaml 0.weight")[0] == stdout


def test_5_gradients(shell: Any, workplace: Path) -> None:
    stdout, stderr = shell("grad configs/mlp.yaml --show")
    assert stderr.startswith("note: before backward: 4 of 4 gradients are None\n")
    blocks = stdout.split("\n\n")
    assert blocks[-1].startswith("loss ")
    from paraminspect.live.build.inputs import make_inputs
    from tests.making.live_models import open_live

    live = open_live("configs/mlp.yaml", device="cpu")
    live.model(*make_inputs(live.plan, device="cpu")).sum().backward()
    for block, (name, parameter) in zip(blocks, live.model.named_parameters(), strict=False):
        head, values = block.split("\n", 1)
        shape = str(list(parameter.shape)).replace(" ", "")
        assert head == f"{name}  gradient  float32  {shape}"
        torch.testing.assert_close(eval(values, {"tensor": torch.tensor}), parameter.grad, rtol=0, atol=1e-4)


def test_12_a_shared_gradient_is_the_sum_of_its_uses(shell: Any) -> None:
    line = "grad configs/shared_linear.yaml --rule *=constant(3) --uses"
    stdout, _ = shell(line)
    uses = [line.split("\t") for line in stdout.splitlines()]
    assert [(use[:2], float(use[3]), float(use[5])) for use in uses] == [
        (["0.weight", "0"], 3, 6),
        (["0.weight", "1"], 3, 6),
    ]
    assert '"loss": 9.0' in shell(f"{line} --format json")[0]


def values(shell: Any, source: str) -> dict[str, torch.Tensor]:
    """What `show` says of all tensors of a source."""
    document = json.loads(shell(f"show {source} '*' --format json")[0])
    return {each["name"]: torch.tensor(each["values"]) for each in document["tensors"]}


def steps(shell: Any, line: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(shell(f"{line} --format json")[0])["steps"]}


def test_6_weights_from_a_normal_distribution(shell: Any) -> None:
    rule = "--rule '*weight*=normal(mean=0, std=0.01)'"
    found = steps(shell, f"init configs/mlp.yaml {rule} -o net.safetensors")
    assert list(found) == ["0.weight", "2.weight"]
    assert {name: step["arguments"] for name, step in found.items()} == {
        key: {"mean": 0.0, "std": 0.01} for key in found
    }
    drawn, default = values(shell, "net.safetensors"), values(shell, "configs/mlp.yaml")
    for name, step in found.items():
        assert abs(step["mean"]) < 0.03
        assert 0.001 < step["std"] < 0.05
        assert step["std"] == pytest.approx(float(drawn[name].double().std()), rel=1e-6)
        assert float(drawn[name].abs().max()) < 0.06
    assert torch.equal(drawn["0.bias"], default["0.bias"])
    assert torch.equal(drawn["2.bias"], default["2.bias"])
    assert "2 parameters are matched by no rule and kept: 0.bias, 2.bias" in shell(f"init configs/mlp.yaml {rule}")[1]


@pytest.mark.parametrize("rule", ["'*bias*=constant(0)'", "gaussian"])
def test_7_biases_are_zero(shell: Any, rule: str) -> None:
    shell(f"init configs/mlp.yaml --rule {rule} -o net.pt")
    drawn = values(shell, "net.pt")
    assert torch.equal(drawn["0.bias"], torch.zeros(3))
    assert torch.equal(drawn["2.bias"], torch.zeros(1))


def test_8_a_rule_of_ones_own(shell: Any) -> None:
    options = "--rules-file configs/my_rules.py --rule '*weight*=init_weight'"
    shell(f"init configs/mlp.yaml {options} -o net.safetensors")
    drawn = torch.cat([values(shell, "net.safetensors")[name].flatten() for name in ("0.weight", "2.weight")])
    assert bool(((drawn == 0) | ((drawn.abs() >= 5) & (drawn.abs() <= 10))).all())
    assert 0 < int((drawn == 0).sum()) < len(drawn)


def test_9_one_more_on_every_bias(shell: Any) -> None:
    shell("init configs/mlp.yaml --rule '*bias*=add(1)' -o net.pt")
    before, after = values(shell, "configs/mlp.yaml"), values(shell, "net.pt")
    for name in before:
        assert torch.equal(after[name], before[name] + 1 if "bias" in name else before[name])


def test_10_a_layer_that_stands_twice_has_one_parameter(shell: Any, workplace: Path) -> None:
    stdout, _ = shell("list configs/shared_linear.yaml")
    assert rows(stdout) == [("0.weight", "[1,1]")]
    linear = nn.Linear(1, 1, bias=False)
    printed = str(nn.Sequential(linear, linear)).splitlines()
    lines = shell("tree configs/shared_linear.yaml")[0].splitlines()
    assert [line[: len(due)] for line, due in zip(lines, printed, strict=False)] == printed
    assert lines[2].endswith("= 0")


def test_11_the_two_names_are_one_layer(shell: Any) -> None:
    linear = nn.Linear(1, 1, bias=False)
    net = nn.Sequential(linear, linear)
    assert id(net[0]) == id(net[1])
    assert id(net[0].weight) == id(net[1].weight)
    stdout, _ = shell("shared configs/shared_linear.yaml")
    assert stdout == "module\t0.weight\t1.weight\t[1,1]\tfloat32\t4\t4\n"
