from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, load_model, save_model

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.safetensors import DTYPES
from paraminspect.formats.source import open_source
from paraminspect.writers import safetensors as writer
from paraminspect.writers.layout import OutTensor
from paraminspect.writers.safetensors import plan_safetensors
from tests.making.newer_torch import dtypes

HELD = sorted(name for name, _ in DTYPES.values() if name in BITS)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(
    lambda name: name not in {"__metadata__", "format"}
)


@st.composite
def tensor_lists(draw: st.DrawFn) -> list[OutTensor]:
    every = draw(st.lists(names, unique=True, max_size=12))
    made = []
    while every:
        shape = tuple(draw(st.lists(st.integers(0, 3), max_size=4)))
        dtype = draw(st.sampled_from([name for name in HELD if hasattr(torch, name)]))
        if dtype.endswith("_x2") and not shape:
            shape = (1,)
        count = draw(st.integers(1, 3))
        made.append(OutTensor(every[0], dtype, shape, tuple(every[1:count])))
        every = every[count:]
    return made


def header_of(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    header: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header


@given(tensors=tensor_lists())
def test_what_is_written_is_read_back(
    tensors: list[OutTensor], values: Any, write: Any, raw: Callable[[torch.Tensor], bytes]
) -> None:
    due = values(tensors)
    with TemporaryDirectory() as folder:
        path = Path(folder, "m.safetensors")
        write(plan_safetensors(tensors, {}), path, due)
        loaded = load_file(path)
        assert {name: (str(each.dtype)[6:], tuple(each.shape)) for name, each in loaded.items()} == {
            each.name: (each.dtype, each.shape) for each in tensors
        }
        assert [raw(loaded[each.name]) for each in tensors] == due
        with safe_open(path, "pt") as opened:
            ties = {alias: each.name for each in tensors for alias in each.aliases}
            assert opened.metadata() == {"format": "pt", **ties}
        ours = open_source(path)
        assert {(each.name, each.dtype, each.shape) for each in ours.tensors} == {
            (name, each.dtype, each.shape)
            for each in tensors
            for name in (each.name, *(alias for alias in each.aliases if alias and each.name))  # "" declares nothing
        }


@pytest.mark.parametrize("dtype", dtypes(HELD))
def test_every_dtype(dtype: str, tmp_path: Path, values: Any, write: Any, raw: Any) -> None:
    tensors = [OutTensor("a", dtype, (3, 2))]
    write(plan_safetensors(tensors, {}), tmp_path / "a", values(tensors))
    loaded = load_file(tmp_path / "a")["a"]
    assert (loaded.dtype, loaded.shape) == (getattr(torch, dtype), (3, 2))
    assert raw(loaded) == values(tensors)[0]


def test_tensors_lie_as_they_are_given(tmp_path: Path, values: Any, write: Any) -> None:
    tensors = [OutTensor("z", "bfloat16", (4,)), OutTensor("a", "float32", (3,)), OutTensor("m", "uint8", (5,))]
    write(plan_safetensors(tensors, {}), tmp_path / "a", values(tensors))
    assert [record.name for record in open_source(tmp_path / "a").tensors] == ["z", "a", "m"]


def test_larger_elements_come_first_where_addresses_would_be_odd(tmp_path: Path, values: Any, write: Any) -> None:
    tensors = [
        OutTensor("odd", "uint8", (3,)), OutTensor("b", "float32", (1,)), OutTensor("half", "float16", (1,)),
        OutTensor("a", "float32", (1,)), OutTensor("long", "int64", (1,)),
    ]  # fmt: skip
    write(plan_safetensors(tensors, {}), tmp_path / "a", values(tensors))
    records = open_source(tmp_path / "a").tensors
    assert [record.name for record in records] == ["long", "b", "a", "half", "odd"]
    for record in records:
        assert record.storage is not None
        assert record.storage.begin is not None
        assert record.storage.begin % (BITS[record.dtype] // 8) == 0


def test_metadata_pass_through(tmp_path: Path, write: Any) -> None:
    write(plan_safetensors([], {"format": "mlx", "step": "3\n\u202e"}), tmp_path / "a", [])
    assert header_of(tmp_path / "a") == {"__metadata__": {"format": "mlx", "step": "3\n\u202e"}}


def test_ties_are_declared_as_save_model_does(tmp_path: Path, values: Any, write: Any, raw: Any) -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Linear(2, 2, bias=False)
            self.head = torch.nn.Linear(2, 2, bias=False)
            self.head.weight = self.embed.weight

    model = Tied()
    save_model(model, str(tmp_path / "theirs"))
    tensors = [OutTensor("embed.weight", "float32", (2, 2), ("head.weight",))]
    write(plan_safetensors(tensors, {}), tmp_path / "ours", values(tensors))
    declared = header_of(tmp_path / "theirs")["__metadata__"]
    assert declared == {"head.weight": "embed.weight"}
    assert header_of(tmp_path / "ours")["__metadata__"] == {"format": "pt", **declared}
    load_model(model, str(tmp_path / "ours"))
    assert raw(model.head.weight) == values(tensors)[0]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([OutTensor("a", "float32", ()), OutTensor("a", "float32", ())], "two tensors are named 'a'"),
        ([OutTensor("a", "float32", ()), OutTensor("b", "float32", (), ("a",))], "two tensors are named 'a'"),
        ([OutTensor("a", "float32", (), ("x", "x"))], "two tensors are named 'x'"),
        ([OutTensor("__metadata__", "float32", ())], "cannot hold a tensor named '__metadata__'"),
        ([OutTensor("q", "qint8", (2,))], "no dtype qint8, which 'q' has"),
        ([OutTensor("q", "q4_k", (2,))], "no dtype q4_k, which 'q' has"),
        ([OutTensor("c", "complex128", (2,))], "no dtype complex128, which 'c' has"),
        ([OutTensor("p", "float4_e2m1fn_x2", ())], "cannot hold 'p'"),
        ([OutTensor("w", "float32", (), ("format",))], "the alias 'format' of 'w'"),
        ([OutTensor("\ud800", "float32", ())], "half a surrogate pair"),
    ],
)
def test_what_it_cannot_hold_is_named(tensors: list[OutTensor], message: str) -> None:
    with pytest.raises(ParamInspectError, match=message.replace("\\", ".")):
        plan_safetensors(tensors, {})


@pytest.mark.parametrize(
    ("dtype", "hint"),
    [("complex128", "-o FILE.pt"), ("q4_k", "a GGUF file can be written from one: -o FILE.gguf")],
)
def test_what_can_hold_it_is_said(dtype: str, hint: str) -> None:
    with pytest.raises(ParamInspectError) as caught:
        plan_safetensors([OutTensor("w", dtype, (256,))], {})
    assert caught.value.hint == hint


def test_metadata_that_are_no_text() -> None:
    with pytest.raises(ParamInspectError, match="half a surrogate pair"):
        plan_safetensors([], {"a": "\udfff"})


@pytest.mark.parametrize("bound", ["MAX_HEADER_TENSORS", "MAX_SAFETENSORS_HEADER"])
def test_what_readers_refuse_is_not_written(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, bound, 1)
    with pytest.raises(LimitExceededError):
        plan_safetensors([OutTensor("a", "float32", ()), OutTensor("b", "float32", ())], {})
