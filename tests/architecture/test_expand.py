from __future__ import annotations

import pytest

from paraminspect.architecture import expand, values
from paraminspect.architecture.expand import MAX_MODULE_DEPTH, MAX_REPEAT, check_types, plan_model
from paraminspect.architecture.nodes import Mark
from paraminspect.architecture.parse import parse_spec
from paraminspect.architecture.plan import ModelPlan, ModulePlan
from paraminspect.errors import SpecError

TYPES = ("Linear", "ReLU", "Conv2d", "LSTM", "Dropout")


def plan(text: str, **overrides: str) -> ModelPlan:
    return plan_model(parse_spec(text, source="m.yaml", overrides=overrides))


def modules(text: str) -> dict[str, ModulePlan]:
    return {each.path: each for each in plan(text).root.walk()}


def fails(text: str, types: tuple[str, ...] | None = TYPES) -> SpecError:
    spec = parse_spec(text, source="m.yaml")

    def run() -> None:
        plan = plan_model(spec)
        if types is not None:
            check_types(plan, types)

    with pytest.raises(SpecError) as caught:
        run()
    return caught.value


def test_plain_list_is_sequential() -> None:
    root = plan("model: [{Linear: [4, 3, {bias: false}]}, ReLU]").root
    assert (root.kind, root.type, root.path) == ("sequential", "Sequential", "")
    first, second = root.steps
    assert (first.name, first.inputs, first.take) == ("0", ("input",), ())
    assert (second.name, second.inputs) == ("1", ("0",))
    assert (first.plan.kind, first.plan.type, first.plan.args, first.plan.kwargs) == (
        "module",
        "Linear",
        (4, 3),
        {"bias": False},
    )
    assert first.plan.mark == Mark(1, 10)


def test_arguments_are_plain_values() -> None:
    found = modules("vars: {k: [3, 5]}\nmodel: [{Conv2d: [1, $(2*4), $k, {padding: same, x: [[1, 2]], y: null}]}]")["0"]
    assert found.args == (1, 8, (3, 5))
    assert found.kwargs == {"padding": "same", "x": ((1, 2),), "y": None}


def test_wiring_makes_a_flow() -> None:
    root = plan("model: [{Linear: [4, 4], name: a}, {Add, from: [a, input]}, {LSTM: [4, 4], take: 0}, ReLU]").root
    assert root.kind == "flow"
    assert [(step.name, step.inputs, step.take) for step in root.steps] == [
        ("a", ("input",), ()),
        ("1", ("a", "input"), ()),
        ("2", ("1",), (0,)),
        ("3", ("2",), ()),
    ]


def test_from_the_previous_layer_is_still_sequential() -> None:
    assert plan("model: [{ReLU, name: a}, {ReLU, from: a}]").root.kind == "sequential"
    assert plan("model: [{ReLU, from: input}, ReLU]").root.kind == "sequential"


def test_repeat_names_the_copies_and_counts_them() -> None:
    found = modules("model: [{Linear: [$(i+1), $(i+2)], name: h, repeat: $n}, {ReLU, repeat: 2}]\nvars: {n: 3}")
    assert list(found) == ["", "h", "h.0", "h.1", "h.2", "1", "1.0", "1.1"]
    assert [found[f"h.{index}"].args for index in range(3)] == [(1, 2), (2, 3), (3, 4)]
    assert found["h"].kind == "sequential"


def test_repeat_takes_of_each_copy() -> None:
    found = modules("model: [{LSTM: [4, 4], repeat: 2, take: 0}]")
    assert found["0"].kind == "flow"
    assert [step.take for step in found["0"].steps] == [(0,), (0,)]
    assert found[""].steps[0].take == ()


def test_inner_repeat_hides_the_outer_number() -> None:
    found = modules("model: [{Sequential: [{Linear: [$i, 1], repeat: 2}, {Linear: [$i, 2]}], repeat: 2}]")
    assert found["0.1.0.0"].args == (0, 1)
    assert found["0.1.0.1"].args == (1, 1)
    assert found["0.1.1"].args == (1, 2)


def test_blocks_bind_their_arguments() -> None:
    text = (
        "vars: {dim: 8}\n"
        "blocks: {B: {args: [n, {m: $(n*dim)}], layers: [{Linear: [$n, $m]}]}}\n"
        "model: [{B: [$dim]}, {B: {n: 2, m: 3}}, {B: [2, {m: 4}], name: x}, {B: $(dim//2)}]"
    )
    found = modules(text)
    assert [found[path].args for path in ("0.0", "1.0", "x.0", "3.0")] == [(8, 64), (2, 3), (2, 4), (4, 32)]
    assert (found["x"].type, found["x"].kind, found["x"].mark) == ("B", "sequential", Mark(3, 42))


def test_blocks_do_not_see_the_number_of_the_copy() -> None:
    text = "blocks: {{B: {{layers: [{{Linear: [{}, 1]}}]}}}}\nmodel: [{{B, repeat: 2}}]"
    assert "only inside a repeat" in fails(text.format("$i")).message
    assert modules(text.format(3))["0.1.0"].args == (3, 1)


def test_residual_has_body_and_shortcut() -> None:
    found = modules("model: [{Residual: [ReLU]}, {Residual: {body: [ReLU], shortcut: [{Param: {shape: [3]}}]}}]")
    assert [(path, each.kind) for path, each in found.items()] == [
        ("", "sequential"),
        ("0", "residual"),
        ("0.body", "sequential"),
        ("0.body.0", "module"),
        ("1", "residual"),
        ("1.body", "sequential"),
        ("1.body.0", "module"),
        ("1.shortcut", "flow"),
        ("1.shortcut.0", "parameter"),
    ]
    assert [step.inputs for step in found["1"].steps] == [("input",), ("input",)]


def test_use_builds_once_and_refers_afterwards() -> None:
    text = (
        "shared: {a: {Sequential: [{Linear: [2, 2]}]}}\nmodel: [{use: a}, {use: a, name: again}, {use: a, repeat: 2}]"
    )
    found = modules(text)
    assert list(found) == ["", "0", "0.0", "again", "2", "2.0", "2.1"]
    assert (found["0"].kind, found["0"].shared, found["0"].reference) == ("sequential", "a", None)
    for path in ("again", "2.0", "2.1"):
        assert (found[path].kind, found[path].reference, found[path].steps) == ("reference", "0", ())
    assert found["again"].mark == Mark(2, 20)


def test_shared_layers_use_each_other_and_repeat() -> None:
    text = "shared: {a: {use: b, repeat: 2}, b: ReLU}\nmodel: [{use: a}, {use: b}]"
    found = modules(text)
    assert [(path, each.kind, each.reference) for path, each in found.items()] == [
        ("", "sequential", None),
        ("0", "sequential", None),
        ("0.0", "module", None),
        ("0.1", "reference", "0.0"),
        ("1", "reference", "0.0"),
    ]


def test_shared_parameters_make_a_flow_of_each_list() -> None:
    found = modules("shared: {p: {Param: {shape: [3]}}}\nmodel: [{use: p}, {Sequential: [{use: p}]}]")
    assert found["0"].kind == "parameter"
    assert (found["1"].kind, found["1.0"].kind, found["1.0"].kwargs) == (
        "flow",
        "reference",
        {"shape": (3,), "op": "add"},
    )


def test_arguments_of_built_ins_are_complete() -> None:
    found = modules("model: [{Attention: [4]}, {Rotary: {heads: 2, base: 500}}, {Transpose: [1, 2]}, Positions]")
    assert found["0"].kwargs == {"heads": 4, "kv_heads": 0, "causal": False, "dropout": 0.0}
    assert found["1"].kwargs == {"heads": 2, "base": 500}
    assert found["2"].kwargs == {"dim0": 1, "dim1": 2}
    assert found["3"].kwargs == {"dim": 1}
    assert all(found[path].kind == "builtin" for path in "0123")


def test_named_inputs() -> None:
    text = "input: {a: [2], b: [2]}\nmodel: [{ReLU, name: x}, {Add, from: [x, b]}, ReLU]"
    assert [step.inputs for step in plan(text).root.steps] == [("a",), ("x", "b"), ("1",)]
    one = plan("input: {ids: [2]}\nmodel: [ReLU]").root
    assert (one.kind, one.steps[0].inputs) == ("sequential", ("ids",))
    assert "never used" in fails("input: {a: [2], b: [2]}\nmodel: [ReLU]").message
    assert "unknown layer: input" in fails("input: {a: [2], b: [2]}\nmodel: [{Add, from: [input, b]}]").message


def test_ties_reach_through_references_and_into_modules() -> None:
    text = (
        "shared: {{s: {{Sequential: [{{Linear: [2, 2], name: fc}}]}}}}\n"
        "model: [{{use: s, name: a}}, {{use: s, name: b}}, {{Linear: [2, 2], name: c}}, {{Param: {{shape: [2]}}, name: p}}]\n"
        "tie: {{c.weight: {}}}"
    )
    for name in ("b.fc.weight", "a.fc.weight", "p", "c.anything.below"):
        assert plan(text.format(name)).ties[0].source == name
    for name, message in (("b.fx.weight", "b has no child fx"), ("b", "it is a module"), ("p.x", "p has no child x")):
        error = fails(text.format(name))
        assert message in error.message
        assert (error.line, error.column) == (3, 7)


def test_count_is_that_of_the_walk() -> None:
    text = (
        "shared: {s: ReLU}\nblocks: {B: {layers: [{use: s}, {Param: {shape: [1]}}]}}\n"
        "model: [{B, repeat: 3}, {Residual: [ReLU]}, {use: s}]"
    )
    found = plan(text)
    assert found.size == len(list(found.root.walk()))


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("model: [Relu]", "1:9", "unknown type Relu", "did you mean ReLU?"),
        ("model: [{RELU: }]", "1:10", "unknown type RELU", "did you mean ReLU?"),
        ("model: [{residual: [1]}]", "1:10", "unknown type residual", "did you mean Residual?"),
        ("model: [Bolck]\nblocks: {Block: {layers: [ReLU]}}", "1:9", "unknown type Bolck", "did you mean Block?"),
        ("model: [Unheard]", "1:9", "unknown type Unheard", "torch.nn"),
        ("model: [ReLU]\nblocks: {ReLU: {layers: [Dropout]}}", "2:10", "a block named ReLU, which is a class", None),
        ("model: [{use: lin}]", "1:15", "use of an undefined name: lin", "shared: {NAME: layer}"),
        ("model: [{use: lni}]\nshared: {lin: ReLU}", "1:15", "undefined name: lni", "did you mean lin?"),
        ("model: [ReLU]\nshared: {lin: ReLU}", "2:10", "the shared module lin is never used", "{use: lin}"),
        (
            "model: [ReLU]\nshared: {a: ReLU}\nblocks: {B: {layers: [{use: a}]}}",
            "2:10",
            "shared module a is never used",
            None,
        ),
        (
            "model: [A]\nblocks: {A: {layers: [B]}, B: {layers: [{Residual: [A]}]}}",
            "2:53",
            "block A contains itself: A -> B -> A",
            "repeat",
        ),
        (
            "model: [{use: a}]\nshared: {a: {Sequential: [{use: b}]}, b: {Sequential: [{use: a}]}}",
            "2:62",
            "shared a contains itself: a -> b -> a",
            None,
        ),
        ("model: [{ReLU, name: a}, {ReLU, name: a}]", "1:39", "duplicate name a", None),
        ("model: [{ReLU, name: '1'}, ReLU]", "1:28", "duplicate name 1", None),
        ("model: [{ReLU, name: x}]\ninput: {x: [2]}", "1:22", "a layer named x, as an input", None),
        ("model: [{ReLU, repeat: 1000000000}]", "1:24", f"1,000,000,000; the limit is {MAX_REPEAT:,}", None),
        ("model: [{ReLU, repeat: 0}]", "1:24", "repeat is 0; expected at least 1", None),
        ("model: [{ReLU, repeat: 2.5}]", "1:24", "repeat is the number 2.5", None),
        ("model: [{ReLU, repeat: true}]", "1:24", "repeat is true; expected an integer", None),
        ("model: [{ReLU, repeat: $n}]\nvars: {n: abc}", "1:24", "repeat is 'abc'", None),
        ("model: [{ReLU, repeat: $(9**9**9)}]", "1:24", "past 9,223,372,036,854,775,807", None),
        ("model: [{Linear: [$i, 3]}]", "1:19", "only inside a repeat", None),
        ("model: [{Linear: [$dmi, 3]}]\nvars: {dim: 3}", "1:19", "unknown variable dmi", "did you mean dim?"),
        ("model: [{Linear: $(1/0)}]", "1:18", "division by zero", None),
        ("model: [{ReLU, from: b}, {ReLU, name: b}]", "1:22", "from names a later layer: b", None),
        ("model: [ReLU, {ReLU, name: x, from: x}]", "1:37", "from names itself: x", None),
        ("model: [{ReLU, name: first}, {ReLU, from: frist}]", "1:43", "unknown layer: frist", "did you mean first?"),
        ("model: [ReLU, {Sequential: [{ReLU, from: 0}]}]", "1:42", "from names itself: 0", None),
        ("model: [ReLU, Add]", "1:15", "Add has 1 input; expected two or more", "from: [a, b]"),
        ("model: [ReLU, {Add, from: 0}]", "1:16", "Add has 1 input", None),
        ("model: [ReLU, {Add, repeat: 2}]", "1:16", "Add has 1 input", None),
        ("model: [ReLU, {Attention: 2, from: [0, input]}]", "1:16", "2 inputs; expected 1 or 3", None),
        ("model: [ReLU, {Residual: [ReLU], from: [0, input]}]", "1:16", "Residual has 2 inputs; expected 1", None),
        ("model: [ReLU, {ReLU, repeat: 2, from: [0, input]}]", "1:16", "Sequential has 2 inputs", None),
        (
            "model: [{use: s}, {use: s, from: [0, input]}]\nshared: {s: {Residual: [ReLU]}}",
            "1:20",
            "Residual has 2 inputs",
            None,
        ),
        ("model: [{Concat, from: [input, input]}]", "1:10", "Concat without its argument dim", "{Concat: {dim: ..}}"),
        ("model: [{Concat: {dmi: 1}, from: [input, input]}]", "1:19", "no argument dmi", "did you mean dim?"),
        ("model: [{Concat: [1, 2], from: [input, input]}]", "1:22", "2 arguments; it takes 1", None),
        ("model: [{Concat: [1, {dim: 1}], from: [input, input]}]", "1:23", "dim of Concat is given twice", None),
        ("model: [{Concat: 1.5, from: [input, input]}]", "1:18", "dim of Concat is 1.5; expected an integer", None),
        ("model: [{Add: 1, from: [input, input]}]", "1:15", "it takes none", "write Add"),
        ("model: [{Attention: 0}]", "1:21", "heads of Attention is 0; expected at least 1", None),
        ("model: [{Attention: [2, {causal: 1}]}]", "1:34", "expected true or false", None),
        ("model: [{Rotary: [2, .nan]}]", "1:22", "expected at least 1", None),
        ("model: [{Param: [3, add]}]", "1:18", "shape of Param is 3; expected a list of sizes", None),
        ("model: [{Param: {shape: [3, 0]}}]", "1:25", "integers of at least 1", None),
        ("model: [{Param: {shape: [4000000000, 4000000000]}}]", "1:25", "elements; the limit is", None),
        ("model: [{Param: {shape: [3], op: Add}}]", "1:34", "op of Param is 'Add'", "did you mean add?"),
        ("model: [B]\nblocks: {B: {args: [n], layers: [ReLU]}}", "1:9", "B without its argument n", "{B: {n: ..}}"),
        ("model: [{B: [1, 2]}]\nblocks: {B: {args: [n], layers: [ReLU]}}", "1:17", "2 arguments; it takes 1", None),
        ("model: [ReLU]\ntie: {a.weight: 0.weight}", "2:7", "tie of a.weight: the model has no child a", "it has 0"),
        ("model: [{ReLU, name: fc}]\ntie: {fc: fc.w}", "2:7", "it is a module (ReLU)", "fc.weight"),
    ],
)
def test_what_is_refused(text: str, place: str, message: str, hint: str | None) -> None:
    error = fails(text)
    assert str(error).startswith(f"m.yaml:{place}: ")
    assert message in error.message
    assert hint is None or hint in (error.hint or "")


def test_types_are_left_to_the_builder_without_a_list_of_them() -> None:
    assert modules("model: [Unheard]")["0"].type == "Unheard"
    assert fails("model: [sequential]", types=None).hint == "did you mean Sequential?"


def test_depth_of_modules_is_bounded() -> None:
    blocks = [f"  B{n}: {{layers: [B{n + 1}]}}" for n in range(MAX_MODULE_DEPTH)]
    text = "\n".join(["blocks:", *blocks, f"  B{MAX_MODULE_DEPTH}: {{layers: [ReLU]}}", ""])
    assert "inside each other" in fails(text + "model: [B0]").message
    assert plan(text + "model: [B2]").size == MAX_MODULE_DEPTH + 1


def test_number_of_modules_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expand, "MAX_MODULES", 1000)
    error = fails("model: [{Sequential: [{ReLU, repeat: 100}], repeat: 10000}]")
    assert error.message == "more than 1,000 modules"
    doubling = [f"  B{n}: {{layers: [B{n + 1}, B{n + 1}]}}" for n in range(40)]
    text = "\n".join(["model: [B0]", "blocks:", *doubling, "  B40: {layers: [ReLU]}"])
    assert fails(text).message == "more than 1,000 modules"


def test_work_of_evaluation_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MAX_VALUES", 5000)
    numbers = ", ".join(["1"] * 1000)
    assert "more than 5,000 arguments" in fails(f"model: [{{ReLU: [[{numbers}]], repeat: 10}}]").message
    terms = "+".join(["i"] * 90)
    assert "more than 5,000 arguments" in fails(f"model: [{{ReLU: $({terms}), repeat: 100}}]").message
