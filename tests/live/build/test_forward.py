from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.live.build.forward import CallPaths, run_forward, set_mode, trace_shapes


def test_shapes_of_each_layer(live: Callable[..., Any]) -> None:
    text = """
model:
  - {Conv2d: [3, 8, 3], name: conv}
  - {Sequential: [ReLU, {Flatten: 2}], name: body}
  - {GRU: [36, 5], name: rnn}
input: [2, 3, 8, 8]
"""
    shapes = live(text).shapes()
    assert list(shapes) == ["conv", "body.0", "body.1", "body", "rnn", ""]
    assert shapes["conv"] == ((2, 8, 6, 6),)
    assert shapes["body"] == ((2, 8, 36),)
    assert shapes["rnn"] == shapes[""] == ((2, 8, 5), (1, 8, 5))


def test_no_memory_is_taken(live: Callable[..., Any]) -> None:
    shapes = live("model: [{Linear: [1000000, 1000000]}]\ninput: [1000, 1000000]").shapes()
    assert shapes["0"] == ((1_000, 1_000_000),)


def test_a_shared_module_is_met_under_each_name(live: Callable[..., Any]) -> None:
    text = """
shared: {act: ReLU, pair: {Sequential: [{use: act}, {use: act}]}}
model: [{use: pair}, {Linear: [4, 7]}, {use: pair}, {use: act}]
input: [2, 4]
"""
    shapes = live(text).shapes()
    assert {name: shape for name, (shape,) in shapes.items()} == {
        "": (2, 7), "0": (2, 4), "0.0": (2, 4), "0.1": (2, 4), "1": (2, 7),
        "2": (2, 7), "2.0": (2, 7), "2.1": (2, 7), "3": (2, 7),
    }  # fmt: skip


class Loop(nn.Module):
    """Calls one child twice and another one not at all, and a grandchild past its parent."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.AdaptiveAvgPool1d(3)
        self.unused = nn.ReLU()
        self.nest = nn.Sequential(nn.Linear(3, 2))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        first = self.used(x)
        return {"a": self.used(first[..., :1]), "b": self.nest[0](first)}


def test_calls_by_the_user_s_own_code() -> None:
    shapes = trace_shapes(Loop(), [torch.zeros(1, 2, 9)])
    assert shapes == {"used": ((1, 2, 3),), "nest.0": ((1, 2, 2),), "": ((1, 2, 3), (1, 2, 2))}


def test_the_model_is_left_as_it_was(live: Callable[..., Any]) -> None:
    model = live("model: [{Linear: [4, 4]}, {BatchNorm1d: 4}, {Dropout: 0.5}]\ninput: [1, 4]", device="cpu").model
    model[1].eval()
    before = model.state_dict()
    trace_shapes(model, [torch.ones(1, 4)])
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        print("this goes to standard error")
        return self.inner(x)


def test_where_a_factory_s_model_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError) as caught:
        trace_shapes(Failing(), [torch.zeros(1, 2)])
    assert "forward fails at inner.1 (Linear) with input [1,2], weight [3,3], bias [3]: " in str(caught.value)
    out, err = capfd.readouterr()
    assert (out, "this goes to standard error" in err) == ("", True)


def test_a_failure_that_is_caught_is_no_failure() -> None:
    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right = nn.Linear(3, 3), nn.Linear(2, 5)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.wrong(x)
            except RuntimeError:
                return self.right(x)

    assert trace_shapes(Tries(), [torch.zeros(1, 2)])[""] == ((1, 5),)


def test_without_input(live: Callable[..., Any]) -> None:
    with pytest.raises(ParamInspectError) as caught:
        live("model: [ReLU]").shapes()
    assert (str(caught.value), caught.value.hint) == (
        "spec.yaml: the spec has no input",
        "write input: [2, 4] in the spec, or --input 2,4",
    )


def test_paths_while_it_runs() -> None:
    seen = []

    class Looks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((calls.path, [call.path for call in calls.stack]))
            return x

    looks = Looks()
    model = nn.Sequential(nn.Sequential(looks), looks)
    calls = CallPaths(model)
    with calls:
        model(torch.zeros(1))
    assert seen == [("0.0", ["", "0", "0.0"]), ("1", ["", "1"])]
    assert calls.stack == []


def test_run_forward_gives_the_output() -> None:
    assert run_forward(nn.Dropout(0.9), [torch.ones(50)]).tolist() == [1.0] * 50


LSTM = "{LSTM: [4, 4, {batch_first: true}], name: rnn}"


@pytest.mark.parametrize(
    ("layers", "place", "giver", "hint"),
    [
        (f"[{LSTM}, {{Linear: [4, 2], name: fc}}]", "1:10", "rnn (LSTM) gives a tuple, ([2,5,4], ([1,2,4], [1,2,4])), and fc (Linear)", "take: 0 at rnn"),
        (f"[{{Sequential: [{LSTM}], name: e}}, {{Sequential: [{{Residual: [{{Linear: [4, 2]}}]}}]}}]", "1:24", "e.rnn (LSTM)", "take: 0 at e.rnn"),
        ("[{GRU: [4, 4], repeat: 2, name: h}]", "1:10", "h.0 (GRU)", "take: 0 at h.0"),
        (f"[{LSTM}, {{Param: {{shape: [4]}}, name: p}}]", "1:10", "rnn (LSTM)", "take: 0 at rnn"),
        (f"[{LSTM}, {{Add, from: [rnn, input]}}]", "1:10", "rnn (LSTM)", "take: 0 at rnn"),
        (f"[{LSTM}, {{BatchNorm1d: 5}}]", "1:10", "rnn (LSTM)", "take: 0 at rnn"),
        ("[{Chunk: 2, name: parts}, ReLU]", "1:10", "parts (Chunk)", "from: parts.0 at 1"),
        ("[{Parallel: {mu: ReLU}, name: p}, ReLU]", "1:10", "p (Parallel) gives a mapping, {mu: [2,5,4]}", "from: p.mu at 1"),
    ],
)  # fmt: skip
def test_a_tuple_is_told_of_where_it_is_given(
    refused: Callable[..., Any], layers: str, place: str, giver: str, hint: str
) -> None:
    error = refused(f"model: {layers}\ninput: [2, 5, 4]")
    assert str(error).startswith(f"spec.yaml:{place}: {giver}")
    assert hint in error.hint


class Force(nn.Module):
    """Its output is a gradient that it takes itself."""

    def __init__(self) -> None:
        super().__init__()
        self.energy = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(self.energy(x).sum(), x)[0]


class Anew(nn.Module):
    """Makes its layer in every pass."""

    def forward(self, x: Tensor) -> Tensor:
        self.layer = nn.Linear(3, 5)
        return self.layer(x) + torch.ones(5)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("model", "path", "due"), [(Force(), "energy", (2, 1)), (Anew(), "layer", (2, 5))])
def test_models_that_need_more_than_their_inputs(
    model: nn.Module, path: str, due: tuple[int, ...], device: str
) -> None:
    assert trace_shapes(model.to(device), [torch.ones(2, 3, device=device)])[path] == (due,)


def test_a_model_with_one_mode_runs_in_it() -> None:
    class Exported(nn.Linear):
        def eval(self) -> Exported:
            raise NotImplementedError("Calling eval() is not supported yet.")

    assert trace_shapes(Exported(3, 2), [torch.ones(1, 3)]) == {"": ((1, 2),)}
    with pytest.raises(SourceError, match="Exported has no other mode"):
        set_mode(Exported(3, 2), train=False)
