"""One storage under several types, as torch itself loads it: by the type of the first use, in both kinds of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from paraminspect.errors import MalformedError
from paraminspect.formats.source import open_source
from paraminspect.values.read import read_tensor
from tests.making.torch_files import raw_bytes, save_tensors

FLOATS = torch.arange(6, dtype=torch.float32) + 1

Views = dict[str, torch.Tensor]

AS_TORCH: dict[str, Views] = {
    "floats-first": {"a": FLOATS, "b": FLOATS.view(torch.int32)},
    "integers-first": {"b": FLOATS.view(torch.int32), "a": FLOATS},
    "shorter-first": {"b": FLOATS.view(torch.int8)[3:], "a": FLOATS[1:]},
    "longer-first": {"a": FLOATS, "b": FLOATS.view(torch.int8)[1:5]},
    "offsets-count-elements": {"a": FLOATS, "b": FLOATS.view(torch.float16)[3:6]},
    "shapes-and-strides": {"a": FLOATS.view(2, 3), "b": FLOATS.view(torch.bfloat16)[:6].view(2, 3).T},
}
PAST_THE_END: dict[str, Views] = {
    "longer-first": {"a": FLOATS, "b": FLOATS.view(torch.int8)},
    "by-its-offset": {"a": FLOATS, "b": FLOATS.view(torch.float16)[5:9]},
    "complex-first": {"a": torch.view_as_complex(FLOATS.view(3, 2)), "b": FLOATS},
}


@pytest.fixture(params=["pt", "legacy"])
def save(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Views], Path]:
    """torch.save of views that it refuses where it sees that their addresses are the same."""

    def saved(tensors: Views) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr(torch.UntypedStorage, "data_ptr", lambda _: 0)
            return save_tensors(tmp_path / f"views.{request.param}", tensors)

    return saved


@pytest.mark.parametrize("tensors", AS_TORCH.values(), ids=AS_TORCH)
def test_the_first_use_says_the_type(save: Callable[[Views], Path], tensors: Views) -> None:
    path = save(tensors)
    loaded = torch.load(path, weights_only=True)
    checkpoint = open_source(str(path))
    found = {each.name: (each.shape, f"torch.{each.dtype}", each.stride) for each in checkpoint.tensors}
    assert found == {name: (each.shape, str(each.dtype), each.stride()) for name, each in loaded.items()}
    assert {each.name: read_tensor(each).tobytes() for each in checkpoint.tensors} == {
        name: raw_bytes(each) for name, each in loaded.items()
    }
    assert len({id(each.storage) for each in checkpoint.tensors}) == 1
    assert len({each.dtype for each in loaded.values()}) == 1  # or the test says nothing
    assert [note for note in checkpoint.notes if note.startswith("storages that tensors use under several types: 1;")]


@pytest.mark.parametrize("tensors", PAST_THE_END.values(), ids=PAST_THE_END)
def test_what_torch_does_not_load_is_refused(save: Callable[[Views], Path], tensors: Views) -> None:
    path = save(tensors)
    with pytest.raises(RuntimeError, match=r"resiz|wrong byte size"):
        torch.load(path, weights_only=True)
    with pytest.raises(MalformedError, match=r"needs \d+ bytes of storage '\d+', which has 24"):
        open_source(str(path))


def test_a_type_that_is_told_with_the_tensor_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.UntypedStorage, "data_ptr", lambda _: 0)
    path = save_tensors(tmp_path / "views.pt", {"a": FLOATS, "b": FLOATS.view(torch.uint16)})
    assert torch.load(path, weights_only=True)["b"].dtype is torch.uint16
    assert [each.dtype for each in open_source(str(path)).tensors] == ["float32", "uint16"]


def test_one_type_is_no_remark(save: Callable[[Views], Path]) -> None:
    assert open_source(str(save({"a": FLOATS, "b": FLOATS[2:]}))).notes == ()
