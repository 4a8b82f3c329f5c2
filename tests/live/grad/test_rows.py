"""Rows of a batch go through a model apart, or it is said why not; what one process makes of all is what several make of parts."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from paraminspect.architecture.loss import LOSSES, LossText
from paraminspect.live.build import functions, layers
from paraminspect.live.build.containers import Flow, Residual, Wire
from paraminspect.live.build.forward import Inputs, iter_tensors
from paraminspect.live.grad.losses import IGNORED, Target, choose_loss, why_no_sum
from paraminspect.live.grad.rows import count_rows, share_rows, why_together

ROWS = 5


def why(model: nn.Module, *inputs: Tensor) -> str:
    on_meta = copy.deepcopy(model).to("meta")
    return why_together(on_meta, Inputs(inputs), None, lambda output: "")


def flow(*steps: tuple[nn.Module, tuple[str, ...]], take: int | None = None) -> Flow:
    """Steps "0", "1", ... of the inputs "x" and "y", one after the other."""
    wires = [Wire(str(place), names, () if take is None else (take,)) for place, (_, names) in enumerate(steps)]
    made = Flow(wires, ("x", "y") if any("y" in names for _, names in steps) else ("x",))
    for place, (module, _) in enumerate(steps):
        made.add_module(str(place), module)
    return made


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


APART: list[tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = [
    (lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), ((4,),)),
    (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4).eval(), nn.MaxPool2d(2), nn.Flatten()), ((2, 8, 8),)),
    (lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm1d(4), nn.Dropout(0.0)), ((4, 6),)),
    (lambda: nn.Sequential(nn.Dropout(0.5).eval(), nn.Softmax(-1), nn.Softmax(1)), ((3, 4),)),
    (nn.Softmax, ((3,),)),
    (nn.Softmax2d, ((3, 2, 2),)),
    (lambda: flow((nn.LSTM(4, 3, batch_first=True), ("x",)), take=0), ((6, 4),)),
    (lambda: flow((nn.MultiheadAttention(4, 2, batch_first=True), ("x", "x", "y")), take=0), ((6, 4), (6, 4))),
    (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), ((6, 4),)),
    (lambda: flow((functions.CausalMask(dim=1), ("x",)), (layers.Positions(1), ("x",)), (functions.Scale(factor=2.0, shift=0.0), ("1",)), (layers.Add(), ("x", "2"))), ((6,),)),
    (Residual, ((4,),)),
    (lambda: flow((functions.MatMul(), ("x", "y"))), ((3, 4), (4, 2))),
    (lambda: flow((functions.Einsum(equation="bid,bjd->bij"), ("x", "y"))), ((3, 4), (2, 4))),
    (lambda: flow((functions.Reshape((0, 2, -1)), ("x",)), (functions.Mean(dim=(2,), keepdim=False), ("0",))), ((4, 6),)),
]  # fmt: skip

TOGETHER: list[tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...], str]] = [
    (lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), ((4,),), "1 (BatchNorm1d) takes statistics of the whole batch"),
    (lambda: nn.BatchNorm1d(4, track_running_stats=False).eval(), ((4,),), "takes statistics"),
    (lambda: nn.Sequential(nn.Dropout(0.5)), ((4,),), "0 (Dropout) draws random numbers"),
    (lambda: nn.MultiheadAttention(4, 2, dropout=0.1, batch_first=True), ((6, 4),), "draws random numbers"),
    (functions.Noise, ((4,),), "draws random numbers"),
    (lambda: nn.LSTM(4, 3), ((6, 4),), "has rows in dimension 1"),
    (lambda: flow((nn.GRU(4, 3, batch_first=True), ("x",)), take=1), ((6, 4),), "the model (Flow) does not keep"),
    (lambda: nn.MultiheadAttention(4, 2, batch_first=True), ((4,),), "the model takes no other number of rows"),
    (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), ((4,),), "does not keep"),
    (lambda: nn.Softmax(0), ((4,),), "does not keep its rows apart"),
    (lambda: nn.Softmax(-2), ((4,),), "does not keep its rows apart"),
    (nn.LogSoftmax, ((3, 4),), "does not keep its rows apart"),
    (nn.Softmax2d, ((2, 2),), "does not keep its rows apart"),
    (lambda: functions.Flip(dims=(1, 0)), ((4,),), "does not keep its rows apart"),
    (lambda: functions.Roll(shifts=(1,), dims=(0,)), ((4,),), "does not keep its rows apart"),
    (lambda: functions.Normalize(dim=0, p=2.0, eps=1e-12), ((4,),), "does not keep its rows apart"),
    (lambda: functions.Mean(dim=(0,), keepdim=True), ((4,),), "does not keep its rows apart"),
    (lambda: functions.Sum(dim=None, keepdim=False), ((4,),), "does not keep its rows apart"),
    (lambda: layers.Transpose(0, 1), ((4,),), "does not keep its rows apart"),
    (lambda: functions.Reshape((-1, 2)), ((4,),), "does not keep its rows apart"),
    (lambda: nn.Flatten(0), ((4,),), "does not keep its rows apart"),
    (lambda: functions.Reshape((ROWS, 2, 2)), ((4,),), "the model takes no other number of rows"),
    (lambda: flow((layers.Positions(0), ("x",)), (functions.Unsqueeze(dim=1), ("0",)), (layers.Add(), ("x", "1"))), ((4,),), "0 (Positions) does not"),
    (lambda: flow((functions.Einsum(equation="bi,cj->bij"), ("x", "y"))), ((3,), (4,)), "0 (Einsum) does not keep"),
    (lambda: flow((functions.Einsum(equation="bi,bj->ij"), ("x", "y"))), ((3,), (4,)), "0 (Einsum) does not keep"),
    (lambda: flow((functions.Subtract(), ("x", "y"))), ((1, 4), (4,)), "0 (Subtract) does not keep"),
    (lambda: nn.ConstantPad2d(1, 0.0), ((4,),), "does not keep its rows apart"),
    (lambda: type("Mine", (nn.Linear,), {})(4, 2), ((4,),), "the model (Mine) is not known to keep rows apart"),
    (nn.RReLU, ((4,),), "is not known"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize(("make", "shapes"), APART)
def test_parts_of_a_batch_give_parts_of_the_output(
    make: Callable[[], nn.Module], shapes: tuple[tuple[int, ...], ...]
) -> None:
    model, inputs = make().double(), [numbers(ROWS, *shape) for shape in shapes]
    if isinstance(model, Residual):
        model.body = nn.Linear(4, 4).double()
    assert why(model, *inputs) == ""
    parts = [share_rows(ROWS, rank, 2) for rank in range(2)]
    found = [next(iter_tensors(model(*map(rows.of, inputs)))) for rows in parts]
    torch.testing.assert_close(torch.cat(found), next(iter_tensors(model(*inputs))), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("make", "shapes", "due"), TOGETHER)
def test_rows_that_meet_are_noticed(
    make: Callable[[], nn.Module], shapes: tuple[tuple[int, ...], ...], due: str
) -> None:
    assert due in why(make().double(), *(numbers(ROWS, *shape) for shape in shapes))


def test_what_a_user_has_hung_on_is_not_known() -> None:
    for hang in (
        lambda model: model.register_forward_hook(lambda *_: None),
        lambda model: model.register_full_backward_hook(lambda *_: None),
        lambda model: setattr(model, "forward", lambda x: x),
    ):
        model = nn.Linear(4, 2, device="meta")
        hang(model)
        found = why_together(model, Inputs((numbers(ROWS, 4),)), None, lambda output: "")
        assert found == "the model (Linear) is not known to keep rows apart"
    embedding = nn.Embedding(5, 4, scale_grad_by_freq=True)
    assert "is not known" in why(embedding, torch.zeros(ROWS, 3, dtype=torch.int64))
    assert why(nn.Embedding(5, 4), torch.zeros(ROWS, 3, dtype=torch.int64)) == ""


def test_the_loss_has_a_word() -> None:
    model = nn.Linear(4, 2, device="meta")
    assert (
        why_together(model, Inputs((numbers(ROWS, 4),)), None, lambda output: str(tuple(output.shape))) == "(100003, 2)"
    )


def test_rows_are_what_all_inputs_have() -> None:
    assert count_rows(Inputs((numbers(3, 4), numbers(3)), {"mask": numbers(3, 2, 2)})) == 3
    assert count_rows(Inputs((numbers(3, 4), numbers(2)))) is None
    assert count_rows(Inputs((numbers(3, 4), torch.tensor(1.0)))) is None
    assert count_rows(Inputs((numbers(3, 4),), {"lengths": [3, 2, 1]})) is None
    assert count_rows(Inputs()) is None


@pytest.mark.parametrize("total", [4, 7, 3])
def test_every_row_has_one_process(total: int) -> None:
    shares = [share_rows(total, rank, 3) for rank in range(3)]
    assert torch.cat([rows.of(torch.arange(total)) for rows in shares]).tolist() == list(range(total))
    assert {rows.stop - rows.start for rows in shares} <= {total // 3, -(-total // 3)}


CLASSES = (torch.tensor([0, 2, IGNORED, 1, 2]), torch.tensor([IGNORED, IGNORED, 0, 1, 2]))
FLOATS = numbers(ROWS, 3).softmax(1)

ADDED: list[tuple[str, Tensor | None]] = [
    *((word, None) for word in ["", *LOSSES]),
    *((word, FLOATS) for word, each in LOSSES.items() if each.drawn and word != "nll"),
    *((word, target) for word in ("nll", "cross_entropy", "target") for target in CLASSES),
]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize(("word", "target"), ADDED)
@pytest.mark.parametrize("parts", [2, 3])
def test_losses_of_parts_have_that_of_all_as_their_mean(word: str, target: Tensor | None, parts: int) -> None:
    weight, inputs = numbers(3, 4).requires_grad_(), numbers(ROWS, 4)
    into: dict[str, Callable[[Tensor], Tensor]] = {
        "bce": torch.sigmoid,
        "kl_div": torch.sigmoid,
        "nll": lambda output: output.log_softmax(1),
    }

    def run(rank: int | None) -> Tensor:
        rows = None if rank is None else share_rows(ROWS, rank, parts)
        output = into.get(word, torch.neg)((inputs if rows is None else rows.of(inputs)) @ weight.T)
        value: Tensor = choose_loss(LossText(word) if word else None, "", Target(target, 3, rows=rows))(output).value
        return value

    (due,) = torch.autograd.grad(run(None), weight)
    found = [torch.autograd.grad(run(rank), weight)[0] for rank in range(parts)]
    torch.testing.assert_close(torch.stack(found).mean(0), due, rtol=1e-13, atol=1e-16)
    mean = sum(run(rank).item() for rank in range(parts)) / parts
    assert mean == pytest.approx(run(None).item(), rel=1e-13)


def test_losses_that_are_no_sum_over_rows() -> None:
    many, one = {"logits": numbers(ROWS, 3), "loss_a": numbers(ROWS)}, numbers(ROWS)
    assert why_no_sum(None, many, None) == ""
    assert why_no_sum(LossText("sum", ("logits",)), many, None) == ""
    assert "loss_* is not known to add up" in why_no_sum(LossText("", ("loss_*",)), many, None)
    assert why_no_sum(LossText("cross_entropy"), one, None) == "cross_entropy has classes in that dimension"
    assert why_no_sum(LossText("target"), one, torch.tensor(1)) == "target has classes in that dimension"
    assert why_no_sum(LossText("target"), one, one) == ""
    assert why_no_sum(LossText("mse"), one, None) == ""
