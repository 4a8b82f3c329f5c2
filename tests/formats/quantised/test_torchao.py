"""Tensor subclasses: those whose inner tensors are known, and any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import paraminspect
from paraminspect.formats.quantised.torchao import CLASSES, Wrapped, describe
from paraminspect.formats.source import open_source
from paraminspect.records import TensorRecord
from tests.making.safetensors_files import safetensors_bytes


def tensor(shape: tuple[int, ...], dtype: str = "int8") -> TensorRecord:
    numel = 1
    for size in shape:
        numel *= size
    return TensorRecord("", shape, dtype, numel, numel)


INT8 = {"qdata": tensor((4, 8)), "scale": tensor((4, 1), "float32")}
TOLD: dict[str, object] = {"block_size": [1, 8], "dtype": "bfloat16"}


def test_known() -> None:
    logical = describe(Wrapped("Int8Tensor", "w", INT8, TOLD))
    assert logical is not None
    assert (logical.label, logical.shape, logical.dtype, logical.problem) == ("torchao int8", (4, 8), "bfloat16", "")


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"qdata": tensor((4, 8))}, TOLD),
        ({**INT8, "scale": tensor((4, 2), "float32")}, TOLD),
        (INT8, {**TOLD, "block_size": [1, 3]}),
        (INT8, {**TOLD, "block_size": [1]}),
        (INT8, {**TOLD, "block_size": [1, 0]}),
        (INT8, {**TOLD, "block_size": "18"}),
        (INT8, {**TOLD, "dtype": "int7"}),
        ({**INT8, "zero_point": tensor((4, 1), "float32")}, TOLD),
        ({**INT8, "qdata": tensor(())}, TOLD),
    ],
)
def test_what_does_not_fit_is_something_else(tensors: Any, told: Any) -> None:
    for kind in CLASSES - {"Float8Tensor", "MXTensor", "NVFP4Tensor", "Int4TilePackedTo4dTensor"}:
        assert describe(Wrapped(kind, "w", tensors, told)) is None
    assert describe(Wrapped("Int8Tensor", "w", INT8, TOLD, (8, 4))) is None


def test_what_only_a_device_decodes_is_refused_by_name() -> None:
    packed = {"qdata": tensor((4, 4)), "scale": tensor((1, 4), "bfloat16"), "zero_point": tensor((1, 4), "bfloat16")}
    logical = describe(Wrapped("Int4Tensor", "w", packed, {"block_size": [1, 8], "shape": [4, 8]}))
    assert logical is not None
    assert (logical.label, logical.shape, logical.numel) == ("torchao int4", (4, 8), 32)
    assert logical.problem.startswith("a Int4Tensor, which")
    swizzled = describe(Wrapped("NVFP4Tensor", "w", {"qdata": tensor((4, 16), "uint8"), "scale": tensor((4, 2), "float8_e4m3fn")},
                                {"is_swizzled_scales": True}))  # fmt: skip
    assert swizzled is not None
    assert "order of a device" in swizzled.problem


class Halves(torch.Tensor):
    """A wrapper that nobody knows."""

    @staticmethod
    def __new__(cls, low: torch.Tensor, high: torch.Tensor) -> Any:
        size = (low.shape[0], 2 * low.shape[1])
        return torch.Tensor._make_wrapper_subclass(cls, size, dtype=torch.float64)  # type: ignore[attr-defined]

    def __init__(self, low: torch.Tensor, high: torch.Tensor) -> None:
        self.low, self.high = low, high

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*[each.low if isinstance(each, Halves) else each for each in args], **(kwargs or {}))


def test_parts_of_an_unknown_subclass_are_listed_as_they_are(tmp_path: Path) -> None:
    inner = Halves(torch.arange(6.0).reshape(2, 3), torch.ones(2, 3, dtype=torch.int8))
    torch.save({"a.w": Halves(inner, torch.ones(2, 3)), "b": torch.ones(2)}, tmp_path / "m.pt")
    model = paraminspect.open(tmp_path / "m.pt")
    assert [(each.name, each.dtype, each.shape) for each in model] == [
        ("a.w.low.low", "float32", (2, 3)), ("a.w.low.high", "int8", (2, 3)), ("a.w.high", "float32", (2, 3)),
        ("b", "float32", (2,)),
    ]  # fmt: skip
    assert model["a.w.low.low"].numpy().tolist() == [[0, 1, 2], [3, 4, 5]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["block_size", "dtype", "_type"]), inner)
    ),
    max_leaves=6,
)


@given(st.sampled_from(sorted(CLASSES)), JSON, JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_any_metadata_are_read(tmp_path: Path, kind: str, told: Any, names: Any) -> None:
    text = json.dumps({"_type": kind, "_data": told, "_tensor_data_names": names})
    tensors = {"0._w_qdata": ("I8", (4, 8), bytes(32)), "0._w_scale": ("F32", (4, 1), bytes(16))}
    data = safetensors_bytes(tensors, {"0.w": text, "tensor_names": '["0.w"]'})
    (tmp_path / "m.safetensors").write_bytes(data)
    assert len(open_source(tmp_path / "m.safetensors").tensors) == 2
