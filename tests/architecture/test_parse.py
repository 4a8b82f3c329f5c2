from __future__ import annotations

import pytest

from paraminspect.architecture.model import Call, Layer, Loss, Residual, RuleSet, RuleText, Sequential, TensorInput, Use
from paraminspect.architecture.nodes import Mark
from paraminspect.architecture.parse import parse_spec
from paraminspect.architecture.tensors import MAX_INPUT_NUMEL
from paraminspect.errors import SpecError


def fails(text: str, **overrides: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, source="m.yaml", overrides=overrides)
    return caught.value


def layer(text: str) -> Layer:
    return parse_spec(f"model:\n  - {text}").layers[0]


def test_forms_of_a_layer() -> None:
    spec = parse_spec(
        "model: [ReLU, {Linear: [4, 3]}, {Linear: {in_features: 4}}, {Conv2d: [3, 16, 3, {bias: false}]}, {Dropout: 0.1}]"
    )
    calls = [each.what for each in spec.layers]
    assert all(isinstance(call, Call) for call in calls)
    found = [
        (
            call.type.text,
            [getattr(node, "value", None) for node in call.args],
            {name.text: getattr(node, "value", None) for name, node in call.kwargs},
        )
        for call in calls
        if isinstance(call, Call)
    ]
    assert found == [
        ("ReLU", [], {}),
        ("Linear", [4, 3], {}),
        ("Linear", [], {"in_features": 4}),
        ("Conv2d", [3, 16, 3], {"bias": False}),
        ("Dropout", [0.1], {}),
    ]


def test_options_of_a_layer() -> None:
    found = layer("{LSTM: [4, 3], name: 7, repeat: 3, from: [a, input], take: [1, 0]}")
    assert found.name is not None
    assert found.name.text == "7"
    assert [source.name.text for source in found.inputs] == ["a", "input"]
    assert found.take == (1, 0)
    assert found.repeat is not None
    assert found.mark == Mark(2, 6)
    assert layer("{ReLU, from: 0, take: -1}").take == (-1,)


def test_containers_and_use() -> None:
    assert isinstance(layer("{Sequential: [ReLU]}").what, Sequential)
    assert isinstance(layer("{use: x}").what, Use)
    listed, mapped = layer("{Residual: [ReLU]}").what, layer("{Residual: {body: [ReLU], shortcut: [Tanh, ReLU]}}").what
    assert isinstance(listed, Residual)
    assert isinstance(mapped, Residual)
    assert (len(listed.body), len(listed.shortcut)) == (1, 0)
    assert (len(mapped.body), len(mapped.shortcut)) == (1, 2)


def test_vars_see_those_before_them_and_overrides() -> None:
    text = "vars: {dim: 64, hidden: $(4*dim), act: relu, sizes: [1, $dim], none: }\nmodel: [ReLU]"
    assert parse_spec(text).vars == {"dim": 64, "hidden": 256, "act": "relu", "sizes": (1, 64), "none": None}
    overridden = parse_spec(text, overrides={"dim": "1e2", "act": 3}).vars
    assert overridden["dim"] == 100.0
    assert overridden["hidden"] == 400.0
    assert overridden["act"] == 3


def test_override_of_an_unknown_variable() -> None:
    error = fails("vars: {dim: 64}\nmodel: [ReLU]", dmi="3")
    assert str(error) == "m.yaml: -D dmi: unknown variable"
    assert error.hint == "did you mean dim?"
    assert "no vars" in (fails("model: [ReLU]", dim="3").hint or "")
    assert "bare no" in fails("vars: {dim: 64}\nmodel: [ReLU]", dim="no").message


def test_chains_of_ties_end_at_a_tensor_of_its_own() -> None:
    spec = parse_spec("model: [ReLU]\ntie: {a.w: b.w, b.w: c.w, d.w: a.w, e.w: f.w}")
    assert [(tie.alias, tie.source) for tie in spec.ties] == [
        ("a.w", "c.w"),
        ("b.w", "c.w"),
        ("d.w", "c.w"),
        ("e.w", "f.w"),
    ]
    assert spec.ties[1].mark == Mark(2, 17)


def test_inputs() -> None:
    def inputs(text: str) -> tuple[TensorInput, ...]:
        return parse_spec(f"vars: {{n: 7}}\nmodel: [ReLU]\ninput: {text}").inputs

    mark = Mark(3, 8)
    assert parse_spec("model: [ReLU]").inputs == ()
    assert inputs("[2, $n]") == (TensorInput("input", mark, (2, 7)),)
    assert inputs("[]") == (TensorInput("input", mark, ()),)
    assert inputs("{shape: [2], dtype: int64, low: 1, high: $n, seed: 5}") == (
        TensorInput("input", mark, (2,), "int64", "uniform", 1, 7, seed=5),
    )
    assert inputs("{shape: [2], dist: normal}") == (TensorInput("input", mark, (2,), dist="normal"),)
    assert inputs("{shape: [2], dtype: bool}") == (TensorInput("input", mark, (2,), "bool", high=2),)
    assert inputs("{shape: [1, 1], fill: 1}") == (TensorInput("input", mark, (1, 1), fill=1),)
    assert inputs("{file: data/x.npy}") == (TensorInput("input", mark, dtype=None, file="data/x.npy"),)
    assert inputs("{ids: [2], mask: {shape: [3], fill: 0}}") == (
        TensorInput("ids", Mark(3, 14), (2,)),
        TensorInput("mask", Mark(3, 25), (3,), fill=0),
    )


def test_losses() -> None:
    def loss(text: str) -> Loss:
        return parse_spec(f"model: [ReLU]\nloss: {text}").loss

    assert parse_spec("model: [ReLU]").loss == Loss("sum")
    assert [loss(kind).kind for kind in ("sum", "mean", "square", "target")] == ["sum", "mean", "square", "target"]
    target = loss("{target: {shape: [2], dtype: int64, high: 3}}").target
    assert target is not None
    assert (target.name, target.shape, target.dtype, target.high) == ("target", (2,), "int64", 3)
    assert [str(loss(text).text) for text in ("output.a.b", "mean(output.0)", "{bce(output.p): [2]}")] == [
        "output.a.b",
        "mean(output.0)",
        "bce(output.p)",
    ]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("outptu.x", "2:7: loss is text 'outptu.x'; expected one of sum, ", "did you mean output?"),
        ("[sum]", "2:7: loss is a list", ""),
        ("{sum: [2]}", "2:8: loss sum(output) takes no target", "those that do are mse, "),
        ("{mse: [2], l1: [2]}", "2:18: a second loss", ""),
    ],
)
def test_losses_that_are_none(text: str, message: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(f"model: [ReLU]\nloss: {text}")
    assert str(caught.value).startswith(message)
    assert (caught.value.hint or "").startswith(hint)


def test_rules() -> None:
    listed = parse_spec("model: [ReLU]\ninit:\n  - '*weight=zeros'\n  - /b$/=ones").rule_sets
    assert listed == (RuleSet(None, (RuleText("*weight=zeros", Mark(3, 6)), RuleText("/b$/=ones", Mark(4, 5)))),)
    named = parse_spec("model: [ReLU]\ninit: {default: ['a=b'], other: []}").rule_sets
    assert [(rules.name, len(rules.rules)) for rules in named] == [("default", 1), ("other", 0)]


def test_only_aliased_layers_are_noted() -> None:
    text = "vars: {a: &n 4, b: *n}\nmodel:\n  - &l {Sequential: [{Linear: &a [*n, 4]}]}\n  - {Linear: *a}\n  - *l\n"
    assert parse_spec(text).aliases == (Mark(5, 5),)


def test_aliased_layers_are_copies_and_noted() -> None:
    spec = parse_spec("model:\n  - &fc {Linear: [4, 4]}\n  - *fc\n")
    assert spec.layers[0] == spec.layers[1]
    assert spec.aliases == (Mark(3, 5),)


def test_json_is_a_spec_too() -> None:
    text = '{\n\t"vars": {"n": 3},\n\t"model": [{"Linear": ["$n", "$(2*n)"], "name": "fc"}, "ReLU"]\n}'
    assert [each.mark for each in parse_spec(text).layers] == [Mark(3, 13), Mark(3, 56)]


M = "model: [ReLU]\n"


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("[ReLU]", "1:1", "a list; expected a mapping", "model: [layer, ..]"),
        ("ReLU", "1:1", "text 'ReLU'; expected a mapping", "model"),
        ("vars: {a: 1}", "1:1", "a spec without model", "model"),
        ("modle: [ReLU]", "1:1", "unknown key 'modle' of a spec", "did you mean model?"),
        ("Model: [ReLU]", "1:1", "unknown key 'Model'", "did you mean model?"),
        ("model: [ReLU]\nlayers: 3", "2:1", "unknown key 'layers'", "known are vars, blocks"),
        ("model: []", "1:8", "model is empty", None),
        ("model: ReLU", "1:8", "model is text 'ReLU'; expected a list of layers", "[layer, ..]"),
        ("model: {Linear: [4, 3]}", "1:8", "model is a mapping; expected a list of layers", None),
        ("model: [[ReLU]]", "1:9", "a list as a layer", "Sequential"),
        ("model: [3]", "1:9", "the number 3 as a layer", "{Linear: [4, 3]}"),
        ("model: [null]", "1:9", "nothing as a layer", None),
        ("model: [true]", "1:9", "true as a layer", None),
        ("model:\n  - Linear(4, 3)", "2:5", "'Linear(4, 3)' is not a type", "{Linear: [4, 3]}"),
        ("model: [torch.nn.ReLU]", "1:9", "is not a type", "write ReLU:"),
        ("model: [os.system]", "1:9", "is not a type", "imports nothing"),
        ("model: [$(act)]", "1:9", "'$(act)' as a type; expected $name", "vars: {act: ReLU}"),
        ("model: [Residual]", "1:9", "Residual without its value", "{Residual: [layer, ..]}"),
        ("model: [name]", "1:9", "name without its value", None),
        ("model: [{}]", "1:9", "a layer without a type", None),
        ("model: [{name: fc}]", "1:9", "a layer without a type: name", None),
        ("model: [{Linear: [4, 3], ReLU: }]", "1:26", "two types in one layer: Linear and ReLU", "dash"),
        ("model: [{ReLU, nmae: fc}]", "1:16", "unknown layer option 'nmae'", "did you mean name?"),
        ("model: [{Linear: {4, 3}}]", "1:19", "'4' as the name of an argument", "[4, 3]"),
        ("model: [{Linear: [4, {bias: false}, 3]}]", "1:22", "a mapping among positional", "{bias: false}"),
        ("model: [{E: [{Layer: [4]}, 3]}]", "1:14", "a mapping among positional", "cannot be an argument"),
        ("model: [{E: [4, {a: {b: 3}}]}]", "1:21", "a mapping as an argument", None),
        ("model: [{E: [[{b: 3}], 4]}]", "1:15", "a mapping as an argument", None),
        ("model: [{Residual: }]", "1:20", "Residual is nothing", None),
        ("model: [{Residual: {shortcut: [ReLU]}}]", "1:20", "Residual without body", None),
        ("model: [{Residual: {boddy: [ReLU]}}]", "1:21", "unknown key 'boddy'", "did you mean body?"),
        ("model: [{Sequential: ReLU}]", "1:22", "Sequential is text", None),
        ("model: [{use: [a]}]", "1:15", "use is a list; expected a name", None),
        ("model: [{ReLU, name: a.b}]", "1:22", "name is 'a.b'; expected letters", None),
        ("model: [{ReLU, name: 1.5}]", "1:22", "name is the number 1.5", "quote it"),
        ("model: [{ReLU, name: }]", "1:22", "name is nothing", None),
        ("model: [{ReLU, name: input}]", "1:22", "a layer named input", None),
        (f"model: [{{ReLU, name: {'a' * 201}}}]", "1:22", "a name of 201 characters; the limit is 200", None),
        ("model: [{ReLU, from: []}]", "1:22", "from is empty", None),
        ("model: [{ReLU, from: a.}]", "1:22", "from is 'a.'; expected a name, or -1", None),
        ("model: [{ReLU, take: a}]", "1:22", "take is text 'a'; expected an integer", None),
        ("model: [{ReLU, take: true}]", "1:22", "take is true", None),
        ("model: [{ReLU, take: []}]", "1:22", "take has 0 steps; expected 1 to 8", None),
        ("model: [{Linear: [4*$dim, 3]}]", "1:19", "$ inside text: '4*$dim'", "$(4*dim)"),
        ("model: [{Linear: [$(4*$dim), 3]}]", "1:19", "$ inside the expression", "without its $"),
        ("model:\n- Linear:\n  - $(4*(dim)", "3:5", "unbalanced parenthesis", "close"),
        ("model: [{Linear: ['$(4*)', 3]}]", "1:19", "not an expression", None),
        (M + "blocks: {A: {layers: [{Linear: '$(4*)'}]}}", "2:32", "not an expression", None),
        (M + "blocks: {A: [ReLU]}", "2:13", "block A is a list; expected {args, layers}", None),
        (M + "blocks: {A: {args: [a]}}", "2:13", "block A without layers", None),
        (M + "blocks: {A: {layer: [ReLU]}}", "2:14", "unknown key 'layer' of block A", "did you mean layers?"),
        (M + "blocks: {Add: {layers: [ReLU]}}", "2:10", "a block named Add, which is built in", None),
        (M + "blocks: {Residual: {layers: [ReLU]}}", "2:10", "a block named Residual, which is built in", None),
        ('model: [{ReLU, "a\\u2028b": 1}]', "1:16", "two types in one layer: ReLU and a\\u2028b", None),
        (M + "blocks: {use: {layers: [ReLU]}}", "2:10", "a block named use", None),
        (M + "blocks: {A-B: {layers: [ReLU]}}", "2:10", "the name of a block is 'A-B'", None),
        (M + "blocks: {A: {args: a, layers: [ReLU]}}", "2:20", "args of block A is text 'a'", None),
        (M + "blocks: {A: {args: [a, a], layers: [ReLU]}}", "2:24", "duplicate argument a", None),
        (M + "blocks: {A: {args: [{a: 1}, b], layers: [ReLU]}}", "2:29", "argument b without a default", None),
        (M + "blocks: {A: {args: [{a: 1, b: 2}], layers: [ReLU]}}", "2:21", "one argument with its default", None),
        (M + "blocks: {A: {args: [i], layers: [ReLU]}}", "2:21", "named i, which has a meaning", None),
        (M + "shared: {a: {ReLU, name: b}}", "2:14", "shared module a with name", None),
        (M + "shared: {a: {use: b}}", "2:14", "only another name", "use b"),
        (M + "shared: [ReLU]", "2:9", "shared is a list; expected a mapping", None),
        (M + "vars: {fan_in: 3}", "2:8", "named fan_in, which has a meaning", None),
        (M + "vars: {a: $b, b: 3}", "2:11", "unknown variable b", None),
        (M + "vars: {a: {b: 3}}", "2:11", "a mapping as a value", None),
        (M + "vars: {a: 9223372036854775808}", "2:11", "an integer past", None),
        (M + "tie: {a.w: a.w}", "2:7", "a.w is tied to itself", None),
        (M + "tie: {a.w: b.w, b.w: a.w}", "2:7", "a.w is tied to itself", None),
        (M + "tie: {a.w: [b]}", "2:12", "tie of a.w is a list", None),
        (M + "tie: {a.w: b..w}", "2:12", "'b..w' is not a dotted name", None),
        (M + "tie: {a w: b.w}", "2:7", "'a w' is not a dotted name", None),
        (M + "input: 3", "2:8", "input is the number 3; expected a shape or a mapping", None),
        (M + "input: {}", "2:8", "input is empty", None),
        (M + "input: {shpe: 3}", "2:9", "unknown key 'shpe' of input", "did you mean shape?"),
        (M + "input: {dtype: int64}", "2:8", "input without shape", None),
        (M + "input: [2, 0]", "2:12", "a size is 0; expected at least 1", None),
        (M + "input: [2, x]", "2:12", "a size is text 'x'", None),
        (M + "input: [32768, 65536]", "2:8", f"the limit is {MAX_INPUT_NUMEL:,}", None),
        (M + f"input: [{', '.join(['1'] * 65)}]", "2:8", "65 dimensions; the limit is 64", None),
        (M + "input: {shape: [2], dtype: Int64}", "2:28", "dtype is text 'Int64'", "did you mean int64?"),
        (M + "input: {shape: [2], dtype: int64}", "2:8", "input of dtype int64 without high", None),
        (M + "input: {shape: [2], dtype: int64, high: 2.5}", "2:41", "expected an integer", None),
        (M + "input: {shape: [2], dtype: int64, dist: normal}", "2:35", "dist normal with dtype int64", None),
        (M + "input: {shape: [2], dist: normal, low: 3}", "2:35", "low beside dist: normal", None),
        (M + "input: {shape: [2], fill: 1, seed: 1}", "2:30", "seed beside fill", "remove seed"),
        (M + "input: {shape: [2], low: 3}", "2:26", "expected low below high", None),
        (M + "input: {shape: [2], high: .inf}", "2:27", "expected a finite number", None),
        (M + "input: {shape: [2], seed: -1}", "2:27", "seed is -1", None),
        (M + "input: {file: x.npy, shape: [2]}", "2:22", "shape beside file", None),
        (M + "input: {file: ../x.npy}", "2:15", "outside the folder", "--input"),
        (M + "input: {file: /etc/x.npy}", "2:15", "outside the folder", None),
        (M + "input: {file: 'C:\\x.npy'}", "2:15", "outside the folder", None),
        (M + "input: {file: 'a\\..\\..\\x.npy'}", "2:15", "outside the folder", None),
        (M + "input: {file: x.pkl}", "2:15", "expected one of .npy", None),
        (M + "loss: summ", "2:7", "loss is text 'summ'", "did you mean sum?"),
        (M + "loss: {targt: [2]}", "2:8", "unknown key 'targt'", "did you mean target?"),
        (M + "loss: {}", "2:7", "loss is an empty mapping", None),
        (M + "init: gaussian", "2:7", "init is text 'gaussian'", None),
        (M + "init: {'*w': zeros}", "2:14", "rule set '*w' is text 'zeros'", None),
        (M + "init: {a=b: [c=d]}", "2:13", "expected a name", None),
        (M + "init: [zeros]", "2:8", "the rule 'zeros'; expected selector = action", None),
        (M + "init: ['=zeros']", "2:8", "expected selector = action", None),
        (M + "init: [{a: b}]", "2:8", "a rule of init is a mapping", None),
        (M + "init: {x: [3]}", "2:12", "a rule of rule set x is the number 3", None),
    ],
)
def test_what_is_refused(text: str, place: str, message: str, hint: str | None) -> None:
    error = fails(text)
    assert f"{error.line}:{error.column}" == place
    assert message in error.message
    assert str(error).startswith(f"m.yaml:{place}: ")
    assert hint is None or hint in (error.hint or "")


def test_errors_without_a_source_have_their_place() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec("model: []")
    assert str(caught.value) == "1:8: model is empty; expected at least one layer"
