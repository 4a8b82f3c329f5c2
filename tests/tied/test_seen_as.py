"""One count of storage: views of a parameter, in a live model and in a file, by every command that counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import paraminspect
from paraminspect.live.build.describe import describe_model
from paraminspect.live.build.outline import make_module_tree
from paraminspect.names.listing import make_listing, make_tree, sum_modules, total
from paraminspect.tied.seen_as import describe_view
from tests.making.running import run_here

VIEWS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "same": (lambda w: w, "a.w"),
    "transposed": (lambda w: w.mT, "a.w (transposed)"),
    "permuted": (lambda w: w.permute(1, 2, 0), "a.w (permuted)"),
    "flat": (lambda w: w.reshape(-1), "a.w (as [60])"),
    "shaped": (lambda w: w.view(6, 10), "a.w (as [6,10])"),
    "rows": (lambda w: w[1:], "a.w[1:3]"),
    "columns": (lambda w: w[:, 1:3], "a.w[:, 1:3]"),
    "corner": (lambda w: w[:2, :, 4:], "a.w[0:2, :, 4:5]"),
    "one": (lambda w: w[1], "a.w (in part)"),
    "steps": (lambda w: w[::2], "a.w (in part)"),
    "middle": (lambda w: w.reshape(-1)[7:20], "a.w (in part)"),
}


class Viewing(nn.Module):
    """A parameter, and another that is a view of it."""

    def __init__(self, view: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Module(), nn.Module()
        self.a.w = nn.Parameter(torch.arange(60.0).reshape(3, 4, 5))
        self.b.w = nn.Parameter(view(self.a.w.detach()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.a.w.sum() + self.b.w.sum()


def stored(model: nn.Module) -> int:
    """Elements of all parameters, by the addresses of their elements."""
    places: set[int] = set()
    for each in model.parameters():
        steps = torch.zeros(each.shape, dtype=torch.int64)
        for size, stride, dim in zip(each.shape, each.stride(), range(each.dim()), strict=True):
            steps += (torch.arange(size) * stride).reshape([-1 if at == dim else 1 for at in range(each.dim())])
        places |= set((each.data_ptr() + 4 * steps).reshape(-1).tolist())
    return len(places)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_a_parameter_is_counted_once_by_all(name: str, tmp_path: Path) -> None:
    view, due = VIEWS[name]
    model = Viewing(view)
    file = str(tmp_path / "model.pt")
    torch.save(model.state_dict(), file)
    tree = make_module_tree(model)
    assert tree.numel == stored(model) == 60
    assert [dict(each.seen_as) for each in tree.children] == [{}, {"w": due}]
    assert sum(child.numel for child in tree.children) == 60
    for source in (model, file):
        opened = paraminspect.open(source)
        listing = make_listing(opened.checkpoint.tensors, aliases=True)
        assert total(listing).parameters == 60
        assert total(listing).nbytes == 240
        assert sum(each.numel for each in sum_modules(listing, 1)) == 60
        assert make_tree(listing).numel == 60
        assert listing.seen_as == {1: due}
        (group,) = opened.ties()
        assert sum(each.nbytes or 0 for each in opened.checkpoint.tensors) - (group.saved or 0) == 240


def test_the_command_line_says_what_a_view_is_of(tmp_path: Path) -> None:
    file = str(tmp_path / "model.pt")
    torch.save(Viewing(lambda w: w[1:]).state_dict(), file)
    assert "b.w   [2,4,5] float32 = a.w[1:3]" in run_here("tree", file).stdout
    leaves = json.loads(run_here("tree", file, "--format", "json").stdout)["tree"]["children"]
    assert [each["children"][0].get("seen_as") for each in leaves] == [None, "a.w[1:3]"]
    assert run_here("list", "--total", file).stdout.split("\t")[1:3] == ["60", "240"]
    assert "60" in run_here("info", file).stdout


@pytest.mark.parametrize("name", ["transposed", "rows"])
def test_each_parameter_of_one_storage_has_a_gradient(name: str) -> None:
    view, due = VIEWS[name]
    model = Viewing(view)
    report = paraminspect.backward(model, torch.ones(1))
    assert [each.name for each in report.parameters] == [each for each, _ in model.named_parameters()]
    assert report.notes == (f"b.w = {due}: one storage, each with a gradient of its own",)
    assert paraminspect.backward(Viewing(lambda w: w.clone()), torch.ones(1)).notes == ()


def test_parts_of_a_tensor_that_is_no_parameter_count_what_is_new() -> None:
    model = nn.Module()
    base = torch.zeros(10)
    model.a, model.b, model.c = (nn.Parameter(base[start:end]) for start, end in ((0, 6), (4, 10), (2, 7)))
    listing = make_listing(describe_model(model))
    assert [listing.numel_of(index) for index in range(3)] == [6, 4, 0]
    assert listing.seen_as == {1: "a (in part)", 2: "a (in part)"}
    assert total(listing).parameters == stored(model) == 10


def test_a_tensor_without_stride_is_no_view() -> None:
    (record,) = describe_model(nn.Linear(2, 1, bias=False))
    assert describe_view(record._replace(stride=None), record) == ""


def test_many_parts_of_a_flat_parameter() -> None:
    model: Any = nn.Module()
    model.flat = nn.Parameter(torch.zeros(4000))
    for place in range(2000):
        setattr(model, f"p{place}", nn.Parameter(model.flat.detach()[2 * place : 2 * place + 2]))
    listing = make_listing(describe_model(model))
    assert total(listing).parameters == 4000
    assert listing.seen_as[1999] == "flat[3996:3998]"
