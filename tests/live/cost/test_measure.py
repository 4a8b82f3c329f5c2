"""FLOPs and bytes kept for the backward pass: against arithmetic, torch's own counter, and a bare loop on the CPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import paraminspect as pi
from paraminspect.outcomes import ModuleCost
from tests.making.newer_torch import since


def rows(model: nn.Module, *inputs: object, **options: Any) -> dict[str, ModuleCost]:
    return {each.name: each for each in pi.cost(model, inputs, **options).modules}


def numbers(row: ModuleCost) -> tuple[int | None, int | None, int | None]:
    return row.flops_forward, row.flops_backward, row.saved_bytes


def kept_by_loop(model: nn.Module, *inputs: object) -> int:
    """Bytes of the storages that operations save, those of parameters and buffers apart."""
    held = {each.untyped_storage().data_ptr() for each in [*model.parameters(), *model.buffers()]}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in held:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(*inputs)
        total = sum(storages.values())
    del output
    return total


class Attend(nn.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x, dropout_p=self.dropout)


class Twice(nn.Module):
    """One layer at work three times, under two names, and one that does not run."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first
        self.idle = nn.Linear(9, 9)
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 2)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.first, self.first, self.second, *self.blocks):
            x = layer(x).tanh()
        return x


class Recomputed(nn.Module):
    def __init__(self, *, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant
        self.inner = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))

    def forward(self, x: Tensor) -> Any:
        return checkpoint(self.inner, x.requires_grad_(), use_reentrant=self.reentrant)


def small_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, stride=2),
        nn.GroupNorm(2, 6), nn.SiLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(24, 5), nn.LogSoftmax(1),
    )  # fmt: skip


def encoder() -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(4, 3), (2, 4)),
    "vector": (lambda: nn.Linear(4, 3), (4,)),
    "net": (small_net, (2, 3, 10, 10)),
    "lstm": (lambda: nn.LSTM(4, 3, bidirectional=True), (2, 2, 4)),
    "gru": (lambda: nn.GRU(4, 3), (2, 2, 4)),
    "encoder": (encoder, (2, 5, 8)),
    "attention": (Attend, (2, 2, 5, 4)),
    "transposed": (lambda: nn.ConvTranspose2d(2, 3, 3, groups=1), (1, 2, 5, 5)),
    "depthwise": (lambda: nn.Conv1d(4, 8, 3, groups=4), (2, 4, 9)),
    "twice": (Twice, (3, 4)),
    "normed": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (2, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_kept_is_what_a_run_on_the_cpu_keeps(name: str) -> None:
    make, shape = MODELS[name]
    model = make()
    x = torch.randn(shape).requires_grad_(name == "attention")
    row = rows(model, x)[""]
    has_onednn = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        assert row.saved_bytes == kept_by_loop(model, x) > 0
    finally:
        torch._C._set_mkldnn_enabled(has_onednn)


@pytest.mark.parametrize(
    "name",  # torch has no formula for addmv; nor, until 2.10, a kernel for a normed weight without values
    [pytest.param(name, marks=since("2.10")) if name == "normed" else name for name in MODELS if name != "vector"],
)
def test_flops_are_those_that_torch_counts(name: str) -> None:
    make, shape = MODELS[name]
    x = torch.randn(shape, device="meta").requires_grad_(name == "attention")
    model = make().to("meta")
    with FlopCounterMode(display=False) as counter:
        output = model(x)
        forward = counter.get_total_flops()
        ends = [each for each in (output if isinstance(output, tuple) else [output]) if isinstance(each, Tensor)]
        torch.autograd.backward(ends, [torch.ones_like(each) for each in ends])
    cost = pi.cost(make(), torch.randn(shape).requires_grad_(name == "attention"), attention="math").totals
    assert (cost.flops_forward, cost.flops_backward) == (forward, counter.get_total_flops() - forward)


def test_a_linear_layer_by_hand() -> None:
    row = rows(nn.Linear(4, 3), torch.ones(2, 4))[""]
    assert row == ModuleCost("", "torch.nn.modules.linear.Linear", 15, (2, 3), 2 * 2 * 4 * 3, 2 * 2 * 4 * 3, 2 * 4 * 4)
    with_gradient = rows(nn.Linear(4, 3), torch.ones(2, 4, requires_grad=True))[""]
    assert with_gradient.flops_backward == 2 * 2 * 2 * 4 * 3  # of the weight and of the input
    assert numbers(rows(nn.Linear(4, 3), torch.ones(4))[""]) == (24, 24, 16)


def test_a_convolution_by_hand() -> None:
    row = rows(nn.Conv2d(3, 6, 5, bias=False), torch.ones(2, 3, 9, 9))[""]
    assert numbers(row) == (2 * 2 * 6 * 5 * 5 * 3 * 5 * 5, 2 * 2 * 6 * 5 * 5 * 3 * 5 * 5, 4 * 2 * 3 * 9 * 9)


def test_attention_by_hand() -> None:
    x = torch.ones(2, 3, 5, 4, requires_grad=True)
    scores = 2 * (2 * 3 * 5 * 5 * 4)
    flash, math = rows(Attend(), x)[""], rows(Attend(), x, attention="math")[""]
    assert numbers(flash) == (2 * scores, 5 * scores, 4 * (2 * 2 * 3 * 5 * 4 + 2 * 3 * 5))  # x, output, a sum a row
    assert numbers(math)[:2] == (2 * scores, 4 * scores)
    assert math.saved_bytes is not None
    assert math.saved_bytes >= 4 * (2 * 3 * 5 * 5)
    dropped = rows(Attend(0.5), x)[""]
    assert numbers(dropped)[:2] == numbers(math)[:2]
    assert numbers(rows(Attend(0.5), x, attention="fused")[""]) == numbers(flash)


def test_a_recurrent_layer_by_hand() -> None:
    steps, batch = 3, 2
    row = rows(nn.LSTM(4, 3), torch.ones(steps, batch, 4))[""]
    assert row.flops_forward == 2 * steps * batch * 4 * 3 * (4 + 3)


@since("2.8")
def test_groups_of_rows_by_hand() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 16, 8, dtype=torch.bfloat16))

        def forward(self, x: Tensor) -> Any:
            return torch._grouped_mm(x, self.weight, offs=torch.tensor([2, 5, 7], dtype=torch.int32))  # type: ignore[attr-defined]

    rows_of = torch.ones(7, 16, dtype=torch.bfloat16, requires_grad=True)
    assert numbers(rows(Experts(), rows_of)[""])[:2] == (2 * 7 * 16 * 8, 2 * 2 * 7 * 16 * 8)


def test_each_module_has_what_it_did_under_each_name() -> None:
    found = rows(Twice(), torch.ones(3, 4))
    layer, last = 2 * 3 * 4 * 4, 2 * 3 * 4 * 2
    assert found["first"].flops_forward == 2 * layer
    assert found["second"].flops_forward == layer
    assert found["first"].flops_backward == layer + 2 * layer  # the first call needs no gradient of the input
    assert (found["first"].parameters, found["second"].parameters) == (20, 0)
    assert found["blocks"].flops_forward == layer + last == found["blocks.0"].flops_forward + last
    assert found["blocks"].output_shape is None
    assert numbers(found["idle"]) == (None, None, None)
    assert found[""].flops_forward == 4 * layer + last
    assert found[""].saved_bytes == 5 * 3 * 4 * 4 + 3 * 2 * 4 - 3 * 4 * 4 + 3 * 4 * 4


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_is_computed_again_counts_as_backward_and_is_not_kept(reentrant: bool) -> None:
    found = rows(Recomputed(reentrant=reentrant), torch.ones(2, 4))
    once = 2 * 2 * 4 * 8 * 2
    assert found["inner"].flops_forward == once
    assert found["inner"].flops_backward in (3 * once, 2 * once + once // 2)  # the last layer need not run again
    assert found["inner.0"].flops_backward == 3 * once // 2
    assert found[""].saved_bytes == 2 * 4 * 4


def test_a_module_is_left_as_it_was() -> None:
    model = small_net().train()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    state = torch.get_rng_state()
    pi.cost(model, torch.randn(2, 3, 10, 10), dtype="float64", train=False)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert all(each.grad is None and each.dtype == torch.float32 for each in model.parameters())
    assert model.training
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())
    assert torch._C._get_mkldnn_enabled() or state is not None


def test_a_type_is_that_of_parameters_and_activations() -> None:
    whole, half = (pi.cost(nn.Linear(4, 3), torch.ones(2, 4), dtype=dtype).totals for dtype in (None, "bfloat16"))
    assert (half.parameter_bytes, half.gradient_bytes, half.saved_bytes) == (30, 30, 16)
    assert (whole.parameter_bytes, whole.gradient_bytes, whole.saved_bytes) == (60, 60, 32)
    assert half.optimizer_bytes == 2 * 30 + 2 * 4


def test_a_mode_decides_what_is_kept() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    kept = [pi.cost(model, torch.ones(2, 4), train=train).totals.saved_bytes for train in (True, False)]
    assert kept == [2 * 4 * 4 * 2, 2 * 4 * 4]


def test_what_is_frozen_takes_no_gradient_and_no_state() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    cost = pi.cost(model, torch.ones(2, 4))
    assert cost.modules[1].flops_backward == 0
    assert (cost.totals.gradient_bytes, cost.totals.optimizer_bytes) == (40, 80 + 8)
    model.requires_grad_(False)
    cost = pi.cost(model, torch.ones(2, 4))
    assert cost.totals.flops_backward is None
    assert "no backward pass is counted" in cost.notes[-1]


def test_tied_parameters_count_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    view = nn.Sequential(nn.Linear(4, 3, bias=False), nn.Linear(3, 4, bias=False))
    view[1].weight = nn.Parameter(view[0].weight.t())
    assert pi.cost(model, torch.ones(2, 4)).totals.parameter_bytes == 64
    assert pi.cost(view, torch.ones(2, 4)).totals.parameter_bytes == 48


class Looks(nn.Module):
    """Its way depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else x


def test_a_model_that_looks_at_values_runs_in_memory() -> None:
    model = Looks()
    cost = pi.cost(model, torch.ones(2, 4))
    assert cost.totals.flops_forward == 64
    assert cost.totals.saved_bytes == 32
    assert "counted in memory" in cost.notes[0]
    assert model.layer.weight.grad is None


def test_a_scripted_model_has_totals() -> None:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # newer ones deprecate torch.jit
        model = torch.jit.script(nn.Linear(4, 3))
    cost = pi.cost(model, torch.ones(2, 4))
    assert (cost.totals.flops_forward, cost.totals.flops_backward) == (48, 48)


class Picky(nn.Module):
    """Something in it is there only with values."""

    def forward(self, x: Tensor) -> Tensor:
        if type(x) is not Tensor:
            raise RuntimeError("not today")
        return x @ x.detach()


def test_what_fails_without_values_for_any_reason_is_tried_with_them() -> None:
    cost = pi.cost(Picky(), torch.ones(2, 2, requires_grad=True))
    assert cost.totals.flops_forward == 16
    assert "not today" in cost.notes[0]
    with pytest.raises(pi.ParamInspectError, match="forward fails"):
        pi.cost(nn.Linear(4, 3), torch.ones(2, 5))


def test_one_input_given_twice_is_kept_once() -> None:
    x = torch.ones(2, 4)
    model = nn.Bilinear(4, 4, 3)
    assert pi.cost(model, (x, x)).totals.saved_bytes == kept_by_loop(model, x, x)
    assert pi.cost(model, (x, x.clone())).totals.saved_bytes == kept_by_loop(model, x, x.clone())


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 2


class Custom(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return Double.apply(x)  # type: ignore[no-untyped-call]


def test_what_is_not_counted_is_named() -> None:
    notes = pi.cost(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.LayerNorm(4), Custom()), torch.ones(2, 4)).notes
    assert "pointwise operations (4)" in notes[0]
    assert "native_layer_norm (1)" in notes[0]
    assert "(Double)" in notes[1]
    flash = pi.cost(Attend(), torch.ones(1, 1, 2, 4, requires_grad=True)).notes
    assert any("1 call of a flash kernel" in note for note in flash)
    math = pi.cost(Attend(0.5), torch.ones(1, 1, 2, 4, requires_grad=True)).notes
    assert any("1 call of the math kernel" in note for note in math)


def test_what_is_given_up_is_not_kept() -> None:
    class Drops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            self.layer(x).tanh()
            return self.layer(x)

    assert pi.cost(Drops(), torch.ones(2, 4)).totals.saved_bytes == 32


def test_lazy_layers_cost_what_they_become() -> None:
    model = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.LazyLinear(2))
    due = rows(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)), torch.ones(3, 4))
    assert rows(model, torch.ones(3, 4)) == due
    assert type(model[0]) is nn.LazyLinear


def test_layers_that_describe_themselves_by_values_have_rows() -> None:
    class Looking(nn.Linear):
        def extra_repr(self) -> str:
            return f"first={self.weight[0, 0].item()}"

    assert numbers(rows(Looking(4, 3), torch.ones(2, 4))[""]) == (48, 48, 32)


def test_a_failure_names_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.py").write_text("from torch import nn\ndef net():\n    return nn.Linear(4, 3)\n")
    with pytest.raises(pi.ParamInspectError, match="forward fails") as caught:
        pi.cost("small.py:net", torch.ones(2, 5))
    assert caught.value.source == "small.py:net"
