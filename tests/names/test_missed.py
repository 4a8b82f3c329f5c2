"""Why a selector means nothing."""

from __future__ import annotations

import pytest

from paraminspect.names.missed import explain_miss
from paraminspect.names.selector import parse_selector
from paraminspect.records import Classes

ROOT = Classes(("my.Net", "torch.nn.Module"))
MLP = ROOT.inside(("my.LlamaMLP", "torch.nn.Module"))
LINEAR = MLP.inside(("torch.nn.Linear", "torch.nn.Module"))
NORM = ROOT.inside(("torch.nn.BatchNorm1d", "torch.nn._NormBase", "torch.nn.Module"))
TENSORS = [
    ("mlp.up.weight", LINEAR),
    ("mlp.up.bias", LINEAR),
    ("norm.weight", NORM),
    ("odd:name", ROOT),
    ("tab\t", ROOT),
]


@pytest.mark.parametrize(
    ("selector", "due"),
    [
        ("LlamaMPL:*", "no module is a LlamaMPL; did you mean LlamaMLP?"),
        ("linear:*", "no module is a linear; did you mean Linear?"),
        ("_NormBsae:*", "no module is a _NormBsae; did you mean _NormBase?"),  # of a base class
        ("torch.nn.Linear:*", "no module is a torch.nn.Linear; did you mean Linear?"),
        ("Conv*:*", "no module is a Conv*; the classes are Linear, BatchNorm1d, Net"),
        ("LlamaMLP>:*", "no LlamaMLP owns a tensor itself; LlamaMLP:* means all inside of it"),
        ("BatchNorm1d:mlp.*", "no module of that class has such a name; the classes are Linear"),
        ("LlamaMLP:*wieght", "did you mean weight?"),
        ("odd:name", 'for the tensor of that name write "odd:name"'),
        ("tab\\t", 'for the tensor of that name write "tab\\t"'),
        ("up", "it stands for a whole name; '*up*' matches 2"),
        ("mlp.up.wieght", "did you mean mlp.up.weight?"),
        ("wieght", "did you mean weight?"),
        ('"mlp.up.wieght"', "did you mean mlp.up.weight?"),
        ("*.wieght", "did you mean weight?"),
        ("/x/", ""),
        ("xyz", ""),
    ],
)
def test_what_may_have_been_meant(selector: str, due: str) -> None:
    chosen = parse_selector(selector)
    assert not any(chosen.matches(*each) for each in TENSORS)
    assert explain_miss(chosen, TENSORS) == due


def test_without_classes_none_can_be_meant() -> None:
    bare = [("w", Classes()), ("b", Classes())]
    due = "this checkpoint does not say of which class its modules are: use a pattern of names"
    assert [explain_miss(parse_selector(text), bare) for text in ("Linear:*", "Linear>:w")] == [due, due]
    assert explain_miss(parse_selector("Linear:*"), []) == ""
