"""Rules on a model in memory."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from paraminspect import apply_init, parse_rule, plan_init
from paraminspect.errors import ParamInspectError, RuleError
from paraminspect.outcomes import InitStep
from paraminspect.rules.steps import InitPlan


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3), nn.Linear(3, 1))


def copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Names whose bytes are equal."""
    return [name for name, tensor in one.items() if np.array_equal(bits(tensor), bits(other[name]))]


def bits(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()


def refused(model: nn.Module, rules: list[Any], **options: Any) -> ParamInspectError:
    before = copies(model) if not any(each.is_meta for each in model.parameters()) else {}
    with pytest.raises(ParamInspectError) as caught:
        apply_init(model, rules, **options)
    if before:
        assert same(before, model.state_dict()) == list(before)
    return caught.value


def test_steps_tell_what_was_done() -> None:
    model = net()
    torch.nn.init.zeros_(model[3].bias)
    steps = apply_init(model, ["Linear:*weight=normal(std=0.5)", "*bias=constant(0.25)", "3.bias=keep"], seed=3)
    assert [(step.name, step.rule, step.initializer, dict(step.arguments)) for step in steps] == [
        ("0.weight", 1, "normal", {"mean": 0.0, "std": 0.5}),
        ("0.bias", 2, "constant", {"val": 0.25}),
        ("2.bias", 2, "constant", {"val": 0.25}),
        ("3.weight", 1, "normal", {"mean": 0.0, "std": 0.5}),
        ("3.bias", 3, "keep", {}),
    ]
    values = dict(model.named_parameters())
    for step in steps:
        wide = values[step.name].detach().double()
        expected = [wide.mean(), wide.std() if wide.numel() > 1 else None, wide.min(), wide.max()]
        for found, by_torch in zip((step.mean, step.std, step.min, step.max), expected, strict=True):
            assert found == (None if by_torch is None else pytest.approx(float(by_torch), rel=1e-12, abs=1e-15))


def test_a_plan_is_what_is_done_and_changes_nothing() -> None:
    model, rules = net(), ["*.weight=ones", "0.*=xavier_normal", "0.bias=zeros", "nothing=zeros"]
    before = copies(model)
    plan = plan_init(model, rules)
    assert same(before, model.state_dict()) == list(before)
    assert isinstance(plan, InitPlan)
    assert dict(plan.unmatched) == {4: ""}
    done = apply_init(model, rules, allow_unmatched=True)
    assert [InitStep(each.name, each.shape, each.rule, each.initializer, each.arguments, each.fan_in, each.fan_out,
                     note=each.note) for each in done] == plan.records  # fmt: skip


def test_neither_gradients_nor_generators_notice() -> None:
    model = net()
    model[0].bias.requires_grad_(False)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7)
    grads = [parameter.grad for parameter in model.parameters()]
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    parameters = list(model.parameters())

    def noisy(tensor: Tensor) -> Tensor:
        random.random()
        np.random.rand()
        return torch.rand_like(tensor)

    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    apply_init(
        model,
        ["*=normal", "0.weight=sparse(0.5)", "3.weight=noisy", "0.bias=noisy"],
        functions={"noisy": noisy},
    )
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
    for parameter, old, grad, needs in zip(model.parameters(), parameters, grads, wanted, strict=True):
        assert parameter is old
        assert parameter.grad is grad
        assert bool((grad == 7).all())
        assert parameter.requires_grad == needs
        assert parameter.grad_fn is None
        assert parameter.is_leaf
    assert torch.is_grad_enabled()


def test_the_values_do_not_depend_on_the_global_generators() -> None:
    def noisy(tensor: Tensor) -> Tensor:
        return tensor.fill_(random.random() + np.random.rand()) + torch.rand_like(tensor)

    def made(seed: int) -> dict[str, Tensor]:
        random.seed(seed)
        torch.manual_seed(seed)
        np.random.seed(seed)
        model = nn.Linear(4, 3)
        apply_init(model, ["weight=sparse(0.5)", "bias=noisy"], functions={"noisy": noisy})
        return copies(model)

    with torch.random.fork_rng():
        assert same(made(1), made(2)) == ["weight", "bias"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_add_changes_by_x_and_nothing_else(dtype: torch.dtype) -> None:
    model = net().to(dtype)
    before = copies(model)
    apply_init(model, ["*bias*=add(1)"])
    after = model.state_dict()
    changed = ["0.bias", "2.bias", "3.bias"]
    assert same(before, after) == [name for name in before if name not in changed]
    for name in changed:
        assert torch.equal(after[name], before[name] + 1)


def test_mul_and_clamp() -> None:
    model = net()
    before = copies(model)
    apply_init(model, ["0.weight=mul(1/fan_in)", "3.weight=clamp(-0.1, 0.1)"])
    assert torch.equal(model[0].weight, before["0.weight"] * 0.25)
    assert torch.equal(model[3].weight, before["3.weight"].clamp(-0.1, 0.1))


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
)
def test_another_type_holds_the_same_draw_rounded(dtype: torch.dtype) -> None:
    wide, narrow = nn.Linear(9, 5), nn.Linear(9, 5)
    for name, parameter in list(narrow.named_parameters()):
        setattr(narrow, name, nn.Parameter(parameter.detach().to(dtype), requires_grad=False))
    rules = ["weight=normal(std=2)", "bias=uniform(-3, 3)"]
    apply_init(wide, rules)
    steps = apply_init(narrow, rules)
    for name, parameter in narrow.named_parameters():
        assert parameter.dtype == dtype
        assert np.array_equal(bits(parameter), bits(wide.get_parameter(name).to(dtype)))
    values = narrow.weight.detach().double()
    assert steps[0].mean == pytest.approx(float(values.mean()))
    assert (steps[0].min, steps[0].max) == (float(values.min()), float(values.max()))


def test_a_parameter_that_is_not_contiguous_gets_the_values_of_one_that_is() -> None:
    plain, turned = nn.Linear(4, 6, bias=False), nn.Linear(4, 6, bias=False)
    turned.weight = nn.Parameter(torch.zeros(4, 6).t())
    for model in (plain, turned):
        apply_init(model, ["weight=normal"])
    assert not turned.weight.is_contiguous()
    assert torch.equal(turned.weight, plain.weight)


def test_values_do_not_depend_on_order_other_rules_or_other_layers() -> None:
    rules = ["*.weight=normal(std=0.02)", "*.bias=uniform(-1, 1)", "0.*=keep"]
    one = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    other = nn.ModuleDict({"z": nn.Linear(5, 2), "b": nn.Linear(3, 3), "a": nn.Linear(3, 3)})
    apply_init(one, rules[:2], seed=5)
    apply_init(other, ["z.*=ones", rules[1], rules[0]], seed=5, allow_unmatched=True)
    assert len(same(copies(one), copies(other))) == 4
    apply_init(other, rules[:2], seed=6)
    assert same(copies(one), copies(other)) == []
    assert not torch.equal(one["a"].weight, one["b"].weight)


def test_statistics_of_what_is_drawn_are_those_that_were_asked_for() -> None:
    model = nn.Linear(400, 300)
    (step, _) = apply_init(model, ["weight=normal(mean=2, std=0.5)", "bias=keep"])
    n = 400 * 300
    assert step.mean == pytest.approx(2, abs=6 * 0.5 / n**0.5)
    assert step.std == pytest.approx(0.5, rel=6 / (2 * n) ** 0.5)
    (step,) = apply_init(model, ["weight=kaiming_normal(nonlinearity=relu, mode=fan_out)"])
    assert step.arguments["std"] == pytest.approx((2 / 300) ** 0.5)
    assert step.std == pytest.approx(step.arguments["std"], rel=6 / (2 * n) ** 0.5)
    (step,) = apply_init(model, ["weight=xavier_uniform"])
    assert step.min is not None
    assert step.max is not None
    assert 0.999 * step.arguments["bound"] < max(-step.min, step.max) <= step.arguments["bound"] * (1 + 1e-6)


class Tied(nn.Module):
    """`head.weight` is `embed.weight`: one parameter, or two that hold the same bytes."""

    def __init__(self, tie: str) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 6, bias=False)
        if tie == "object":
            self.head.weight = self.embed.weight
        elif tie == "bytes":
            self.head.weight.data = self.embed.weight.data
        else:
            self.head.weight = nn.Parameter(self.embed.weight.data.t())


@pytest.mark.parametrize("tie", ["object", "bytes", "transposed"])
def test_a_tied_tensor_is_initialised_once(tie: str) -> None:
    model = Tied(tie)
    steps = apply_init(model, ["*=normal", "Linear:*=zeros"], seed=2, allow_unmatched=True)
    assert [(step.name, step.note) for step in steps] == [
        ("embed.weight", "head.weight, tied to it, is meant by rule 2: a tied tensor is initialised once")
    ]
    alone = nn.ModuleDict({"embed": nn.Embedding(6, 4)})
    apply_init(alone, ["*=normal"], seed=2)
    assert torch.equal(model.embed.weight, alone["embed"].weight)
    seen = model.head.weight.t() if tie == "transposed" else model.head.weight
    assert torch.equal(seen, alone["embed"].weight)


def test_a_module_used_twice_is_one() -> None:
    linear = nn.Linear(2, 2)
    steps = apply_init(nn.Sequential(linear, nn.ReLU(), linear), ["*=add(1)"])
    assert [step.name for step in steps] == ["0.weight", "0.bias"]
    assert all(step.note == "" for step in steps)


def test_a_rule_that_matches_nothing_changes_nothing() -> None:
    error = refused(net(), ["*=ones", "2.running_mean=zeros"])
    assert error.message == (
        "rule 2 (2.running_mean=zeros) matches no parameter: it matches only buffers, such as 2.running_mean"
    )
    model = Tied("object")
    assert refused(model, ["head.weight=zeros"]).message == (
        "rule 1 (head.weight=zeros) matches no parameter: head.weight is tied to embed.weight and is initialised under "
        "that name"
    )
    assert refused(net(), ["Conv2d:*=zeros"]).message == (
        "rule 1 (Conv2d:*=zeros) matches no parameter: no module is a Conv2d; the classes are Linear, BatchNorm1d"
    )


def test_a_padding_row_stays_zero_or_as_it_is() -> None:
    model = nn.Embedding(5, 3, padding_idx=-2)
    (step,) = apply_init(model, ["*=normal(mean=9)"])
    assert step.note == "row 3 (padding_idx) kept zero"
    assert model.weight[3].tolist() == [0, 0, 0]
    assert bool((model.weight[[0, 1, 2, 4]] != 0).all())
    with torch.no_grad():
        model.weight[3] = 5
    before = model.weight.detach().clone()
    apply_init(model, ["*=add(1)"])
    assert model.weight[3].tolist() == [5, 5, 5]
    assert torch.equal(model.weight[:3], before[:3] + 1)


def test_only_the_table_of_an_embedding_has_a_padding_row() -> None:
    class Scaled(nn.Embedding):
        def __init__(self) -> None:
            super().__init__(4, 2, padding_idx=1)
            self.scale = nn.Parameter(torch.zeros(2))

    model = Scaled()
    apply_init(model, ["*=ones"])
    assert model.scale.tolist() == [1, 1]
    assert model.weight.tolist() == [[1, 1], [0, 0], [1, 1], [1, 1]]


def test_the_meta_device_is_refused() -> None:
    with torch.device("meta"):
        model = net()
    error = refused(model, ["*=ones"])
    assert error.message == "0.weight is on the meta device, where initialisation does nothing"
    assert error.hint == "move the model first: model.to_empty(device='cpu')"
    mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    before = mixed[0].weight.detach().clone()
    with pytest.raises(ParamInspectError, match=r"^1\.weight is on the meta device"):
        apply_init(mixed, ["*=ones"])
    assert torch.equal(mixed[0].weight, before)
    assert [step.mean for step in apply_init(mixed, ["0.*=ones", "1.*=keep"])] == [1, 1, None, None]


def test_what_was_drawn_inside_of_a_meta_context_is_drawn_in_memory() -> None:
    inside, outside = nn.Linear(8, 8), nn.Linear(8, 8)
    rules = ["weight=sparse(0.5)", "bias=normal"]
    apply_init(outside, rules)
    with torch.device("meta"):
        apply_init(inside, rules)
    assert same(copies(inside), copies(outside)) == ["weight", "bias"]


def test_tensors_of_no_elements_and_of_no_dimensions() -> None:
    model = nn.Module()
    model.empty = nn.Parameter(torch.zeros(0, 3))
    model.scalar = nn.Parameter(torch.tensor(2.0))
    model.also = model.empty
    steps = apply_init(model, ["*=normal", "scalar=mul(3)", "empty=kaiming_normal(chunks=2)"], allow_unmatched=True)
    assert [(step.name, step.mean, step.std) for step in steps] == [("empty", None, None), ("scalar", 6, None)]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (nn.parameter.UninitializedParameter(),
         "rule 1 on w []: it is without a shape yet: run the model once, so that its lazy layers know theirs"),
        (nn.Parameter(torch.eye(2).to_sparse()), "rule 1 on w [2,2]: it is a tensor of layout sparse_coo"),
        (nn.Parameter(torch.zeros(3, dtype=torch.int64), requires_grad=False),
         "rule 1 on w [3]: it is of int64; rules work on floating-point tensors"),
        (nn.Parameter(torch.zeros(1, 1).expand(2, 3)),
         "rule 1 on w [2,3]: it is expanded: many of its elements are one in memory"),
    ],
    ids=["lazy", "sparse", "integer", "expanded"],
)  # fmt: skip
def test_what_cannot_be_initialised_is_named_and_can_be_kept(tensor: Tensor, message: str) -> None:
    model = nn.Module()
    model.register_parameter("w", tensor)  # type: ignore[arg-type]
    with pytest.raises(RuleError) as caught:
        apply_init(model, ["*=zeros"])
    assert caught.value.message == message
    assert caught.value.hint == "leave it out with a later rule: 'w=keep'"
    (step,) = apply_init(model, ["*=zeros", "w=keep"])
    assert step.initializer == "keep"


def test_tensors_made_in_inference_mode_are_named() -> None:
    with torch.inference_mode():
        model = nn.Linear(2, 2)
    with pytest.raises(RuleError, match=r"^rule 1 on weight \[2,2\]: Inplace update to inference tensor"):
        apply_init(model, ["*=zeros"])


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_parametrised_modules_have_the_parameters_that_torch_lists() -> None:
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)),
        nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2)),
        nn.utils.weight_norm(nn.Linear(2, 2)),
    )
    steps = apply_init(model, ["*=constant(2)"])
    assert [step.name for step in steps] == [name for name, _ in model.named_parameters()]
    assert all(bool((each == 2).all()) for each in model.parameters())
    assert plan_init(model, ["2.weight=ones"]).unmatched == {
        1: "it matches only plain tensor attributes, such as 2.weight"
    }


def half(tensor: Tensor) -> None:
    tensor.fill_(0.5)


def drawn(tensor: Tensor, scale: float = 1, *, generator: Generator) -> Tensor:
    return torch.rand(tensor.shape, generator=generator) * scale


FUNCTIONS: dict[str, Callable[..., object]] = {"half": half, "drawn_": drawn}


def test_functions_with_and_without_a_generator() -> None:
    one, other = net(), net()
    for model in (one, other):
        apply_init(model, ["*=half", "0.weight=drawn(scale=2*fan_in)"], seed=4, functions=FUNCTIONS)
    assert torch.equal(one[0].weight, other[0].weight)
    assert 4 < float(one[0].weight.detach().max()) < 8
    assert bool((one[3].bias == 0.5).all())
    assert same(copies(one), copies(other)) == list(one.state_dict())


def test_a_function_sees_the_values_that_are_there_chunk_by_chunk() -> None:
    model, seen = nn.Linear(3, 4, bias=False), []
    before = model.weight.detach().clone()

    def look(tensor: Tensor) -> Tensor:
        seen.append(tensor.clone())
        assert not torch.is_grad_enabled()
        return tensor.t().contiguous().t() * 2

    apply_init(model, ["*=look(chunks=2)"], functions={"look": look})
    assert torch.equal(torch.cat(seen), before)
    assert torch.equal(model.weight, before * 2)


def test_a_rule_parsed_before_needs_its_function_again() -> None:
    rule = parse_rule("weight=half", functions=FUNCTIONS)
    model = nn.Linear(2, 2)
    error = refused(model, ["bias=zeros", rule])
    assert error.message == "rule 2 on weight [2,2]: the function half is not at hand"
    assert error.hint == "give it again: functions={'half': half}"
    apply_init(model, [rule], functions=FUNCTIONS)
    assert bool((model.weight == 0.5).all())


def with_grad(tensor: Tensor) -> Tensor:
    with torch.enable_grad():
        return tensor.requires_grad_() * 3


def in_place_with_grad(tensor: Tensor) -> None:
    tensor.fill_(3).requires_grad_()


@pytest.mark.parametrize("function", [with_grad, in_place_with_grad])
def test_a_function_may_turn_gradients_on(function: Callable[..., object]) -> None:
    model = nn.Embedding(3, 2, padding_idx=0)
    with torch.no_grad():
        model.weight.fill_(1)
    apply_init(model, ["*=f"], functions={"f": function})
    assert model.weight.tolist() == [[0, 0], [3, 3], [3, 3]]
    assert model.weight.is_leaf
    assert model.weight.grad_fn is None


def raises(tensor: Tensor) -> None:
    raise KeyError("no such thing")


def exits(tensor: Tensor) -> None:
    raise SystemExit(3)


def swaps_data(tensor: Tensor) -> None:
    tensor.data = torch.zeros(7)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (raises, "f: KeyError: 'no such thing' (tests/live/init/test_apply.py:{line})"),
        (exits, "f: it ends the program (SystemExit 3) (tests/live/init/test_apply.py:{line})"),
        (lambda tensor: torch.zeros(2), "f returned a tensor of [2]; expected [3,4]"),
        (lambda tensor: tensor.sum(), "f returned a tensor of []; expected [3,4]"),
        (lambda tensor: 0.5, "f returned float; expected a tensor, or nothing"),
        (lambda tensor: tensor.numpy(), "f returned ndarray; expected a tensor, or nothing"),
        (swaps_data, "f made the tensor one of [7]; expected [3,4]"),
    ],
)
def test_a_function_that_fails_is_told_with_tensor_and_rule(
    function: Callable[..., object], message: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(request.config.rootpath)
    line = inspect.getsourcelines(function)[1] + 1
    with pytest.raises(RuleError) as caught:
        apply_init(net(), ["0.weight=f"], functions={"f": function})
    assert caught.value.message == f"rule 1 on 0.weight [3,4]: {message.format(line=line)}"
    assert caught.value.rule == "0.weight=f"


def test_what_a_function_prints_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    def chatty(tensor: Tensor) -> None:
        print("hello")

    apply_init(nn.Linear(1, 1), ["weight=chatty"], functions={"chatty": chatty})
    assert capfd.readouterr() == ("", "hello\n")


def test_an_interrupt_inside_of_a_function_passes() -> None:
    def interrupted(tensor: Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply_init(nn.Linear(1, 1), ["weight=interrupted"], functions={"interrupted": interrupted})


def test_variables_stand_in_expressions() -> None:
    model = nn.Linear(4, 2, bias=False)
    apply_init(model, ["*=constant(dim/fan_in)"], variables={"dim": 2, "fan_in": 99})
    assert bool((model.weight == 0.5).all())


def test_a_number_that_float32_cannot_hold_is_named() -> None:
    with pytest.raises(RuleError, match=r"^rule 1 on weight \[2,2\]: value cannot be converted to type float"):
        apply_init(nn.Linear(2, 2, bias=False), ["*=constant(1e300)"])


def test_values_that_the_type_cannot_hold_are_a_note() -> None:
    model = nn.BatchNorm1d(3).half()
    steps = apply_init(model, ["weight=constant(1e5)", "bias=constant(6e4)"])
    assert [(step.max, step.note) for step in steps] == [(None, "3 values infinite or no number"), (6e4, "")]


def test_a_mean_outside_of_the_cut_is_a_note_and_no_warning() -> None:
    (step,) = apply_init(nn.Linear(2, 2, bias=False), ["*=trunc_normal(mean=3, std=0.4)"])
    assert step.note == "mean=3 is more than 2 std from a=-2 to b=2"
    assert step.max is not None
    assert step.max <= 2


def test_torch_computes_on_one_thread_meanwhile() -> None:
    found: list[int] = []

    def look(tensor: Tensor) -> None:
        found.append(torch.get_num_threads())

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        apply_init(nn.Linear(2, 2, bias=False), ["weight=look"], functions={"look": look})
        assert (found, torch.get_num_threads()) == ([1], 3)
    finally:
        torch.set_num_threads(before)
