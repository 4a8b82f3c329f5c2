from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import save_file

from paraminspect.errors import ParamInspectError, SpecError
from paraminspect.live.build.inputs import make_inputs, read_tensor
from tests.making.live_models import open_live


def inputs(text: str, source: str = "spec.yaml", **options: Any) -> list[torch.Tensor]:
    live = open_live(source, text=f"model: [Identity]\ninput: {text}")
    assert live.plan is not None
    return make_inputs(live.plan, device=options.pop("device", "cpu"), **options)


def test_a_shape_is_uniform() -> None:
    (x,) = inputs("[100, 100]")
    assert (x.dtype, tuple(x.shape)) == (torch.float32, (100, 100))
    assert 0 <= x.min() < 0.01
    assert 0.99 < x.max() < 1
    assert 0.48 < x.mean() < 0.52


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_range(dtype: str) -> None:
    (x,) = inputs(f"{{shape: [10000], low: -2, high: 6, dtype: {dtype}}}")
    assert x.dtype == getattr(torch, dtype)
    assert -2 <= x.min() < -1.9
    assert 5.9 < x.max() <= 6
    assert 1.8 < x.float().mean() < 2.2


def test_integers() -> None:
    (x,) = inputs("{shape: [1000], dtype: int16, low: -1, high: 3}")
    assert (x.dtype, x.unique().tolist()) == (torch.int16, [-1, 0, 1, 2])


def test_truths() -> None:
    (x,) = inputs("{shape: [100], dtype: bool}")
    assert (x.dtype, x.unique().tolist()) == (torch.bool, [False, True])


def test_normal() -> None:
    (x,) = inputs("{shape: [10000], dist: normal}")
    assert -0.1 < x.mean() < 0.1
    assert 0.9 < x.std() < 1.1


def test_fill() -> None:
    (x,) = inputs("{shape: [2], fill: 3, dtype: int8}")
    assert (x.dtype, x.tolist()) == (torch.int8, [3, 3])


def test_seeds() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    (first,) = inputs("[5]", seed=1)
    (second,) = inputs("{shape: [5], seed: 7}", seed=1)
    assert torch.equal(first, inputs("[5]", seed=1)[0])
    assert not torch.equal(first, inputs("[5]", seed=2)[0])
    assert not torch.equal(first, second)
    assert torch.equal(second, inputs("{shape: [5], seed: 7}", seed=2)[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_inputs_of_one_shape_differ() -> None:
    live = open_live("spec.yaml", text="model: [{Add, from: [a, b]}]\ninput: {a: [5], b: [5]}")
    assert live.plan is not None
    first, second = make_inputs(live.plan, device="cpu")
    assert not torch.equal(first, second)


def test_on_meta_nothing_is_drawn() -> None:
    (x,) = inputs("{shape: [1000000, 1000], dtype: int32, high: 5}", device="meta")
    assert (x.is_meta, x.dtype, tuple(x.shape)) == (True, torch.int32, (1_000_000, 1_000))


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{shape: [2], dtype: int8, high: 300}", "input: high - 1 is 299; int8 holds -128 to 127"),
        ("{shape: [2], dtype: uint8, low: -1, high: 3}", "input: low is -1; uint8 holds 0 to 255"),
        ("{shape: [2], dtype: int16, fill: 40000}", "input: fill is 40,000; int16 holds -32,768 to 32,767"),
    ],
)
def test_values_that_the_dtype_cannot_hold(text: str, message: str, device: str) -> None:
    with pytest.raises(SpecError) as caught:
        inputs(text, device=device)
    assert str(caught.value) == f"spec.yaml:2:8: {message}"


@pytest.mark.parametrize("name", ["x.npy", "x.safetensors", "x.pt"])
def test_files(tmp_path: Path, name: str) -> None:
    values = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    path = tmp_path / "data" / name
    path.parent.mkdir()
    if name.endswith(".npy"):
        numpy.save(path, numpy.asfortranarray(values.numpy()))
    elif name.endswith(".pt"):
        torch.save(values, path)
    else:
        save_file({"x": values}, path)
    source = str(tmp_path / "spec.yaml")
    (x,) = inputs(f"{{file: data/{name}}}", source)
    assert torch.equal(x, values)
    x.zero_()
    assert torch.equal(read_tensor(str(path)), values)
    (shape,) = inputs(f"{{file: data/{name}}}", source, device="meta")
    assert (shape.is_meta, tuple(shape.shape)) == (True, (2, 3))


def test_a_link_out_of_the_folder_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    numpy.save(tmp_path / "x.npy", numpy.zeros(2))
    (tmp_path / "specs" / "x.npy").symlink_to(tmp_path / "x.npy")
    with pytest.raises(SpecError, match="outside the folder of the spec"):
        inputs("{file: x.npy}", str(tmp_path / "specs" / "spec.yaml"))


def test_files_that_will_not_do(tmp_path: Path) -> None:
    source = str(tmp_path / "spec.yaml")
    save_file({"a": torch.zeros(2), "b": torch.zeros(2)}, tmp_path / "two.safetensors")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY")
    for name, message in [
        ("two.safetensors", "input: two.safetensors: 2 tensors; expected one"),
        ("missing.npy", "input: missing.npy: no such file or folder"),
        ("bad.npy", "input: bad.npy: "),
    ]:
        with pytest.raises(ParamInspectError) as caught:
            inputs(f"{{file: {name}}}", source)
        assert f"spec.yaml:2:8: {message}" in str(caught.value)


def test_the_plan_s_inputs_run_the_model(live: Callable[..., Any]) -> None:
    opened = live("model: [{Embedding: [10, 3]}]\ninput: {shape: [2, 4], dtype: int64, high: 10}", device="cpu")
    assert opened.model(*make_inputs(opened.plan, device="cpu")).shape == (2, 4, 3)
