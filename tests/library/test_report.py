"""What the page says, held against the functions that say it one by one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from torch import nn

import paraminspect as pi
from paraminspect.errors import ParamInspectError

SHAPES = {"h.0.w": (3, 4), "h.1.w": (3, 4), "b": (5,), "s": ()}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tensors = {name: torch.randn(shape) for name, shape in SHAPES.items()}
    tensors["tied"] = tensors["h.0.w"]
    tensors["bad"] = torch.tensor([1.0, math.nan, math.inf])
    torch.save(tensors, tmp_path / "m.pt")
    return tmp_path / "m.pt"


def document(*sources: Any, **options: Any) -> Any:
    """As the browser reads it."""
    return json.loads(json.dumps(pi.report(*sources, **options).document, allow_nan=False))


def test_deep_findings_are_those_of_check(model: Path) -> None:
    for deep in (False, True):
        (source,) = document(model, deep=deep)["sources"]
        due = [(each.severity, each.code, each.name) for each in pi.check(model, deep=deep)]
        assert [(each["severity"], each["code"], each["name"]) for each in source["findings"]] == due
    assert "not-finite" in {each["code"] for each in source["findings"]}


def test_every_tensor_with_all_that_is_known_of_it(model: Path) -> None:
    (source,) = document(model)["sources"]
    tensors, statistics = source["tensors"], source["statistics"]
    assert tensors["name"] == [*SHAPES, "tied", "bad"]
    assert tensors["tied_to"] == {"4": "h.0.w"}
    assert [tuple(shape) for shape in tensors["shape"]] == [*SHAPES.values(), (3, 4), (3,)]
    assert {tensors["dtypes"][each] for each in tensors["dtype"]} == {"float32"}
    found = pi.stats(model)
    for name, row, histogram in zip(tensors["name"], statistics["rows"], statistics["histogram"], strict=True):
        if name == "tied":
            assert set(row) == {None}
            continue
        told = dict(zip(statistics["columns"], row, strict=True))
        assert told["mean"] == pytest.approx(found[name].mean, rel=1e-5)
        assert (told["nan"], told["inf"], histogram) == (found[name].nan, found[name].inf, list(found[name].histogram))
    assert source["ties"] == [{"kind": "alias", "name": "h.0.w", "aliases": ["tied"]}]
    assert source["info"]["parameters"] == pi.info(model).parameters
    assert source["findings"] == [each._asdict() for each in pi.check(model)]


def test_headers_alone(model: Path) -> None:
    (source,) = document(model, values=False)["sources"]
    assert source["statistics"] is None


def test_size_of_a_page_of_headers(tmp_path: Path) -> None:
    names = [f"model.layers.{i}.self_attn.{which}_proj.weight" for i in range(500) for which in "qkvo"]
    safetensors.numpy.save_file({name: np.zeros((2, 4096), np.float16) for name in names}, tmp_path / "m.safetensors")
    assert len(pi.report(tmp_path / "m.safetensors", values=False).html) <= 400_000 + 150 * len(names)


def test_two_sources_and_what_has_changed(model: Path, tmp_path: Path) -> None:
    after = torch.load(model)
    after["b"] = after["b"] + 1
    del after["s"]
    torch.save(after, tmp_path / "after.pt")
    told = document(model, tmp_path / "after.pt")
    assert [each["info"]["source"] for each in told["sources"]] == [str(model), str(tmp_path / "after.pt")]
    found = pi.diff(model, tmp_path / "after.pt")
    assert [(each["name"], each["change"]) for each in told["changes"]["rows"]] == [
        (each.name, each.change) for each in found.changes
    ]
    assert told["changes"]["unchanged"] == found.unchanged


def test_gradients_of_what_can_run(model: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    told = document("configs/mlp.yaml", gradients=True)
    expected = pi.backward("configs/mlp.yaml")
    assert [each["name"] for each in told["gradients"]["parameters"]] == [name for name, _ in net.named_parameters()]
    assert told["gradients"]["total_norm"] == pytest.approx(expected.total_norm)
    assert told["sources"][0]["tensors"]["types"]["0"].endswith("Linear")
    with pytest.raises(ParamInspectError, match="needs the architecture"):
        pi.report(model, gradients=True)


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(model: Path, tmp_path: Path) -> None:
    page = pi.open(model).report()
    frame = page._repr_html_()
    assert repr(page) == f"Report({model})"
    assert 'sandbox="allow-scripts"' in frame
    assert "<script" not in frame
    page.write(str(tmp_path / "r.html"))
    assert (tmp_path / "r.html").read_text("utf-8") == page.html
    with pytest.raises(ParamInspectError, match="there already"):
        page.write(str(tmp_path / "r.html"))
