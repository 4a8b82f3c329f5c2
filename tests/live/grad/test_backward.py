"""Backward passes, held against bare torch, finite differences and what the model was before."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from paraminspect.errors import ParamInspectError
from paraminspect.live.build import memory, untouched
from paraminspect.live.build.live_model import LiveModel
from paraminspect.live.build.seeds import global_seed
from paraminspect.live.grad.backward import backward_report
from paraminspect.live.grad.feed import Feed, Wanted
from tests.making.live_models import open_live

SMALL: dict[str, dict[str, Any]] = {
    "mlp": {},
    "shared_linear": {},
    "custom_init": {},
    "unet": {},
    "autoencoder": {},
    "lstm_tagger": {"vocab": 50, "dim": 10, "hidden": 8},
    "gpt2": {"dim": 16, "heads": 2, "depth": 2, "vocab": 41, "context": 32},
    "llama-7b": {"dim": 16, "hidden": 24, "heads": 4, "kv_heads": 2, "depth": 2, "vocab": 41},
    "vit-b16": {"image": 32, "patch": 8, "dim": 16, "heads": 2, "depth": 2, "hidden": 24, "classes": 5},
    "resnet18": {"classes": 5},
}


def load(configs: Path, name: str) -> LiveModel:
    return open_live(str(configs / f"{name}.yaml"), variables=SMALL[name], device="cpu")


def bare_loss(name: str, output: Tensor, target: Tensor | None) -> Tensor:
    """What a script would write."""
    if name in {"mlp", "shared_linear"}:
        return output.sum()
    if name in ("custom_init", "unet"):
        return output.mean()
    assert target is not None
    if name == "autoencoder":
        return functional.mse_loss(output, target)
    return functional.cross_entropy(output.reshape(-1, output.shape[-1]), target.reshape(-1))


@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_those_of_a_bare_script_to_the_bit(configs: Path, name: str) -> None:
    live, bare = load(configs, name), load(configs, name).model
    assert live.plan is not None
    inputs, loss = Feed(Wanted(), live.plan, 0, live.feeding().inputs).batch()
    if name == "resnet18":
        inputs = inputs._replace(positional=[each[:, :, :64, :64] for each in inputs.positional])
    report = backward_report(live.model, inputs, loss, seed=0, plan=live.plan)

    target = None
    if live.plan.loss.target is not None:
        from paraminspect.live.build.inputs import make_tensor

        target = make_tensor(live.plan.loss.target, device="cpu", seed=0)
    with global_seed(0, "", "forward"):
        value = bare_loss(name, bare(*inputs.positional), target)
    value.backward()
    assert report.loss == value.item()
    for (name_, parameter), record in zip(bare.named_parameters(), report.parameters, strict=True):
        assert record.name == name_
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, report.gradients[name_])
        assert record.norm == pytest.approx(parameter.grad.double().norm().item(), rel=1e-6)
        assert record.max_abs == parameter.grad.abs().max().item()
        assert record.zero_fraction == pytest.approx((parameter.grad == 0).float().mean().item(), abs=1e-6)
    total = torch.nn.utils.get_total_norm([parameter.grad.double() for parameter in bare.parameters()])
    assert report.total_norm == pytest.approx(total.item(), rel=1e-6)
    assert report.total_norm == math.hypot(*[record.norm for record in report.parameters])
    assert report.none_before == len(report.parameters)


@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_those_of_finite_differences(configs: Path, name: str) -> None:
    live = load(configs, name)
    live.model.double()
    feeding = live.feeding()
    inputs, loss = Feed(Wanted(), live.plan, 0, lambda step: feeding.inputs(step, dtype=torch.float64)).batch()
    if name == "resnet18":  # a part of the picture does
        inputs = inputs._replace(positional=[each[:, :, :48, :48] for each in inputs.positional])
    report = backward_report(live.model, inputs, loss, seed=0)
    torch.manual_seed(3)
    directions = {each: torch.randn_like(parameter) for each, parameter in live.model.named_parameters()}
    expected = sum((report.gradients[each] * directions[each]).sum().item() for each in directions)

    def moved(step: float) -> float:
        with torch.no_grad():
            for each, parameter in live.model.named_parameters():
                parameter.add_(directions[each], alpha=step)
            value = backward_report(live.model, inputs, loss, seed=0).loss
            for each, parameter in live.model.named_parameters():
                parameter.sub_(directions[each], alpha=step)
        return value

    step = 1e-8  # past a kink of a ReLU the difference is another one
    assert (moved(step) - moved(-step)) / (2 * step) == pytest.approx(expected, rel=2e-4, abs=1e-6)


class Everything(nn.Module):
    """What can be left changed: statistics, modes, dropout, numpy and Python, a scaled embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 4, max_norm=0.5)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 2)
        self.register_buffer("seen", torch.zeros(()))
        self.embed.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + 1
        noise = random.random() + float(np.random.rand())
        return self.head(self.drop(self.norm(self.embed(x)))) * noise


def bits(model: nn.Module) -> dict[str, bytes]:
    return {name: each.detach().numpy().tobytes() for name, each in model.state_dict().items()}


@pytest.mark.parametrize("seed", [7, None])
def test_the_model_is_left_untouched(seed: int | None) -> None:
    model = Everything()
    nn.init.normal_(model.embed.weight, std=3)
    model.head.weight.grad = torch.ones(2, 4)
    steps: list[int] = []
    handle = model.head.weight.register_post_accumulate_grad_hook(lambda _: steps.append(1))
    held, buffers = model.head.weight.grad, dict(model.named_buffers())
    before = bits(model)
    modes = [module.training for module in model.modules()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    backward = torch.autograd.backward

    report = backward_report(model, torch.tensor([1, 2, 5]), seed=seed, uses=True)

    assert bits(model) == before
    assert [module.training for module in model.modules()] == modes
    assert model.head.weight.grad is held
    assert (held == 1).all()
    assert model.embed.weight.grad is None
    assert all(buffer is buffers[name] for name, buffer in model.named_buffers())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert str(np.random.get_state()) == str(states[2])
    assert torch.autograd.backward is backward
    assert steps == []
    assert report.none_before == 4
    (note,) = report.notes
    assert note.startswith("head.weight: the post-accumulate-grad hook <lambda>")
    handle.remove()


def test_the_model_is_left_untouched_by_a_failure() -> None:
    model = Everything()
    before = bits(model)
    backward = torch.autograd.backward
    with pytest.raises(ParamInspectError):
        backward_report(model, torch.tensor([1, 2]), lambda output: output)
    assert bits(model) == before
    assert torch.autograd.backward is backward
    assert all(not module._forward_hooks for module in model.modules())


def test_hooks_that_step_inside_backward_come_back() -> None:
    model = nn.Linear(2, 1)
    steps: list[int] = []
    model.weight.register_post_accumulate_grad_hook(lambda _: steps.append(1))
    backward_report(model, torch.ones(1, 2))
    assert steps == []
    model(torch.ones(1, 2)).sum().backward()
    assert steps == [1]


def test_a_forward_pass_that_changes_a_parameter_is_named() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))
            self.other = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                self.other.mul_(2)
            return x * self.weight

    net = Net()
    report = backward_report(net, torch.ones(2))
    assert report.notes == ("the forward pass changes other itself",)
    assert net.other.tolist() == [1, 1]


def test_parameters_are_copied_only_where_code_of_the_user_may_write_into_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[bool] = []

    class Noting(untouched.Before):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            copied.append(any(each.values is not None for each in self._kept.values()))

    monkeypatch.setattr(untouched, "Before", Noting)
    (tmp_path / "own.py").write_text("import torch\nclass Mine(torch.nn.Linear): pass\n")
    spec = tmp_path / "net.yaml"
    spec.write_text("model: [{Mine: [2, 2]}]\ninput: [1, 2]\n")
    for live in (
        open_live("configs/mlp.yaml", device="cpu"),
        open_live(str(spec), modules_file=str(tmp_path / "own.py"), device="cpu"),
    ):
        backward_report(live.model, live.inputs(), plan=live.plan)
    backward_report(nn.Linear(2, 2), torch.ones(2))
    assert copied == [False, True, True]


def test_same_seed_same_gradients() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    x = torch.ones(4, 8)
    one, same, other = (backward_report(model, x, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.gradients["0.weight"], same.gradients["0.weight"])
    assert not torch.equal(one.gradients["0.weight"], other.gradients["0.weight"])


def test_states_and_numbers() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.plain = nn.Parameter(torch.tensor([3.0, 4.0]))
            self.zero = nn.Parameter(torch.ones(2))
            self.none = nn.Parameter(torch.ones(2))
            self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
            self.nan = nn.Parameter(torch.zeros(2))
            self.inf = nn.Parameter(torch.zeros(1))
            self.empty = nn.Parameter(torch.ones(0))

        def forward(self, x: Tensor) -> Tensor:
            value = (self.plain * torch.tensor([0.0, -2.0])).sum() + (self.zero * 0).sum()
            value = value + torch.where(self.nan > 0, self.nan.sqrt(), 0.0).sum() + self.inf.sqrt().sum()
            return value + self.empty.sum()

    report = backward_report(Net(), torch.ones(1))
    found = {record.name: record for record in report.parameters}
    assert {name: record.state for name, record in found.items()} == {
        "plain": "ok", "zero": "zero", "none": "none", "frozen": "frozen", "nan": "nan", "inf": "inf", "empty": "ok",
    }  # fmt: skip
    plain = found["plain"]
    assert (plain.norm, plain.max_abs, plain.zero_fraction, plain.norm_ratio) == (2, 2, 0.5, 0.4)
    assert (found["none"].norm, found["none"].max_abs, found["frozen"].zero_fraction) == (None, None, None)
    assert found["empty"].reason == "has no elements"
    assert report.states == {"ok": 2, "zero": 1, "none": 1, "frozen": 1, "nan": 1, "inf": 1}


def test_half_precision_norms_are_taken_in_float32() -> None:
    model = nn.Linear(300, 300, dtype=torch.float16)
    report = backward_report(model, torch.full((1, 300), 2.0, dtype=torch.float16), lambda y: y.sum() * 200)
    assert report.parameters[0].norm == pytest.approx(400 * 300)  # float16 ends at 65,504
    assert report.parameters[0].state == "ok"


def test_sparse_gradients_are_shown_whole() -> None:
    model = nn.EmbeddingBag(5, 2, sparse=True, mode="sum")
    report = backward_report(model, torch.tensor([[1, 1, 3]]))
    assert report.gradients["weight"].tolist() == [[0, 0], [2, 2], [0, 0], [1, 1], [0, 0]]
    assert report.parameters[0].zero_fraction == pytest.approx(0.6)


def test_inputs_by_position_and_by_name() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor, *, scale: Tensor) -> Tensor:
            return x * scale * self.weight

    report = backward_report(Net(), {"x": torch.tensor(2.0), "scale": torch.tensor(3.0)})
    assert report.gradients["weight"] == 6
    assert backward_report(nn.Linear(2, 1), (torch.ones(1, 2),), "mean").states == {"ok": 2}


def test_memory_that_runs_out() -> None:
    class Greedy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1000))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight.expand(10**9, 10**6, 1000)

    with pytest.raises(ParamInspectError, match=r"not enough memory: parameters and gradients take 7.81 KiB") as caught:
        backward_report(Greedy(), torch.ones(1))
    assert "smaller batch" in (caught.value.hint or "")


def test_a_container_s_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "memory.max": "5000",
        "memory.current": "3000",
        "memory.stat": "anon 1\ninactive_file 700\n",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "_CGROUP", str(tmp_path))
    assert memory.available_memory() == 2700
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._from_cgroup() is None
    assert (memory.available_memory() or 0) > 1 << 20
