"""What `paraminspect.open` returns."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import paraminspect as pi
from paraminspect.render.columns import TENSORS
from tests.making.running import modules_of, run_here

Make = Callable[[Path], Any]


def state() -> dict[str, Any]:
    embedding = torch.arange(12.0).reshape(4, 3)
    return {
        "model": {"embed.weight": embedding, "head.weight": embedding, "fc.bias": torch.ones(5, dtype=torch.bfloat16)},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(4, 3)}}},
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.save(state(), tmp_path / "training.pt")
    return tmp_path / "training.pt"


def test_each_tensor_comes_once(path: Path) -> None:
    model = pi.open(path)
    assert [tensor.name for tensor in model] == ["model.embed.weight", "model.fc.bias"]
    assert len(model) == 2
    assert repr(model) == "Checkpoint(training.pt, torch zip, 2 tensors, 17 parameters (1 tied))"
    assert [repr(tensor) for tensor in model][1] == "Tensor('model.fc.bias', bfloat16, [5])"


def test_every_name_is_found(path: Path) -> None:
    model = pi.open(str(path))
    for name in ("model.embed.weight", "model.head.weight", "optimizer.state.0.exp_avg"):
        assert name in model
        assert model[name].shape == (4, 3)
    assert model["model.head.weight"] in model
    assert "model" not in model
    assert None not in model
    assert (model["model.embed.weight"].numpy() == np.arange(12).reshape(4, 3)).all()
    assert np.asarray(model["model.embed.weight"], np.int64).sum() == 66
    assert model["model.fc.bias"].numpy().dtype.name == "bfloat16"
    with pytest.raises(pi.ParamInspectError) as caught:
        _ = model["model.embed.wieght"]
    assert caught.value.hint == "did you mean model.embed.weight?"


def test_select(path: Path) -> None:
    model = pi.open(path)
    assert [tensor.name for tensor in model.select("*.bias")] == ["model.fc.bias"]
    assert len(model.select(everything=True)) == 3
    assert len(model.select(exclude=["*bias"], aliases=True)) == 2
    assert len(model.select("nothing")) == 0
    with pytest.raises(pi.ParamInspectError):
        model.select("/(/")


def test_rows_are_those_of_the_command(path: Path) -> None:
    listed = json.loads(run_here("list", str(path), "--format", "json", "--aliases").stdout)["tensors"]
    assert pi.open(path).select(aliases=True).to_dicts() == listed


def test_ties_and_stats(path: Path) -> None:
    model = pi.open(path)
    assert [group.names for group in model.ties()] == [("model.embed.weight", "model.head.weight")]
    assert model.stats()["model.embed.weight"].max == 11


def test_a_notebook_shows_no_markup_of_a_file(tmp_path: Path) -> None:
    torch.save({f"<b>{number}": torch.zeros(1) for number in range(70)}, tmp_path / "m.pt")
    html = pi.open(tmp_path / "m.pt")._repr_html_()
    assert html.count("<tr>") == 61
    assert "&lt;b&gt;0" in html
    assert "<b>" not in html
    assert "10 more" in html


def test_a_notebook_leaves_out_columns_that_say_nothing(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "m.pt")
    html = pi.open(tmp_path / "m.pt")._repr_html_()
    assert [html.count(f"<th>{key}</th>") for key in ("name", "nbytes", "kind", "tied_to", "encoding")] == [
        1,
        1,
        0,
        0,
        0,
    ]
    html = pi.open(torch.nn.Linear(2, 1))._repr_html_()
    assert [html.count(f"<th>{key}</th>") for key in ("kind", "trainable", "encoding")] == [1, 1, 0]


def test_what_is_tied_is_said_and_rows_are_in_the_order_of_the_columns(tmp_path: Path) -> None:
    weight = torch.zeros(2)
    torch.save({"a": weight, "b": weight}, tmp_path / "m.pt")
    model = pi.open(tmp_path / "m.pt")
    assert repr(model) == "Checkpoint(m.pt, torch zip, 1 tensor, 2 parameters (1 tied))"
    assert list(model.to_dicts()[0]) == [column.name for column in TENSORS]


@pytest.mark.parametrize("make", [lambda path: path.open("rb"), lambda path: io.BytesIO(path.read_bytes())])
def test_an_open_file(make: Make, path: Path) -> None:
    with make(path) as file:
        model = pi.open(file)
    assert repr(model).endswith("torch zip, 2 tensors, 17 parameters (1 tied))")
    assert model["model.embed.weight"].numpy().sum() == 66


def test_an_open_file_is_read_from_where_it_stands(path: Path, tmp_path: Path) -> None:
    (tmp_path / "behind").write_bytes(b"12345" + path.read_bytes())
    with (tmp_path / "behind").open("rb") as file:
        file.read(5)
        assert len(pi.open(file)) == 2


def test_a_file_takes_neither_torch_nor_numpy(path: Path) -> None:
    loaded = modules_of("import sys, paraminspect; repr(paraminspect.open(sys.argv[1]))", path)
    assert not {"torch", "numpy", "rich", "typer", "yaml"} & loaded
    assert "paraminspect.library.model" in loaded


def test_values_of_a_spec_are_those_of_its_rules(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("vars: {width: 2}\nmodel: [{Linear: [$width, 2]}]\ninit: ['*=constant(3)']\n")
    assert pi.open(spec)["0.weight"].numpy().tolist() == [[3, 3], [3, 3]]
    assert pi.open(spec, init=False)["0.weight"].numpy().tolist() != [[3, 3], [3, 3]]
    assert pi.open(spec, rules=["*.bias=zeros"])["0.bias"].numpy().tolist() == [0, 0]
    assert repr(pi.open(spec, define={"width": 5})) == "Model(spec.yaml, spec, 2 tensors, 12 parameters)"
    torch.save({}, tmp_path / "empty.pt")
    with pytest.raises(pi.ParamInspectError, match="has no meaning for a checkpoint"):
        pi.open(tmp_path / "empty.pt", rules=["*=zeros"])


def test_a_module_is_opened_as_it_is() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2))
    model = pi.open(net)
    assert repr(model) == "Model(Sequential, nn.Module, 2 tensors, 6 parameters)"
    pi.apply_init(net, ["*=ones"])
    assert model["0.weight"].numpy().tolist() == [[1, 1], [1, 1]]
    assert pi.open(model) is model
