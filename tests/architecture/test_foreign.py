from __future__ import annotations

import pytest

from paraminspect.architecture.parse import parse_spec
from paraminspect.architecture.recognise import looks_like_spec
from paraminspect.errors import SpecError

HYDRA = """\
_target_: torch.nn.Sequential
_args_:
  - _target_: torch.nn.Linear
    in_features: 4
    out_features: 3
  - {_target_: torch.nn.ReLU}
"""
YOLO = """\
nc: 80
backbone:
  # [from, repeats, module, args]
  - [-1, 3, Conv, [64, 3, 2]]
head:
  - [[-1, 6], 1, Concat, [1]]
"""
LUDWIG = "input_features:\n  - {name: x, type: number}\noutput_features:\n  - {name: y, type: category}\n"
MODALITIES = "model_raw:\n  component_key: model\n  variant_key: gpt2\n"


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        (HYDRA, "1:1", "Hydra (_target_)", "write model: [{Linear: {in_features: 4, out_features: 3}}, ReLU]"),
        ("model:\n  _target_: pkg.nets.Net\n  dim: 8\n", "2:3", "Hydra (_target_)", "pkg.nets:Net --arg dim=8"),
        (YOLO, "2:1", "Ultralytics (backbone)", "[-1, 3, Conv, [64, 3, 2]] is {Conv: [64, 3, 2], repeat: 3} in model"),
        ("head:\n- [[-1, 6], 1, nn.Concat, [1]]", "1:1", "Ultralytics", "is {Concat: [1], from: [-1, 6]} in model"),
        (LUDWIG, "1:1", "Ludwig (input_features)", "input: {NAME: {shape: [1, 4]}}"),
        (MODALITIES, "2:3", "Modalities (component_key)", "{Block, repeat: 12}"),
        ("model:\n  _component_: torchtune.models.llama3_8b\n", "2:3", "torchtune", "torchtune.models:llama3_8b"),
        ("model:\n  class_path: my.Net\n  init_args: {dim: 3}\n", "2:3", "Lightning", "my:Net --arg dim=3"),
        ("MODEL:\n  META_ARCHITECTURE: GeneralizedRCNN\n", "2:3", "Detectron2", "factory"),
        ('{"class_name": "Sequential", "config": {}}', "1:2", "Keras", "{Linear: [4, 3]}"),
    ],
)  # fmt: skip
def test_files_of_other_programs(text: str, place: str, message: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, source="m.yaml")
    assert str(caught.value).startswith(f"m.yaml:{place}: a configuration of {message}")
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("text", [HYDRA, YOLO, LUDWIG, MODALITIES])
def test_they_are_recognised_without_a_name(text: str) -> None:
    assert looks_like_spec(text.encode())


@pytest.mark.parametrize(
    "text", ["class Net:\n    backbone: int\n    head: int\n", "backbone:\n  type: ResNet\n", "# _target_: x\n"]
)
def test_what_is_not_theirs(text: str) -> None:
    assert not looks_like_spec(text.encode())


def test_a_spec_with_a_mistake_is_a_spec() -> None:
    with pytest.raises(SpecError, match="expected a type"):
        parse_spec("model: [{Mine: {class_path: x}}, 3]")
    with pytest.raises(SpecError, match="unknown key 'x'"):
        parse_spec("x: 1\nmodel: [ReLU]\nbackbone: 3")
