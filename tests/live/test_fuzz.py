from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.architecture.built_in import BUILTINS, PARAM_OPS
from paraminspect.architecture.module_outline import tree_lines
from paraminspect.errors import ParamInspectError
from paraminspect.live.build.construct import torch_types
from paraminspect.live.build.outline import make_module_tree
from tests.making.live_models import open_live

VALUES = st.sampled_from(
    ["0", "1", "2", "3", "-1", "1000000000000", "0.5", "true", "null", "a", "relu", "[1, 2]", "[]"]
)
NAMES = st.sampled_from(
    ["bias", "stride", "padding", "dilation", "groups", "num_layers", "batch_first", "dtype", "device", "heads", "dim"]
)
ARGUMENTS = st.one_of(
    st.lists(VALUES, max_size=5).map(lambda items: f"[{', '.join(items)}]"),
    st.tuples(st.lists(VALUES, max_size=3), NAMES, VALUES).map(
        lambda made: f"[{', '.join([*made[0], f'{{{made[1]}: {made[2]}}}'])}]"
    ),
)
PARAMS = st.tuples(st.lists(st.integers(1, 4), max_size=3), st.sampled_from(list(PARAM_OPS))).map(
    lambda made: f"{{Param: {{shape: {made[0]}, op: {made[1]}}}"
)
CALLS = st.tuples(st.sampled_from([*sorted(torch_types()), *BUILTINS]), ARGUMENTS).map(
    lambda made: f"{{{made[0]}: {made[1]}"
)
OPTIONS = st.sampled_from(["", "", ", from: [input, input]", ", take: 0", ", take: [0, 1]", ", repeat: 2", ", name: x"])
LAYERS = st.tuples(CALLS | PARAMS, OPTIONS).map(lambda made: f"{made[0]}{made[1]}}}")
SPECS = st.tuples(
    st.lists(LAYERS, min_size=1, max_size=3),
    st.lists(st.integers(1, 5), max_size=5),
    st.sampled_from(["", "tie: {0.weight: 1.weight}", "tie: {x.bias: 1.bias}"]),
).map(lambda made: f"model: [{', '.join(made[0])}]\ninput: {made[1]}\n{made[2]}")


@settings(max_examples=150)
@given(SPECS)
def test_any_layers_give_a_model_or_an_error_with_its_place(text: str) -> None:
    failure = None
    try:
        live = open_live("spec.yaml", text=text)
        live.shapes()
    except ParamInspectError as error:
        failure = str(error)
    if failure is not None:
        assert failure.startswith("spec.yaml")
        assert "\n" not in failure
    else:
        assert "\n".join(line.text for line in tree_lines(make_module_tree(live.model))) == str(live.model)
        assert all(record.shape is not None for record in live.records)
