"""Ties name tensors that the model can have."""

from __future__ import annotations

import pytest

from paraminspect.architecture.expand import plan_model
from paraminspect.architecture.parse import parse_spec
from paraminspect.errors import SpecError

SPEC = """
shared: {{table: {{Embedding: [5, 4]}}}}
blocks: {{Block: {{layers: [{{Linear: [4, 4], name: fc}}, {{Param: {{shape: [4], op: mul}}, name: scale}}]}}}}
model:
  - {{use: table, name: embed}}
  - {{Block, name: h}}
  - {{use: table, name: again}}
  - {{Linear: [4, 5], name: head}}
tie: {{{alias}: {source}}}
"""


def planned(alias: str, source: str = "embed.weight") -> None:
    plan_model(parse_spec(SPEC.format(alias=alias, source=source), source="m.yaml"))


@pytest.mark.parametrize("name", ["head.weight", "h.fc.weight", "h.scale", "again.weight", "head.whatever.it.has"])
def test_tensors_of_layers_params_and_used_modules(name: str) -> None:
    planned(name)
    planned("head.bias", name)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("haed.weight", "the model has no child haed", "did you mean head?"),
        ("h.scal", "h has no child scal", "did you mean scale?"),
        ("h.xyz", "h has no child xyz", "it has fc, scale"),
        ("h", "it is a module (Block); expected a tensor", "name a tensor"),
        ("h.scale.weight", "has no child weight", ""),
    ],
)
def test_names_that_the_model_cannot_have(name: str, message: str, hint: str) -> None:
    for pair in ((name, "embed.weight"), ("head.weight", name)):
        with pytest.raises(SpecError) as caught:
            planned(*pair)
        assert message in str(caught.value)
        assert hint in (caught.value.hint or "")
        assert caught.value.line == 9
