from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError, RuleError
from paraminspect.outcomes import InitStep
from paraminspect.records import Classes
from paraminspect.rules.parse import parse_rule
from paraminspect.rules.rule import Origin
from paraminspect.rules.steps import FLOATING, InitPlan, plan_rules
from paraminspect.rules.targets import Other, Target

LINEAR = Classes(("torch.nn.modules.linear.Linear", "torch.nn.modules.module.Module"))
EMBEDDING = Classes(("torch.nn.modules.sparse.Embedding", "torch.nn.modules.module.Module"))
NORM = Classes(("torch.nn.modules.batchnorm.BatchNorm1d", "torch.nn.modules.batchnorm._NormBase"))


def target(name: str, shape: tuple[int, ...] = (4, 3), dtype: str = "float32", **rest: Any) -> Target:
    return Target(name, shape, dtype, **rest)


def plan(targets: list[Target], *rules: str, others: tuple[Other, ...] = ()) -> InitPlan:
    return plan_rules(targets, [parse_rule(text) for text in rules], others)


def note(tensor: Target, *rules: str) -> str:
    return plan([tensor], *rules).steps[0].note


def refused(tensor: Target, *rules: str) -> RuleError:
    with pytest.raises(RuleError) as caught:
        plan([tensor], *rules)
    return caught.value


def test_the_last_rule_that_matches_wins() -> None:
    made = plan(
        [target("a.weight"), target("a.bias", (4,)), target("c")],
        "*=ones",
        "*.weight=normal",
        "a*=zeros",
        "a.weight=keep",
    )
    assert [(step.target.name, step.number) for step in made.steps] == [("a.weight", 4), ("a.bias", 3), ("c", 1)]
    assert made.shadowed == (2,)
    assert dict(made.unmatched) == {}


@given(st.lists(st.sampled_from(["*=ones", "a*=zeros", "*.w=normal", "b.*=keep", "x=eye"]), max_size=6))
def test_winners_shadowed_and_unmatched_share_out_the_rules(rules: list[str]) -> None:
    names = ["a.w", "a.b", "b.w", "c"]
    made = plan([target(name) for name in names], *rules)
    matching = {
        name: [number for number, text in enumerate(rules, 1) if made.rules[number - 1].selector.matches(name)]
        for name in names
    }
    assert {step.target.name: step.number for step in made.steps} == {
        name: numbers[-1] if numbers else None for name, numbers in matching.items()
    }
    won = {step.number for step in made.steps if step.number is not None}
    assert won | set(made.shadowed) | set(made.unmatched) == set(range(1, len(rules) + 1))
    assert len(won) + len(made.shadowed) + len(made.unmatched) == len(rules)
    assert [step.target.name for step in made.kept] == [name for name, numbers in matching.items() if not numbers]
    assert len(made.records) + len(made.kept) == len(names)


def test_a_step_as_a_record() -> None:
    made = plan([target("w", (6, 4)), target("k")], "w=kaiming_normal(nonlinearity=relu, chunks=2)", "k=keep")
    assert made.records == [
        InitStep(
            "w", (6, 4), 1, "kaiming_normal",
            {"a": 0.0, "mode": "fan_in", "nonlinearity": "relu", "std": pytest.approx(2**-0.5), "chunks": 2}, 4, 3,
        ),
        InitStep("k", (4, 3), 2, "keep", {}, 3, 4),
    ]  # fmt: skip
    assert plan([target("w")]).steps[0].record() == InitStep("w", (4, 3), fan_in=3, fan_out=4)


def test_a_class_is_one_of_the_module_or_of_its_bases() -> None:
    tensor = target("bn.weight", (4,), classes=NORM)
    for text, number in (("BatchNorm*:*=ones", 1), ("_NormBase:*=ones", 1), ("Linear:*=ones", None)):
        assert plan([tensor], text).steps[0].number == number


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["w=ones", "head=zeros"], "head, tied to it, is meant by rule 2: a tied tensor is initialised once"),
        (["head=zeros", "w=ones"], "head, tied to it, is meant by rule 1: a tied tensor is initialised once"),
        (["head=zeros"], "head, tied to it, is meant by rule 1: a tied tensor is initialised once"),
        (["w*=ones", "Linear:*=zeros"], "head, tied to it, is meant by rule 2: a tied tensor is initialised once"),
        (["*=ones"], ""),
        (["w=ones"], ""),
        (["head=zeros", "*=ones"], ""),
    ],
)
def test_tied_names_that_disagree(rules: list[str], expected: str) -> None:
    tensor = target("w", classes=EMBEDDING, aliases=("same", "head"), alias_classes=(EMBEDDING, LINEAR))
    assert note(tensor, *rules) == expected


def test_a_rule_for_an_alias_says_under_which_name_it_goes() -> None:
    tensor = target("w", classes=EMBEDDING, aliases=("head",), alias_classes=(LINEAR,))
    for text in ("head=ones", "Linear:*=ones"):
        assert dict(plan([tensor], text).unmatched) == {1: "head is tied to w and is initialised under that name"}


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("*.running_mean=zeros", "it matches only buffers, such as bn.running_mean"),
        ("Linear:*mask=zeros", "it matches only plain tensor attributes, such as fc.mask"),
        ("Linear:bn.*=zeros", "no module of that class has such a name; the classes are BatchNorm1d"),
        ("Conv2d:*=zeros", "no module is a Conv2d; the classes are BatchNorm1d, Linear"),
        ("x=zeros", ""),
    ],
)
def test_why_a_rule_matches_nothing(rule: str, reason: str) -> None:
    targets = [target("bn.weight", (4,), classes=NORM), target("fc.weight", classes=LINEAR)]
    others = (Other("bn.running_mean", "buffers", NORM), Other("fc.mask", "plain tensor attributes", LINEAR))
    assert plan(targets, rule, others=others).unmatched[1] == reason


def test_a_state_dict_has_no_classes() -> None:
    reason = "this checkpoint does not say of which class its modules are: use a pattern of names"
    assert plan([target("fc.weight")], "Linear:*=zeros").unmatched[1] == reason


@pytest.mark.parametrize(
    ("tensor", "rule", "message", "hint"),
    [
        (target("a.b", (4,)), "*=xavier_normal",
         "rule 1 on a.b [4]: xavier_normal takes a tensor of 2 or more dimensions; it has 1",
         "give it a rule of its own behind this one: 'a.b=zeros'"),
        (target("s", ()), "*=orthogonal", "rule 1 on s []: orthogonal takes a tensor of 2 or more dimensions; it has 0",
         "give it a rule of its own behind this one: 's=zeros'"),
        (target("c", (4, 3, 2)), "*=eye", "rule 1 on c [4,3,2]: eye takes a tensor of 2 dimensions; it has 3",
         "leave it out with a later rule: 'c=keep'"),
        (target("c"), "*=dirac", "rule 1 on c [4,3]: dirac takes a tensor of 3 to 5 dimensions; it has 2",
         "leave it out with a later rule: 'c=keep'"),
        (target("", (4,)), "*=sparse(0.1)", "rule 1 on the tensor [4]: sparse takes a tensor of 2 dimensions; it has 1",
         'give it a rule of its own behind this one: \'""=zeros\''),
        (target("n", dtype="int64"), "*=zeros", "rule 1 on n [4,3]: it is of int64; rules work on floating-point tensors",
         "leave it out with a later rule: 'n=keep'"),
        (target("q", dtype="q4_k", problem="quantised (q4_k)"), "*=add(1)", "rule 1 on q [4,3]: it is quantised (q4_k)",
         "leave it out with a later rule: 'q=keep'"),
        (target("w"), "*=normal(std=dim)", "rule 1 on w [4,3]: unknown variable dim", "known are fan_in, fan_out"),
        (target("w"), "*=zeros(chunks=3)", "rule 1 on w [4,3]: 4 rows cannot be cut into 3 equal chunks", None),
    ],
)  # fmt: skip
def test_what_a_rule_cannot_do_names_tensor_and_rule(tensor: Target, rule: str, message: str, hint: str | None) -> None:
    error = refused(tensor, rule)
    assert (error.message, error.hint, error.rule) == (message, hint, rule)
    assert str(error) == message


@pytest.mark.parametrize("problem", ["quantised (q4_k)", ""])
def test_a_later_keep_or_another_rule_helps(problem: str) -> None:
    tensor = target("q", dtype="int8", problem=problem)
    assert plan([tensor], "*=zeros", "q=keep").steps[0].initializer is None


@pytest.mark.parametrize("dtype", sorted(FLOATING))
def test_floating_types_are_initialised(dtype: str) -> None:
    assert plan([target("w", dtype=dtype)], "*=zeros").steps[0].initializer is not None


@pytest.mark.parametrize("dtype", ["int8", "bool", "uint8", "qint8", "float4_e2m1fn_x2", "float8_e8m0fnu", "<U3"])
def test_other_types_are_not(dtype: str) -> None:
    assert "rules work on floating-point tensors" in refused(target("w", dtype=dtype), "*=zeros").message


def test_a_norm_drawn_at_random_is_remarked() -> None:
    weight, bias = (target(f"bn.{leaf}", (4,), classes=NORM) for leaf in ("weight", "bias"))
    remark = "a norm's weight drawn at random (usual: ones)"
    assert note(weight, "*=normal") == remark
    assert [note(weight, "*=ones"), note(weight, "*=mul(2)"), note(bias, "*=normal")] == ["", "", ""]
    assert note(target("fc.weight", classes=LINEAR), "*=normal") == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("std=0.02", "a=-2 and b=2 cut nothing off at std=0.02"),
        ("std=0.02, a=-0.04, b=0.04", ""),
        ("", ""),
        ("mean=1.95, std=0.02", ""),
        ("mean=5, std=1.4", "mean=5 is more than 2 std from a=-2 to b=2"),
        ("mean=-5, std=1.4", "mean=-5 is more than 2 std from a=-2 to b=2"),
    ],
)
def test_what_a_cut_off_does_is_remarked(arguments: str, expected: str) -> None:
    assert note(target("w"), f"*=trunc_normal({arguments})") == expected


def test_a_transposed_convolution_is_remarked() -> None:
    tensor = target("up.weight", (4, 3, 2, 2), classes=Classes(("torch.nn.modules.conv.ConvTranspose2d",)))
    assert note(tensor, "*=kaiming_normal") == "a transposed convolution: torch counts its outputs as fan_in"
    assert note(tensor, "*=normal") == ""


@pytest.mark.parametrize(
    ("name", "module", "parts"),
    [
        ("attn.in_proj_weight", "MultiheadAttention", 3),
        ("rnn.weight_hh_l1_reverse", "LSTM", 4),
        ("rnn.weight_ih", "LSTMCell", 4),
        ("rnn.weight_ih_l0", "GRU", 3),
        ("rnn.weight_ih", "GRUCell", 3),
        ("rnn.weight_ih_l0", "RNN", 0),
        ("rnn.bias_ih_l0", "LSTM", 0),
        ("attn.q_proj_weight", "MultiheadAttention", 0),
    ],
)
def test_matrices_packed_into_one_are_remarked(name: str, module: str, parts: int) -> None:
    tensor = target(name, (12, 3), classes=Classes((f"torch.nn.{module}",)))
    expected = f"{parts} matrices in one: chunks={parts} initialises each with its own fans" if parts else ""
    assert [note(tensor, "*=xavier_uniform"), note(tensor, "*=orthogonal")] == [expected, expected]
    assert [note(tensor, "*=xavier_uniform(chunks=3)"), note(tensor, "*=normal")] == ["", ""]


def test_a_padding_row_is_remarked() -> None:
    tensor = target("e.weight", classes=EMBEDDING, padding_idx=1)
    assert note(tensor, "*=normal") == "row 1 (padding_idx) kept zero"
    assert note(tensor, "*=add(1)") == "row 1 (padding_idx) left as it is"
    assert note(tensor, "*=keep") == ""


def test_orthogonal_matrices_are_counted_before_they_are_made() -> None:
    honest = [target(f"{i}.weight", (8192, 28672)) for i in range(200)]
    assert len(plan(honest, "*=orthogonal").steps) == 200
    with pytest.raises(LimitExceededError, match="multiplications of orthogonal"):
        plan([target("a.weight", (40_000, 40_000))], "*=orthogonal")


def acts(*rules: str, shape: tuple[int, ...] = (8, 3), **more: Any) -> list[tuple[int | None, str]]:
    made = plan([target("w", shape, **more)], *rules)
    return [(act.number, str(act.part or "whole")) for act in made.acts]


@pytest.mark.parametrize(
    ("rules", "due"),
    [
        (["*=ones", "w=zeros(part=1/4)"], [(1, "whole"), (2, "1/4")]),
        (["w=zeros(part=1/4)", "*=ones"], [(2, "whole")]),  # a later rule on the whole overrules it
        (["w=zeros(part=1/4)"], [(1, "1/4")]),
        (["*=normal", "*=ones", "w=zeros(part=3/4)", "w=mul(2, part=0/2)"], [(2, "whole"), (4, "0/2"), (3, "3/4")]),
        (["w=zeros(part=0/4)", "*=keep", "w=ones(part=1/4)"], [(2, "whole"), (3, "1/4")]),
        (["w=zeros(part=0/1)"], [(1, "0/1")]),
        (["w=zeros(part=(1+1)/2**2)"], [(1, "2/4")]),
    ],
)
def test_the_last_rule_on_the_whole_goes_before_the_parts_behind_it(rules: list[str], due: list[Any]) -> None:
    assert acts(*rules) == due


def test_rules_count_what_they_match_and_what_they_take() -> None:
    made = plan([target("a"), target("b"), target("c")], "?=ones(part=0/2)", "?=zeros", "[ab]=ones(part=1/2)", "a=keep")
    assert (dict(made.matched), dict(made.taken)) == ({1: 3, 2: 3, 3: 2, 4: 1}, {2: 2, 3: 1, 4: 1})
    assert made.shadowed == (1,)
    assert [step.target.name for step in made.kept] == []


def test_a_part_as_a_record() -> None:
    made = plan([target("w", (6, 4))], "w=kaiming_normal(nonlinearity=relu, chunks=3, part=1/2)")
    assert made.records == [
        InitStep(
            "w", (3, 4), 1, "kaiming_normal",
            {"a": 0.0, "mode": "fan_in", "nonlinearity": "relu", "std": pytest.approx(2**-0.5), "chunks": 3, "part": "1/2"}, 4, 1,
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["w=ones(part=1/3)"], "rule 1 on w [8,3]: 8 rows cannot be cut into 3 equal parts"),
        (["w=ones(part=4/4)"], "rule 1 on w [8,3]: part is 4/4; expected 0/4 to 3/4"),
        (["w=ones(part=-1/4)"], "rule 1 on w [8,3]: part is -1/4; expected 0/4 to 3/4"),
        (["w=ones(part=1/0)"], "rule 1 on w [8,3]: part is one of 0; expected 1 or more"),
        (["w=ones(part=1.5/4)"], "rule 1 on w [8,3]: part is 1.5; expected an integer"),
        (["w=ones(part=1/fan_in)"], "rule 1 on w [8,3]: part cannot follow from fans, of which each part has its own"),
        (["w=ones(part=1/4, chunks=3)"], "rule 1 on w [8,3]: 2 rows cannot be cut into 3 equal chunks"),
        (["w=ones(part=1/4)", "w=ones(part=0/2)"], "rule 2 on w [8,3]: part=0/2 overlaps part=1/4 of rule 1"),
        (["w=ones(part=0/2)", "w=ones(part=1/8)"], "rule 2 on w [8,3]: part=1/8 overlaps part=0/2 of rule 1"),
        (["w=ones(part=1/2)", "*=zeros(part=1/2)"], "rule 2 on w [8,3]: part=1/2 overlaps part=1/2 of rule 1"),
    ],
)
def test_parts_that_cannot_be_are_named(rules: list[str], message: str) -> None:
    assert refused(target("w", (8, 3)), *rules).message == message


def test_a_part_of_a_scalar_or_of_no_rows() -> None:
    assert refused(target("s", ()), "s=ones(part=0/1)").message == "rule 1 on s []: a part of a scalar"
    assert acts("w=ones(part=0/4)", "w=ones(part=3/4)", shape=(0, 3)) == [(1, "0/4"), (2, "3/4")]


def test_parts_that_overlap_are_named_with_both_places() -> None:
    rules = [
        parse_rule(text, origin=Origin("net.yaml", "", line, 5))
        for line, text in ((7, "*=ones(part=1/4)"), (9, "w=ones(part=0/2)"))
    ]
    with pytest.raises(RuleError) as caught:
        plan_rules([target("w", (8, 3))], rules)
    assert str(caught.value) == (
        "net.yaml:9:17: rule 2 on w [8,3]: part=0/2 overlaps part=1/4 of rule 1 (net.yaml:7:17)"
    )


def test_an_overruled_part_is_not_looked_at() -> None:
    assert acts("w=ones(part=1/3)", "*=zeros") == [(2, "whole")]


def test_another_name_may_be_meant_by_a_rule_on_a_part() -> None:
    tied = target("w", (8, 3), aliases=("head",))
    said = "head, tied to it, is meant by rule 2: a tied tensor is initialised once"
    assert note(tied, "*=ones", "head=zeros(part=1/2)") == said
    assert note(tied, "*=ones", "*=zeros(part=1/2)") == ""
    assert note(tied, "*=ones", "w=zeros(part=1/2)") == ""


def test_remarks_on_a_part_are_its_own() -> None:
    table = target("e.weight", (8, 3), padding_idx=1)
    made = plan([table], "*=normal", "*=ones(part=0/4)", "*=ones(part=1/4)").acts
    assert [act.note for act in made] == ["row 1 (padding_idx) kept zero", "row 1 (padding_idx) kept zero", ""]


@pytest.mark.parametrize("dtype", ["complex32", "complex64", "complex128"])
def test_complex_tensors_are_initialised_where_torch_can(dtype: str) -> None:
    tensor = target("w", dtype=dtype)
    assert plan([tensor], "*=xavier_normal").steps[0].initializer is not None
    error = refused(tensor, "*=orthogonal")
    assert error.message == f"rule 1 on w [4,3]: it is of {dtype}, and torch's orthogonal takes no complex numbers"
    assert error.hint == "leave it out with a later rule: 'w=keep'"
