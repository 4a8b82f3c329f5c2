"""Parts of gradients, held against models in which every use has a parameter of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from paraminspect.live.grad import uses
from paraminspect.live.grad.backward import BackwardReport, backward_report
from paraminspect.outcomes import GradRecord, UseRecord
from tests.making.live_models import open_live


def record(report: BackwardReport, name: str) -> GradRecord:
    return next(each for each in report.parameters if each.name == name)


def places(report: BackwardReport, name: str) -> list[tuple[str, str]]:
    return [(use.module, use.op) for use in record(report, name).uses]


def check_sums(report: BackwardReport) -> None:
    """The parts of every parameter add up to its gradient, and norms and angles are theirs."""
    for each in report.parameters:
        gradient, parts = report.gradients[each.name], report.parts[each.name]
        assert gradient is not None
        assert len(parts) == len(each.uses) > 0
        if len(parts) == 1:
            assert each.uses[0].norm == each.norm
            assert parts[0] is gradient
            continue
        kept = [part for part in parts if part is not None]
        assert len(kept) == len(parts)
        torch.testing.assert_close(torch.stack(kept).sum(0), gradient, rtol=1e-4, atol=1e-6)
        for use, part in zip(each.uses, kept, strict=True):
            assert use.norm == pytest.approx(part.norm().item(), rel=1e-5)
            if use.norm:
                cosine = torch.cosine_similarity(part.flatten().double(), gradient.flatten().double(), dim=0)
                assert use.cosine == pytest.approx(cosine.item(), abs=1e-6)


class Shared(nn.Module):
    """A linear layer `times` times, or as many of equal weights."""

    def __init__(self, times: int, together: bool, run: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        first = nn.Linear(4, 4)
        layers = [first] + [first if together else copy.deepcopy(first) for _ in range(times - 1)]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(4, 2)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(self.run(layer, x))
        return self.head(x)


def call(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x)


def with_reentry(layer: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(layer, x, use_reentrant=True)


def without_reentry(layer: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(layer, x, use_reentrant=False)


@pytest.mark.parametrize("run", [call, with_reentry, without_reentry])
def test_each_use_has_the_gradient_that_a_parameter_of_its_own_would_have(
    run: Callable[[nn.Module, Tensor], Tensor],
) -> None:
    torch.manual_seed(1)
    tied = Shared(5, together=True, run=run)
    torch.manual_seed(1)
    untied = Shared(5, together=False, run=call)
    x = torch.randn(3, 4, requires_grad=True)
    report = backward_report(tied, x, uses=True)
    untied(x).sum().backward()
    assert places(report, "layers.0.weight") == [(f"layers.{i}", "addmm") for i in range(5)]
    for name in ("weight", "bias"):
        parts = report.parts[f"layers.0.{name}"]
        for i, part in enumerate(parts):
            assert part is not None
            torch.testing.assert_close(part, untied.layers[i].get_parameter(name).grad, rtol=1e-6, atol=1e-7)
    check_sums(report)


def test_a_loop_over_one_module_has_one_name() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(4):
                x = self.cell(x).tanh()
            return x

    report = backward_report(Loop(), torch.randn(2, 3), uses=True)
    assert places(report, "cell.weight") == [("cell", "addmm")] * 4
    check_sums(report)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_code_outside_of_modules(reentrant: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.weight = nn.Parameter(torch.randn(3, 3))

        def segment(self, x: Tensor) -> Tensor:
            return self.first(x) @ self.weight + x @ self.weight

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.segment, self.first(x), use_reentrant=reentrant)

    report = backward_report(Net(), torch.randn(2, 3), uses=True)
    assert places(report, "weight") == [("", "mm"), ("", "mm")]
    assert places(report, "first.weight") == [("first", "addmm"), ("first", "addmm")]
    check_sums(report)


def test_nested_checkpoints() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.Linear(3, 3)

        def inner(self, x: Tensor) -> Tensor:
            return self.cell(self.cell(x))

        def outer(self, x: Tensor) -> Tensor:
            return self.cell(checkpoint(self.inner, x, use_reentrant=True))

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.outer, self.cell(x), use_reentrant=True)

    model, x = Net(), torch.randn(2, 3)
    report = backward_report(model, x, uses=True)
    assert places(report, "cell.weight") == [("cell", "addmm")] * 4
    check_sums(report)
    model(x).sum().backward()
    assert torch.equal(model.cell.weight.grad, report.gradients["cell.weight"])


def test_attention_and_lstm() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.lstm = nn.LSTM(8, 4, num_layers=2, bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            y = self.attention(x, x, x)[0]  # one product of the packed weight
            return self.lstm(self.attention(y, x, x)[0])[0]  # one for the queries, one for keys and values

    single = backward_report(Net(), torch.randn(2, 3, 8), uses=True)
    assert len(record(single, "attention.in_proj_weight").uses) == 3
    assert len(record(single, "attention.out_proj.weight").uses) == 2
    check_sums(single)
    # float64 has no fused LSTM: one product a step, the first with the initial state, which is zero
    double = backward_report(Net().double(), torch.randn(2, 3, 8).double(), uses=True)
    assert places(double, "lstm.weight_hh_l0") == [("lstm", "addmm")] * 2
    check_sums(double)


def test_packed_projections_are_uses_of_their_own_rows() -> None:
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    nn.init.normal_(attention.in_proj_bias)

    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, q: Tensor, k: Tensor) -> Tensor:
            return self.attention(q, k, k)[0].square()

    report = backward_report(Cross(), [torch.randn(1, 2, 4), torch.randn(1, 3, 4)], uses=True)
    queries, rest = report.parts["attention.in_proj_weight"]
    assert queries is not None
    assert rest is not None
    assert (queries[4:] == 0).all()
    assert (rest[:4] == 0).all()
    check_sums(report)


def test_tied_gpt2_against_untied(configs: Path) -> None:
    small = {"dim": 16, "heads": 2, "depth": 2, "vocab": 41, "context": 32, "dropout": 0}
    tied, untied = (open_live(str(configs / "gpt2.yaml"), variables=small, device="cpu") for _ in range(2))
    untied.model.lm_head.weight = nn.Parameter(untied.model.lm_head.weight.detach().clone())
    x = torch.randint(0, 41, (1, 16))
    report = backward_report(tied.model, x, "square", uses=True)
    assert places(report, "transformer.wte.weight") == [("transformer.wte", "embedding"), ("lm_head", "mm")]
    untied.model(x).square().sum().backward()
    embedding, head = report.parts["transformer.wte.weight"]
    torch.testing.assert_close(embedding, untied.model.transformer.wte.weight.grad)
    torch.testing.assert_close(head, untied.model.lm_head.weight.grad)
    check_sums(report)


def test_step_12_of_the_tutorial(configs: Path) -> None:
    model = open_live(str(configs / "shared_linear.yaml"), device="cpu").model
    nn.init.constant_(model[0].weight, 3)
    report = backward_report(model, torch.ones(1, 1), uses=True)
    assert report.loss == 9
    assert record(report, "0.weight").norm == 6
    assert record(report, "0.weight").uses == (UseRecord("0", "mm", 3, 1), UseRecord("1", "mm", 3, 1))


def test_a_view_that_is_read_twice_is_two_uses() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 2))

        def forward(self, x: Tensor) -> Tensor:
            turned = self.weight.t()
            return x @ self.weight @ turned + (turned.unsqueeze(0).expand(2, 2, 3) * 2).sum(0).mean()

    report = backward_report(Net(), torch.randn(4, 3), uses=True)
    assert [op for _, op in places(report, "weight")] == ["mm", "mm", "mul"]
    check_sums(report)


def test_one_operation_that_reads_a_parameter_twice() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([2.0, 3.0]))

        def forward(self, x: Tensor) -> Tensor:
            return (self.weight * self.weight * x).sum()

    report = backward_report(Net(), torch.ones(2), uses=True)
    assert places(report, "weight") == [("", "mul"), ("", "mul")]
    check_sums(report)


def test_a_parameter_that_is_the_loss_itself() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([2.0]))

        def forward(self, x: Tensor) -> Tensor:
            return self.weight.view(())

    report = backward_report(Net(), torch.ones(1), lambda output: output)
    assert places(report, "weight") == [("", "view")]


def test_parts_past_the_bound_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses, "MAX_PART_BYTES", 100)
    report = backward_report(Shared(3, together=True, run=call), torch.randn(3, 4), uses=True)
    assert [use.norm is None for use in record(report, "layers.0.weight").uses] == [True, True, False]
    assert any("were not kept" in note for note in report.notes)


def test_counts_need_no_parts() -> None:
    report = backward_report(Shared(3, together=True, run=call), torch.randn(3, 4))
    assert record(report, "layers.0.weight").uses == tuple(UseRecord(f"layers.{i}", "addmm") for i in range(3))
    assert report.parts == {}
