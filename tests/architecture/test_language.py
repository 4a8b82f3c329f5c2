"""What a spec can say beside one layer after the other: parts, branches, choices, several outputs."""

from __future__ import annotations

import pytest

from paraminspect.architecture.expand import plan_model
from paraminspect.architecture.parse import parse_spec
from paraminspect.architecture.plan import ModulePlan, Returned
from paraminspect.errors import SpecError


def modules(text: str, **variables: object) -> dict[str, ModulePlan]:
    root = plan_model(parse_spec(text, source="m.yaml", overrides=variables)).root  # type: ignore[arg-type]
    return {each.path: each for each in root.walk()}


def wires(plan: ModulePlan) -> dict[str, tuple[tuple[str, ...], object]]:
    return {step.name: (step.inputs, step.picks) for step in plan.steps}


def test_from_counts_back() -> None:
    text = "model: [{ReLU, name: a}, {ReLU, from: -1}, {Add, from: [-1, -2]}, {Add, from: [-1, -4]}]"
    assert wires(modules(text)[""]) == {
        "a": (("input",), ()),
        "1": (("a",), ()),
        "2": (("1", "a"), ()),
        "3": (("2", "input"), ()),
    }


def test_from_takes_a_part() -> None:
    root = modules("model: [{LSTM: [4, 4], name: rnn}, {Add, from: [rnn.0, rnn.1.0]}, {ReLU, from: '-2.1'}]")[""]
    assert wires(root)["1"] == (("rnn", "rnn"), ((0,), (1, 0)))
    assert wires(root)["2"] == (("rnn",), ((1,),))


@pytest.mark.parametrize(
    ("branches", "names", "outputs"),
    [
        ("[ReLU, [ReLU, Tanh]]", ["0", "1"], [Returned(None, "0"), Returned(None, "1")]),
        ("{mu: ReLU, logvar: [ReLU]}", ["mu", "logvar"], [Returned("mu", "mu"), Returned("logvar", "logvar")]),
        ("[{ReLU, name: a}, Tanh]", ["a", "1"], [Returned(None, "a"), Returned(None, "1")]),
    ],
)
def test_branches(branches: str, names: list[str], outputs: list[Returned]) -> None:
    found = modules(f"model: [{{Parallel: {branches}, name: p}}, {{Concat: 1}}]")
    assert [(step.name, step.inputs) for step in found["p"].steps] == [(name, ("input",)) for name in names]
    assert list(found["p"].outputs) == outputs


def test_copies_side_by_side() -> None:
    found = modules("model: [{Linear: [$(i+1), 2], repeat: 2, parallel: true}, Add]")
    assert [step.inputs for step in found["0"].steps] == [("input",), ("input",)]
    assert (found["0"].type, found["0.1"].args, len(found["0"].outputs)) == ("Parallel", (2, 2), 2)


@pytest.mark.parametrize(("flag", "names"), [("false", ["0", "1"]), ("true", ["0", "1", "2"]), ("0", ["0", "1"])])
def test_a_layer_with_a_condition(flag: str, names: list[str]) -> None:
    root = modules(f"vars: {{bn: {flag}}}\nmodel: [ReLU, {{Tanh, if: $bn}}, GELU]")[""]
    assert [step.name for step in root.steps] == names
    assert root.steps[-1].plan.type == "GELU"


def test_the_condition_of_a_copy_and_of_a_shortcut() -> None:
    text = "model: [{Sequential: [ReLU, {Tanh, if: $(i % 2)}], repeat: 2}, {Residual: {body: [ReLU], shortcut: [{Tanh, if: false}]}}]"
    found = modules(text)
    assert [path for path, each in found.items() if each.type == "Tanh"] == ["0.1.1"]
    assert [step.name for step in found["1"].steps] == ["body"]
    assert plan_model(parse_spec(text)).size == len(found)


def test_a_type_in_a_variable() -> None:
    text = "vars: {act: ReLU}\nblocks: {B: {args: [kind], layers: [$kind, {$act: {inplace: true}}]}}\nmodel: [{B: GELU}, $act]"
    found = modules(text, act="SiLU")
    assert [found[path].type for path in ("0.0", "0.1", "1")] == ["GELU", "SiLU", "SiLU"]
    assert found["0.1"].kwargs == {"inplace": True}
    assert modules("vars: {t: Mean}\nmodel: [{$t: 1}]")["0"].kwargs == {"dim": (1,), "keepdim": False}


def test_blocks_of_several_inputs_and_outputs() -> None:
    text = (
        "blocks: {B: {inputs: [x, skip], layers: [{ReLU, name: a}, {Add, from: [a, skip], name: b}], outputs: [b, a]}}\n"
        "model: [{ReLU, name: r}, {B, from: [r, input], name: b}, {Tanh, from: b.1}]"
    )
    found = modules(text)
    assert (found["b"].entries, found["b"].outputs) == (("x", "skip"), (Returned(None, "b"), Returned(None, "a")))
    assert found["b"].steps[0].inputs == ("x",)


def test_outputs_of_the_model() -> None:
    text = "model: [{{ReLU, name: a}}, {{LSTM: [4, 4], name: rnn}}]\noutputs: {}"
    assert modules(text.format("{y: a, h: rnn.1.0, x: input}"))[""].outputs == (
        Returned("y", "a"),
        Returned("h", "rnn", (1, 0)),
        Returned("x", "input"),
    )
    assert modules(text.format("[-1, a]"))[""].outputs == (Returned(None, "rnn"), Returned(None, "a"))


def test_experts() -> None:
    text = "model: [{MixtureOfExperts: {gate: {Linear: [4, 3]}, expert: [{Linear: [4, $(i+1)]}], count: 3, top: 2}, name: moe}]"
    found = modules(text)
    assert list(found) == ["", "moe", "moe.gate", "moe.experts"] + [
        path for index in range(3) for path in (f"moe.experts.{index}", f"moe.experts.{index}.0")
    ]
    assert found["moe.experts.2.0"].args == (4, 3)
    assert found["moe"].kwargs == {"top": 2, "normalize": True}
    assert plan_model(parse_spec(text)).size == len(found)


def test_parametrizations_are_checked() -> None:
    (made,) = modules("model: [{Linear: [4, 3], parametrize: {weight: {weight_norm: {dim: 1}}}}]")["0"].parametrize
    assert (made.tensor, made.kind, made.kwargs) == ("weight", "weight_norm", {"dim": 1})
    (made,) = modules("model: [{Linear: [4, 3], parametrize: {weight: spectral_norm}}]")["0"].parametrize
    assert made.kwargs == {"n_power_iterations": 1, "eps": 1e-12}


@pytest.mark.parametrize(
    ("layer", "kwargs"),
    [
        ("{Permute: [0, 2, 1]}", {"dims": (0, 2, 1)}),
        ("{Permute: [[0, 2, 1]]}", {"dims": (0, 2, 1)}),
        ("{Reshape: [0, $n, -1]}", {"shape": (0, 4, -1)}),
        ("{Mean: 1}", {"dim": (1,), "keepdim": False}),
        ("{Mean: [1, true]}", {"dim": (1,), "keepdim": True}),
        ("{Mean: [2, 3, {keepdim: true}]}", {"dim": (2, 3), "keepdim": True}),
        ("Sum", {"dim": None, "keepdim": False}),
        ("{Slice: {dim: 1, end: null}}", {"dim": 1, "start": 0, "end": None, "step": 1}),
        ("{Param: [3, 4, mul]}", {"shape": (3, 4), "op": "mul"}),
        ("{Einsum: 'bi->b'}", {"equation": "bi->b"}),
    ],
)
def test_lists_of_numbers_are_one_argument(layer: str, kwargs: dict[str, object]) -> None:
    assert modules(f"vars: {{n: 4}}\nmodel: [{layer}]")["0"].kwargs == kwargs


def test_classes_of_the_user_go_before_built_ins() -> None:
    plan = plan_model(parse_spec("model: [{Scale: [4, 4, 4]}]"), {"Scale"})
    assert (plan.root.steps[0].plan.kind, plan.root.steps[0].plan.args) == ("module", (4, 4, 4))


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("model: [{ReLU, from: -2}]", "1:22", "from is -2, and 0 layers stand before", "-1 is the layer before"),
        ("model: [ReLU, {ReLU, from: -0}]", "1:28", "from is 0, and 1 layers", None),
        ("model: [{Parallel: {mu: ReLU}, name: p}, {ReLU, from: p.mi}]", "1:55", "p has no output mi", "did you mean p.mu?"),
        ("model: [{Parallel: [ReLU]}, {ReLU, from: 0.1}]", "1:42", "0 has no output 1", "it has 0.0"),
        ("model: [{Parallel: []}]", "1:20", "expected branches", "[layer, [layer, ..]]"),
        ("model: [Parallel]", "1:9", "Parallel without its value", "{Parallel:"),
        ("model: [{Parallel: {a: {ReLU, from: input}}}]", "1:25", "from or if on a layer that stands alone", "in a list"),
        ("model: [{ReLU, parallel: true}]", "1:26", "parallel without repeat", "repeat: 3"),
        ("model: [{ReLU, repeat: 2, parallel: 3}]", "1:37", "expected true or false", None),
        ("model: [{Chunk: 2}, ReLU, Add]", "1:27", "Add has 1 input; expected two or more", None),
        ("model: [{Tanh, name: t, if: false}, {ReLU, from: t}]", "1:50", "from names a layer that its if leaves out: t", "same if"),
        ("model: [{ReLU, if: x}]", "1:20", "if is 'x'; expected true, false or an integer", None),
        ("model: [{ReLU, if: $(1.5)}]", "1:20", "if is 1.5", None),
        ("model: [{ReLU, if: false}]", "1:10", "no layer is left", "-D name=true"),
        ("model: [$act]", "1:9", "unknown variable act", None),
        ("model: [$act]\nvars: {act: Sequential}", "1:9", "$act is 'Sequential'; expected a type", "act: ReLU"),
        ("model: [$act]\nvars: {act: 3}", "1:9", "$act is 3; expected a type", None),
        ("model: [$(act)]", "1:9", "as a type; expected $name", None),
        ("model: [ReLU]\noutputs: {y: b}", "2:14", "outputs names an unknown layer: b", "input, 0"),
        ("model: [ReLU]\noutputs: 0", "2:10", "outputs is the number 0", "fc_mu"),
        ("model: [ReLU]\noutputs: {}", "2:10", "outputs is a mapping", None),
        ("blocks: {B: {inputs: [x, y], layers: [ReLU]}}\nmodel: [{B, from: [input, input]}]", "1:26", "the input y is never used", "from: y"),
        ("blocks: {B: {inputs: [x, x], layers: [ReLU]}}\nmodel: [B]", "1:26", "duplicate input x", None),
        ("blocks: {B: {inputs: [x, y], layers: [{Add, from: [x, y]}]}}\nmodel: [B]", "2:9", "B has 1 input; expected 2", "from: [a, b]"),
        ("model: [{MixtureOfExperts: {gate: ReLU, expert: ReLU, count: 2}}]", "1:28", "MixtureOfExperts without top", "top: 2"),
        ("model: [{MixtureOfExperts: {gate: ReLU, expert: ReLU, count: 2, top: 3}}]", "1:70", "top is 3; the limit is 2", None),
        ("model: [{MixtureOfExperts: {gate: ReLU, expert: {Param: [[3]]}, count: 2, top: 1}}]", "1:50", "a Param that stands alone", "in a list"),
        ("model: [{Linear: [4, 3], weight_norm: true}]", "1:26", "unknown layer option 'weight_norm'", "parametrize: {weight: weight_norm}"),
        ("model: [{Linear: [4, 3], parametrize: {weight: weightnorm}}]", "1:48", "parametrize by text 'weightnorm'", "did you mean weight_norm?"),
        ("model: [{Linear: [4, 3], parametrize: weight}]", "1:39", "parametrize is text 'weight'", "weight_norm"),
        ("model: [{Sequential: [ReLU], parametrize: {weight: orthogonal}}]", "1:10", "parametrize of Sequential", "at the layer"),
        ("model: [{LazyLinear: 3, parametrize: {weight: orthogonal}}]", "1:10", "which has no tensor yet", "sizes"),
        ("model: [{view: [-1, 8]}]", "1:10", "unknown type view", "did you mean Reshape?"),
        ("model: [{mean: {dim: 1}}]", "1:10", "unknown type mean", "did you mean Mean?"),
        ("model: [{cat: 1, from: [input, input]}]", "1:10", "unknown type cat", "did you mean Concat?"),
        ("model: [{Permute: [0, a]}]", "1:23", "2 arguments; it takes 1", None),
        ("model: [{Permute: [[0, a]]}]", "1:20", "dims of Permute is (0, 'a'); expected integers", "{dims: [1, 2]}"),
        ("model: [{Reshape: [-2]}]", "1:20", "shape of Reshape is -2; expected at least -1", None),
        ("model: [{Einsum: 3}]", "1:18", "equation of Einsum is 3; expected text", None),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, place: str, message: str, hint: str | None) -> None:
    with pytest.raises(SpecError) as caught:
        plan_model(parse_spec(text, source="m.yaml"))
    assert str(caught.value).startswith(f"m.yaml:{place}: ")
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")
