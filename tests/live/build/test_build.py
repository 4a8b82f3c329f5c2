from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from paraminspect.architecture.expand import plan_model
from paraminspect.architecture.parse import parse_spec
from paraminspect.errors import LimitExceededError, SpecError
from paraminspect.live.build.build import build_model
from paraminspect.live.build.construct import torch_types

SHARED_40_DEEP = "shared:\n  a0: ReLU\n" + "".join(
    f"  a{i}: {{Sequential: [{{use: a{i - 1}}}, {{use: a{i - 1}}}]}}\n" for i in range(1, 41)
)

REFUSED = [
    # a constructor that does not get what it wants
    ("model: [{Liner: [4, 3]}]", "1:10", "unknown type Liner", "did you mean Linear?"),
    ("model:\n- relu", "2:3", "unknown type relu", "did you mean ReLU?"),
    ("model: [{Module: 1}]", "1:10", "unknown type Module", None),
    ("model: [{TransformerEncoder: [1, 1000000000000]}]", "1:10", "unknown type TransformerEncoder", "did you mean TransformerEncoderLayer?"),
    ("model: [{ModuleList: []}]", "1:10", "unknown type ModuleList", None),
    ("model: [{Linear: {in_feature: 4, out_features: 3}}]", "1:10", "Linear at 0: unknown argument in_feature", "did you mean in_features?"),
    ("model:\n- {LSTM: [3, 4, {num_layer: 2}], name: rnn}", "2:4", "LSTM at rnn: unknown argument num_layer", "did you mean num_layers?"),
    ("model: [{Linear: [4]}]", "1:10", "Linear at 0: missing a required argument: 'out_features'", "its arguments are in_features, out_features, bias, dtype"),
    ("model: [{ReLU: [1, 2, 3]}]", "1:10", "ReLU at 0: too many positional arguments", "its arguments are inplace"),
    ("model: [{Dropout: 2}]", "1:10", "Dropout at 0: dropout probability", None),
    ("model: [{Linear: [-4, 3]}]", "1:10", "Linear at 0: ", None),
    ("model: [{Linear: [a, 3]}]", "1:10", "Linear at 0: ", None),
    ("model: [{Linear: [1000000000000, 1000000000000]}]", "1:10", "Linear at 0: Storage size calculation overflowed", None),
    ("model: [{Linear: [4, 3, {device: cpu}]}]", "1:10", "Linear at 0 with a device", None),
    ("model: [{Linear: [4, 3, {dtype: float23}]}]", "1:10", "Linear at 0: dtype is 'float23'", "did you mean float32?"),
    ("model: [{Attention: {heads: 3, kv_heads: 2}}]", "1:10", "Attention at 0: heads is 3, no multiple of kv_heads 2", None),
    ("model: [{Param: {shape: [4, 5], op: prepend}, name: p}]", "1:10", "Param at p: shape is [4,5]; expected [1,n,..]", None),
    ("model: [{Param: {shape: [], op: matmul}, name: p}]", "1:10", "Param at p: shape is []; expected one dimension", None),
    ("model: [{Transformer: [8, 2, 1000000000]}]", "1:10", "Transformer at 0: it makes more than 4,000 tensors", None),
    # names and ties
    ("model: [{ReLU, name: forward}]", "1:10", "a layer named forward", "choose another name"),
    ("model: [{ReLU, name: _wires}, {Add, from: [_wires, input]}]", "1:10", "a layer named _wires", "choose another name"),
    ("model: [{Linear: [4, 3]}, {Linear: [3, 4]}]\ntie: {0.weight: 1.weight}", "2:7", "tie of 0.weight ([3,4]) to 1.weight ([4,3]); expected one shape", None),
    ("model: [{Linear: [4, 4]}, {Linear: [4, 4, {dtype: float64}]}]\ntie: {0.weight: 1.weight}", "2:7", "tie of 0.weight (float32) to 1.weight (float64); expected one dtype", None),
    ("model: [{BatchNorm1d: 4}]\ntie: {0.running_mean: 0.bias}", "2:7", "tie of 0.running_mean (a buffer) to 0.bias (a parameter)", None),
    ("model: [{Linear: [4, 4]}, {Linear: [4, 4]}]\ntie: {0.wieght: 1.weight}", "2:7", "tie of 0.wieght: 0 (Linear) has no tensor wieght", "did you mean weight?"),
    ("model: [{MultiheadAttention: [4, 1]}]\ntie: {0.out.weight: 0.in_proj_weight}", "2:7", "tie of 0.out.weight: 0 has no child out", None),
    ("model: [{use: a40}]\n" + SHARED_40_DEEP, "20:9", "modules go by more than 200,000 names", None),
    # forward
    ("model:\n- Linear: [4, 3]\n- {Sequential: [ReLU, {Linear: [4, 1]}], name: head}\ninput: [2, 4]", "3:24", "forward fails at head.1 (Linear) with input [2,3], weight [1,4], bias [1]: ", None),
    ("model: [{Embedding: [10, 3]}]\ninput: [2, 4]", "1:10", "forward fails at 0 (Embedding) with input [2,4], weight [10,3]: ", None),
    ("model: [{TransformerEncoderLayer: [8, 2], name: e}]\ninput: [3, 2, 9]", "1:10", "forward fails at e.self_attn (MultiheadAttention) with input [3,2,9]", None),
    ("model: [{Param: {shape: [4, 5], op: matmul}, name: p}]\ninput: [2, 3]", "1:10", "forward fails at p (Param) with input [2,3]: matmul of [4,5]: ", None),
    ("model: [{Linear: [4, 3], take: 0}]\ninput: [2, 4]", "1:10", "forward fails at 0 (take): take 0 of a tensor [2,3]; expected a tuple", None),
    ("model: [{LSTM: [4, 3], take: 5}]\ninput: [2, 7, 4]", "1:10", "forward fails at 0 (take): take 5 of a tuple of 2", None),
    ("model: [{Conv2d: [3, 8, 3]}, {BatchNorm2d: 9, name: bn}]\ninput: [1, 3, 8, 8]", "1:31", "forward fails at bn (BatchNorm2d) with input [1,8,6,6]", None),
    ("model: [{Residual: [{Linear: [4, 3]}], name: r}]\ninput: [2, 4]", "1:10", "forward fails at r (Residual) with input [2,4]: ", None),
    ("model: [{Add, from: [input, input]}, {Attention: {heads: 3}}]\ninput: [2, 5, 8]", "1:39", "forward fails at 1 (Attention) with input [2,5,8]", None),
    ("shared: {net: {Sequential: [{Linear: [4, 4]}]}}\nmodel: [{use: net}, {Linear: [4, 5]}, {use: net}]\ninput: [2, 4]", "1:30", "forward fails at 2.0 (Linear) with input [2,5], weight [4,4]", None),
    # lazy layers
    ("model: [{LazyLinear: 3}]", "1:10", "LazyLinear at 0: its shape follows from the input, and the spec has none", "write input: [2, 4]"),
    ("model: [{LazyConv2d: [3, 3]}, {Linear: [4, 4]}]\ninput: [1, 1, 8, 8]", "1:32", "forward fails at 1 (Linear) with input [1,3,6,6]", None),
    ("model: [{LazyConv2d: [3, 3]}]\ninput: [8]", "1:10", "forward fails at 0 (LazyConv2d) with input [8]", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message", "hint"), REFUSED)
def test_refused(refused: Callable[..., SpecError], text: str, place: str, message: str, hint: str | None) -> None:
    error = refused(text)
    assert isinstance(error, SpecError)
    assert str(error).startswith(f"spec.yaml:{place}: ")
    assert message in error.message
    if hint is not None:
        assert error.hint == hint


def test_a_long_stack_of_lstms_is_refused(refused: Callable[..., SpecError]) -> None:
    error = refused("model: [{LSTM: [1, 1, 1000000000]}]")
    assert (error.line, error.column) == (1, 10)
    assert "it makes more than 4,000 tensors" in error.message


@pytest.mark.parametrize("layer", ["LSTM: [1, 1, 99999]", "GRU: {input_size: 1, hidden_size: 1, num_layers: 10001}",
                                   "Transformer: [8, 2, 1, 99999]"])  # fmt: skip
def test_layers_of_layers_are_counted_before_they_are_made(
    layer: str, refused: Callable[..., SpecError], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    for kind in (nn.LSTM, nn.GRU, nn.Transformer):
        monkeypatch.setattr(kind, "__init__", lambda self, *args, **kwargs: made.append("one"))
    error = refused(f"model: [{{{layer}}}]")
    assert "it makes more than 4,000 tensors" in error.message
    assert not made


def test_no_layer_chooses_its_device(live: Callable[..., Any]) -> None:
    model = live("model: [{Linear: [100000000, 30000, true, cpu]}]").model
    assert model[0].weight.is_meta


def test_every_type_of_torch_nn_can_be_asked_for() -> None:
    types = torch_types()
    assert {"Linear", "LSTM", "Transformer", "LazyLinear", "CrossEntropyLoss"} <= types.keys()
    assert all(issubclass(each, nn.Module) for each in types.values())
    assert not {"Module", "ModuleList", "Sequential", "DataParallel", "Parameter"} & types.keys()


def test_unknown_types_are_refused_without_the_planner() -> None:
    plan = plan_model(parse_spec("blocks: {Stage: {layers: [ReLU]}}\nmodel:\n- Stage\n- stages", source="a.yaml"))
    with pytest.raises(SpecError, match=re.escape("a.yaml:4:3: unknown type stages")) as caught:
        build_model(plan)
    assert caught.value.hint == "did you mean Stage?"


def test_a_model_too_large_for_memory(live: Callable[..., Any]) -> None:
    text = "model: [{Linear: [1000, 1000]}, {Linear: [1000, 1000]}]"
    assert live(text, max_bytes=10).model[0].weight.is_meta
    with pytest.raises(LimitExceededError) as caught:
        live(text, device="cpu", max_bytes=8_000_000)
    assert (caught.value.actual, caught.value.limit) == (8_008_000, 8_000_000)
    assert str(caught.value).startswith("spec.yaml: ")
    assert live(text, device="cpu", max_bytes=8_008_000).model[0].weight.device.type == "cpu"


def test_a_tied_tensor_counts_once_towards_the_size(live: Callable[..., Any]) -> None:
    text = "model: [{Linear: [10, 10]}, {Linear: [10, 10]}]\ntie: {1.weight: 0.weight}"
    assert live(text, device="cpu", max_bytes=4 * (100 + 20)).model[1].weight.numel() == 100


def test_terabytes_are_refused_before_they_are_asked_for(live: Callable[..., Any]) -> None:
    with pytest.raises(LimitExceededError):
        live("model: [{Linear: [1000000, 1000000]}]", device="cpu")


THREE = "model: [{Linear: [4, 4], name: a}, {LSTM: [4, 4], take: 0, name: b}, {Linear: [4, 4], name: c}]"


def test_equal_seeds_give_equal_tensors_and_others_do_not(live: Callable[..., Any]) -> None:
    one, same, other = (live(THREE, device="cpu", seed=seed).model.state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_layers_of_one_shape_differ(live: Callable[..., Any]) -> None:
    model = live(THREE, device="cpu").model
    assert not torch.equal(model.a.weight, model.c.weight)


def test_adding_a_layer_does_not_change_the_others(live: Callable[..., Any]) -> None:
    more = THREE.replace("model: [", "model: [{Linear: [4, 4], name: new}, {Dropout: 0.5, name: drop}, ")
    before, after = live(THREE, device="cpu").model.state_dict(), live(more, device="cpu").model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "new.weight" in after


def test_the_global_generators_are_left_alone(live: Callable[..., Any]) -> None:
    torch.manual_seed(5)
    random.seed(5)
    expected = torch.rand(3), random.random()
    torch.manual_seed(5)
    random.seed(5)
    for device in ("meta", "cpu"):
        live(THREE, device=device)
    live("model: [{LazyLinear: 3}]\ninput: [2, 4]", device="cpu")
    with pytest.raises(SpecError):
        live("model: [{Linear: [4, 3]}, {Dropout: 7}]", device="cpu")
    assert torch.equal(torch.rand(3), expected[0])
    assert random.random() == expected[1]


def test_default_initialisation_is_the_layer_s_own(live: Callable[..., Any]) -> None:
    model = live("model: [{Linear: [100, 400]}, {BatchNorm1d: 400}]", device="cpu").model
    assert 0.09 < model[0].weight.abs().max() <= 0.1
    assert (model[1].weight == 1).all()
    assert (model[1].running_var == 1).all()


def test_tie(live: Callable[..., Any]) -> None:
    text = "model: [{Embedding: [7, 4], name: e}, {Linear: [4, 7], name: head}]\ntie: {head.weight: e.weight}"
    for device in ("meta", "cpu"):
        model = live(text, device=device).model
        assert model.head.weight is model.e.weight
    untied = live(text.partition("tie")[0], device="cpu").model
    assert torch.equal(model.e.weight, untied.e.weight)


def test_tie_of_buffers(live: Callable[..., Any]) -> None:
    text = "model: [{BatchNorm1d: 4}, {BatchNorm1d: 4}]\ntie: {1.running_mean: 0.running_mean}"
    model = live(text, device="cpu").model
    model(torch.randn(8, 4))
    assert dict(model[1].named_buffers()).keys() == {"running_mean", "running_var", "num_batches_tracked"}
    assert model[1].running_mean is model[0].running_mean
    assert dict(model[1].named_parameters()).keys() == {"weight", "bias"}


def test_tie_of_an_lstm_reaches_its_forward(live: Callable[..., Any]) -> None:
    text = "model: [{LSTM: [4, 4], take: 0, name: a}, {LSTM: [4, 4], take: 0, name: b}]\ntie: {b.weight_hh_l0: a.weight_hh_l0}"
    model = live(text, device="cpu").model
    x = torch.randn(2, 3, 4)
    before = model.b(x)[0]
    with torch.no_grad():
        model.a.weight_hh_l0.zero_()
    assert not torch.equal(model.b(x)[0], before)


def test_blocks_are_classes_of_their_own(live: Callable[..., Any]) -> None:
    text = """
blocks:
  Stage: {args: [n], layers: [{Linear: [$n, $n]}, ReLU]}
  Skip: {args: [n], layers: [{Stage: $n, name: s}, {Add, from: [s, input], name: add}]}
model: [{Stage: 4}, {Skip: 4}, {Stage: 4}]
"""
    model = live(text).model
    assert [type(each).__name__ for each in model] == ["Stage", "Skip", "Stage"]
    assert isinstance(model[0], nn.Sequential)
    assert type(model[0]) is type(model[2]) is type(live(text).model[0])
    assert not isinstance(model[1], nn.Sequential)


def test_lazy_layers_get_their_shapes_from_the_input(live: Callable[..., Any]) -> None:
    text = """
model:
  - {LazyConv2d: [3, 3], name: conv}
  - {LazyBatchNorm2d, name: norm}
  - {Flatten, name: flat}
  - {LazyLinear: 2, name: fc}
input: [2, 5, 9, 9]
"""
    opened = live(text)
    assert type(opened.model.fc) is nn.Linear
    assert opened.model.conv.weight.shape == (3, 5, 3, 3)
    assert opened.model.fc.weight.shape == (2, 3 * 7 * 7)
    assert opened.model.training
    in_memory = live(text, device="cpu").model
    assert 0 < in_memory.fc.weight.abs().max() <= 147**-0.5
    assert (in_memory.norm.running_var == 1).all()
    assert torch.equal(in_memory.fc.weight, opened.tensor("fc.weight"))
    assert in_memory(torch.randn(2, 5, 9, 9)).shape == (2, 2)


def test_dtype_of_a_layer(live: Callable[..., Any]) -> None:
    assert live("model: [{Linear: [4, 3, {dtype: bfloat16}]}]").model[0].weight.dtype == torch.bfloat16


def test_warnings_of_a_constructor_are_notes(live: Callable[..., Any]) -> None:
    notes = live("model:\n- {LSTM: [4, 4, {dropout: 0.5}], name: rnn}", device="cpu").notes
    assert len(notes) == 1
    assert notes[0].startswith("2:4: LSTM at rnn: dropout option adds dropout after all but last")
