"""Plans carried out by several threads: on a spec, on a checkpoint, into a sink."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from paraminspect import apply_init
from paraminspect.errors import CheckpointError, RuleError
from paraminspect.formats.source import open_source
from paraminspect.live.build.live_model import hold_module
from paraminspect.live.init import run as runs
from paraminspect.live.init.draw import Drawing
from paraminspect.live.init.find import model_targets
from paraminspect.live.init.functions import OwnFunctions, own_functions
from paraminspect.live.init.run import Run
from paraminspect.live.init.work import Work, checkpoint_work, model_work
from paraminspect.outcomes import InitStep
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.rules.initializers import INITIALIZERS
from paraminspect.rules.meant import checkpoint_targets
from paraminspect.rules.parse import parse_rule
from paraminspect.rules.rule import Rule
from paraminspect.rules.steps import plan_rules
from paraminspect.rules.targets import Target

RULES = [
    "*weight=normal(std=0.02)",
    "*bias=uniform(-1, 1)",
    "b.weight=orthogonal",
    "c.weight=sparse(0.5)",
    "d.*=add(1)",
]
SPEC = "model: [{Linear: [30, 40], name: a}, {Linear: [40, 20], name: b}, {Linear: [20, 10], name: c}, {Linear: [10, 70], name: d}]"


class Collected:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.data: dict[int, bytes] = {}
        self.order: list[int] = []
        self.lock = threading.Lock()

    def takes_any_order(self, index: int) -> bool:
        return False

    def put(self, index: int, begin: int, data: memoryview) -> None:
        with self.lock:
            assert begin == len(self.data.get(index, b""))
            self.order.append(index)
            self.data[index] = self.data.get(index, b"") + bytes(data)


def parsed(rules: Sequence[str], functions: Mapping[str, Callable[..., object]]) -> list[Rule]:
    return [parse_rule(text, functions=functions) for text in rules]


def carry_out(work: Sequence[Work], functions: Any = None, **options: Any) -> tuple[dict[str, Tensor], list[InitStep]]:
    """Tensors by name, as the sink got them, and what was said of them."""
    sink = options.pop("sink", Collected)()
    own = own_functions(functions) if functions else OwnFunctions()
    run = Run(Drawing(options.pop("seed", 0), own), sink, **options)
    done = run.run(work, {place: place for place in range(len(work))})
    made = {}
    for place, each in enumerate(work):
        dtype = getattr(torch, each.out_dtype(run.dtype))
        flat = torch.frombuffer(bytearray(sink.data.get(place, b"") or b"\0"), dtype=torch.uint8)
        data = flat.view(dtype).reshape(each.shape) if place in sink.data else torch.empty(each.shape, dtype=dtype)
        made.update(dict.fromkeys([each.name, *each.aliases], data))
    if run.in_order:
        assert sink.order == sorted(sink.order)
    return made, [step for _, step in done]


def spec_work(live: Any, rules: Sequence[str], functions: Any = None) -> list[Work]:
    found = model_targets(live.model)
    plan = plan_rules(found.targets, parsed(rules, functions or {}), found.others)
    return model_work(live.state, plan, live.tensor)


def stored_work(checkpoint: Checkpoint, rules: Sequence[str], functions: Any = None) -> list[Work]:
    found = checkpoint_targets(checkpoint.tensors)
    return checkpoint_work(checkpoint, plan_rules(found.targets, parsed(rules, functions or {}), found.others))


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("in_order", [False, True])
def test_any_number_of_threads_draws_what_apply_draws(live: Callable[..., Any], workers: int, in_order: bool) -> None:
    expected = live(SPEC, device="cpu", seed=3).model
    steps = apply_init(expected, RULES, seed=3)
    made, done = carry_out(spec_work(live(SPEC, seed=3), RULES), seed=3, workers=workers, in_order=in_order)
    assert same(made, expected.state_dict())
    assert done == steps


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_a_checkpoint_of_the_same_names_gets_the_same_tensors(
    live: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    model = live(SPEC, device="cpu").model
    path = tmp_path / "model"
    if kind == "torch":
        torch.save(model.state_dict(), path)
    else:
        safetensors.torch.save_file(model.state_dict(), path)
    steps = {step.name: step for step in apply_init(model, RULES, seed=9)}
    made, done = carry_out(stored_work(open_source(str(path)), RULES), seed=9, workers=3)
    assert same(made, model.state_dict())
    assert {step.name: step for step in done} == steps


def test_other_layers_and_the_order_of_rules_do_not_matter(live: Callable[..., Any]) -> None:
    more = SPEC.replace("model: [", "model: [{Linear: [30, 30], name: z}, ")
    one, _ = carry_out(spec_work(live(SPEC), RULES))
    other, _ = carry_out(spec_work(live(more), ["z.*=zeros", *RULES[1::-1], *RULES[2:]]))
    assert all(torch.equal(other[name], one[name]) for name in one)


def test_layers_without_a_rule_keep_their_default(live: Callable[..., Any]) -> None:
    default = live(SPEC, device="cpu", seed=5).model.state_dict()
    made, done = carry_out(spec_work(live(SPEC, seed=5), ["a.weight=zeros"]), seed=5)
    assert [step.name for step in done] == ["a.weight"]
    assert not made.pop("a.weight").any()
    assert all(torch.equal(made[name], default[name]) for name in made)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_what_is_written_is_converted_and_so_is_what_is_said(live: Callable[..., Any], dtype: str) -> None:
    text = "model: [{BatchNorm1d: 40}]"
    wide, _ = carry_out(spec_work(live(text), ["*weight=normal"]))
    made, done = carry_out(spec_work(live(text), ["*weight=normal"]), dtype=dtype)
    assert made["0.num_batches_tracked"].dtype == torch.int64
    for name in ("0.weight", "0.running_var"):
        assert torch.equal(made[name], wide[name].to(getattr(torch, dtype)))
    assert done[0].mean == pytest.approx(float(made["0.weight"].double().mean()), rel=1e-12)
    assert done[0].max == float(made["0.weight"].double().max())


def test_tensors_that_are_not_persistent_or_no_parameters_are_not_written() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("kept", torch.ones(2))
            self.register_buffer("scratch", torch.ones(2), persistent=False)
            self.plain = torch.ones(2)
            self.w = nn.Parameter(torch.ones(2))

    model = Odd()
    found = model_targets(model)
    plan = plan_rules(found.targets, [])
    assert [(each.name, each.what) for each in found.others] == [
        ("kept", "buffers"), ("scratch", "buffers"), ("plain", "plain tensor attributes"),
    ]  # fmt: skip

    live = hold_module(model)
    assert [each.name for each in model_work(live.state, plan, live.tensor)] == ["w", "kept"]


TIES: dict[str, Callable[[Tensor], Tensor]] = {
    "same": lambda weight: weight,
    "transposed": lambda weight: weight.t(),
    "reshaped": lambda weight: weight.view(2, 12),
}


@pytest.mark.parametrize("tie", TIES)
@pytest.mark.parametrize("rule", ["*=normal", "*=add(1)", "embed=keep"])
def test_ties_of_a_checkpoint_hold_the_new_values(tmp_path: Path, tie: str, rule: str) -> None:
    weight = torch.randn(6, 4)
    torch.save({"embed": weight, "head": TIES[tie](weight)}, tmp_path / "m.pt")
    work = stored_work(open_source(str(tmp_path / "m.pt")), [rule])
    assert [each.name for each in work] == (["embed"] if tie == "same" else ["embed", "head"])
    made, (step,) = carry_out(work, in_order=True)
    assert step.name == "embed"
    assert torch.equal(made["head"], TIES[tie](made["embed"]))
    assert torch.equal(made["embed"], weight) == (rule == "embed=keep")


@pytest.mark.parametrize("tie", TIES)
def test_parameters_that_hold_the_same_bytes_are_written_with_the_new_values(tie: str) -> None:
    model = nn.Module()
    model.embed = nn.Parameter(torch.randn(6, 4))
    model.head = nn.Parameter(TIES[tie](model.embed.data))
    model.also = model.head

    found = model_targets(model)
    live = hold_module(model)
    work = model_work(live.state, plan_rules(found.targets, [parse_rule("*=normal")]), live.tensor)
    assert len(work) == (1 if tie == "same" else 2)
    made, _ = carry_out(work)
    assert torch.equal(made["head"], TIES[tie](made["embed"]))
    assert made["also"] is made["head"]
    assert not torch.equal(made["embed"], model.embed)


def test_a_tensor_first_met_in_an_optimizer_is_a_parameter_all_the_same(tmp_path: Path) -> None:
    weight = torch.ones(3)
    state = {"state": {0: {"master": weight}}, "param_groups": [{"lr": 1.0, "params": [0]}]}
    torch.save({"optimizer": state, "model": {"w": weight}}, tmp_path / "m.pt")
    checkpoint = open_source(str(tmp_path / "m.pt"))
    found = checkpoint_targets(checkpoint.tensors)
    assert [each.name for each in found.targets] == ["model.w"]
    assert [each.what for each in found.others] == ["optimizer state"]
    made, _ = carry_out(stored_work(checkpoint, ["*.w=zeros"]))
    assert not made["model.w"].any()


def gguf_work(*rules: str) -> list[Work]:
    def base() -> Tensor:
        raise CheckpointError("torch has no tensor of q4_k")

    target = Target("q", (256,), "q4_k", problem="quantised (q4_k)")
    (step,) = plan_rules([target], parsed(rules, {})).steps
    return [Work("q", "q4_k", (256,), base, step)]


def test_a_quantised_tensor_that_is_kept_and_not_written_is_not_read() -> None:
    ((_, step),) = Run(Drawing(0, OwnFunctions())).run(gguf_work("*=keep"))
    assert (step.initializer, step.mean, step.max) == ("keep", None, None)
    with pytest.raises(CheckpointError, match="torch has no tensor of q4_k"):
        carry_out(gguf_work("*=keep"))


def test_a_failure_in_one_thread_ends_the_run(live: Callable[..., Any]) -> None:
    def bad(tensor: Tensor) -> Tensor:
        return tensor[:1]

    work = spec_work(live(SPEC), ["*=normal", "c.weight=bad"], {"bad": bad})
    for in_order in (False, True):
        with pytest.raises(RuleError, match=r"^rule 2 on c\.weight \[10,20\]: bad returned a tensor of \[1,20\]"):
            carry_out(work, {"bad": bad}, workers=3, in_order=in_order)


def test_a_full_disk_ends_the_run(live: Callable[..., Any]) -> None:
    class Full:
        def takes_any_order(self, index: int) -> bool:
            return False

        def put(self, index: int, begin: int, data: memoryview) -> None:
            raise OSError(28, "No space left on device")

    work = spec_work(live(SPEC), RULES)
    with pytest.raises(OSError, match="No space left"):
        Run(Drawing(0, OwnFunctions()), Full(), workers=3).run(work, {place: place for place in range(len(work))})


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_few_of_the_largest_tensors_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """Counts the bytes that are drawn and not yet handed on."""
    lock, now, peak = threading.Lock(), [0], [0]
    draw, end = Drawing.draw, Run._do

    def counted(self: Drawing, step: Any, base: Any) -> Tensor:
        with lock:
            now[0] += 4 * step.target.shape[0]
            peak[0] = max(peak[0], now[0])
        threading.Event().wait(0.001)
        return draw(self, step, base)

    def done(self: Run, going: Any, work: Work, index: int | None) -> None:
        end(self, going, work, index)
        with lock:
            now[0] -= 4 * work.shape[0]

    monkeypatch.setattr(Drawing, "draw", counted)
    monkeypatch.setattr(Run, "_do", done)
    sizes = [100, 900, 1000, 1000, 10, 1000, 500, 1000, 999, 1] * 4
    targets = [Target(f"t{number}", (size,), "float32") for number, size in enumerate(sizes)]
    plan = plan_rules(targets, [parse_rule("*=add(1)")])  # which wants all of it
    work = [Work(each.name, "float32", each.shape, lambda: torch.zeros(()), step)
            for each, step in zip(targets, plan.steps, strict=True)]  # fmt: skip
    carry_out(work, workers=workers, in_order=True)
    assert peak[0] <= runs.LARGEST_AT_ONCE * 4 * max(sizes)


@pytest.mark.parametrize(
    ("rule", "dtype", "expected"),
    [("*=normal", "float32", 4), ("*=normal", "bfloat16", 4), ("*=zeros", "float64", 8), ("*=keep", "int64", 8),
     ("*=orthogonal", "float32", 4 * INITIALIZERS["orthogonal"].copies), ("*=trunc_normal", "float16", 4 * INITIALIZERS["trunc_normal"].copies)],
)  # fmt: skip
def test_what_a_tensor_takes_while_it_is_drawn(rule: str, dtype: str, expected: int) -> None:
    (step,) = plan_rules([Target("w", (10, 10), dtype)], [parse_rule(rule)]).steps
    assert Work("w", dtype, (10, 10), lambda: torch.empty(0), step).cost == expected * 100


def test_progress_ends_with_everything(live: Callable[..., Any]) -> None:
    told: list[tuple[int, int]] = []
    work = spec_work(live(SPEC), RULES)
    run = Run(Drawing(0, OwnFunctions()), progress=lambda done, total: told.append((done, total)))
    run.run([each for each in work if each.is_reported])
    numel = sum(each.numel for each in work)
    assert told[-1] == (4 * numel, 4 * numel)


def test_look_sees_each_tensor_as_it_is_written(live: Callable[..., Any]) -> None:
    seen: dict[str, Tensor] = {}
    work = spec_work(live(SPEC), ["a.*=ones", "b.bias=keep"])
    look = lambda step, tensor: seen.update({step.target.name: tensor})  # noqa: E731
    made, _ = carry_out(work, dtype="bfloat16", look=look)
    assert seen.keys() == {"a.weight", "a.bias", "b.bias"}
    assert all(torch.equal(tensor, made[name]) for name, tensor in seen.items())


def test_long_tensors_are_handed_on_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paraminspect.live.init.run.PIECE", 7)
    values = torch.arange(30.0).reshape(5, 6)
    work = [Work("w", "float32", (6, 5), values.t)]
    made, _ = carry_out(work)
    assert torch.equal(made["w"], values.t())
    step = plan_rules([Target("w", (6, 5), "float32")], [parse_rule("*=add(1)")]).steps[0]
    made, (said,) = carry_out([Work("w", "float32", (6, 5), values.t, step)])
    assert torch.equal(made["w"], values.t() + 1)
    assert (said.mean, said.std) == (pytest.approx(15.5), pytest.approx(float(np.std(np.arange(30), ddof=1))))


class Scattered(Collected):
    """One that takes bytes in any order."""

    def takes_any_order(self, index: int) -> bool:
        return True

    def put(self, index: int, begin: int, data: memoryview) -> None:
        with self.lock:
            self.order.append(index)
            held = bytearray(self.data.get(index, b"").ljust(begin + len(data), b"\0"))
            held[begin : begin + len(data)] = data
            self.data[index] = bytes(held)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize(("sink", "in_order"), [(Collected, False), (Collected, True), (Scattered, False)])
def test_blocks_of_one_tensor_are_shared_by_threads(
    live: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, workers: int, sink: type[Collected], in_order: bool
) -> None:
    monkeypatch.setattr("paraminspect.live.init.elements.BLOCK", 110)
    monkeypatch.setattr("paraminspect.live.init.elements.PIECE", 32)
    expected = live(SPEC, device="cpu", seed=3).model
    steps = apply_init(expected, RULES, seed=3)
    made, done = carry_out(spec_work(live(SPEC, seed=3), RULES), seed=3, workers=workers, in_order=in_order, sink=sink)
    assert same(made, expected.state_dict())
    assert [step[:-5] for step in done] == [step[:-5] for step in steps]
    assert all(one.mean == pytest.approx(other.mean, rel=1e-12) for one, other in zip(done, steps, strict=True))


def test_a_function_may_turn_gradients_on_in_a_thread(live: Callable[..., Any]) -> None:
    def f(tensor: Tensor) -> None:
        assert not torch.is_grad_enabled()
        tensor.fill_(3).requires_grad_()

    work = spec_work(live("model: [{Embedding: [3, 2, {padding_idx: 0}]}]"), ["*=f"], {"f": f})
    made, (step,) = carry_out(work, {"f": f})
    assert made["0.weight"].tolist() == [[0, 0], [3, 3], [3, 3]]
    assert step.note == "row 0 (padding_idx) kept zero"


def test_a_tensor_in_pieces_is_as_good_as_any() -> None:
    (target,) = checkpoint_targets([TensorRecord("w", (2,), "float32", 2, 8, layout="chunked")]).targets
    assert not target.problem


@pytest.mark.parametrize(
    ("rule", "needed"), [("w=normal", set()), ("w=add(1)", {"w"}), ("w=keep", {"w"}), ("*bias=ones", {"w"})]
)
def test_values_are_wanted_that_no_rule_gives(live: Callable[..., Any], rule: str, needed: set[str]) -> None:
    work = spec_work(
        live("model: [{Param: {shape: [3]}, name: w}, {LayerNorm: 4, name: n}]\ninit: []"), [rule, "n.*=ones"]
    )
    assert {each.name for each in work if each.needs_base} == needed
