"""What headers say that makes no sense, on checkpoints that torch and safetensors wrote."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from paraminspect.checks import headers as tensors
from paraminspect.checks.check import check_source
from paraminspect.records import Checkpoint, Storage, TensorRecord
from paraminspect.summaries import Finding
from tests.making.gguf_files import info, make_gguf
from tests.making.safetensors_files import raw_safetensors
from tests.making.torch_files import torch_bytes

Check = Callable[..., list[Finding]]


def of(found: list[Finding], code: str) -> list[Finding]:
    return [finding for finding in found if finding.code == code]


def trained(*sizes: int) -> dict[str, object]:
    """A model and the state of an optimizer such as Adam, as `state_dict()` lays it out."""
    model = nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(sizes)))
    state = {
        index: {"step": torch.tensor(1.0), "exp_avg": torch.ones_like(each), "exp_avg_sq": torch.ones_like(each)}
        for index, each in enumerate(model.parameters())
    }
    return {"model": model.state_dict(), "optimizer": {"state": state, "param_groups": [{"lr": 0.1}]}}


def test_optimizer_state_that_fits(check: Check) -> None:
    assert of(check(torch_bytes(trained(3, 4, 5))), "optimizer-mismatch") == []


def test_optimizer_state_of_another_model(check: Check) -> None:
    mixed = {**trained(3, 4, 5), "optimizer": trained(3, 4, 6)["optimizer"]}
    found = of(check(torch_bytes(mixed)), "optimizer-mismatch")
    assert [finding.name for finding in found] == ["optimizer.state.2.exp_avg", "optimizer.state.2.exp_avg_sq"]
    assert found[0].message == "2 of 4 exp_avg fit no parameter; the first has shape [6, 4]"


def test_more_state_of_a_shape_than_parameters(check: Check) -> None:
    mixed = {**trained(3, 3), "optimizer": trained(3, 3, 3)["optimizer"]}
    assert len(of(check(torch_bytes(mixed)), "optimizer-mismatch")) == 2


def test_mixed_types(check: Check) -> None:
    (finding,) = check(torch_bytes({"a": torch.ones(2), "b": torch.ones(2).half(), "n": torch.ones(2).long()}))
    assert (finding.severity, finding.code) == ("info", "mixed-dtypes")
    assert finding.message == "parameters of several types: 1 of float32, 1 of float16"


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.forgotten = torch.ones(3)


def test_attributes_of_a_pickled_module(check: Check) -> None:
    found = check(torch_bytes(Plain()))
    assert [finding.name for finding in of(found, "plain-attribute")] == ["forgotten"]
    assert {finding.code for finding in found} == {"plain-attribute", "pickle-unknown"}


def test_two_paths_of_one_name(check: Check) -> None:
    (finding,) = check(torch_bytes({"a.b": torch.ones(1), "a": {"b": torch.ones(2)}}))
    assert (finding.code, finding.severity, finding.name) == ("duplicate-name", "warning", "a.b")


@pytest.mark.parametrize(("same", "word"), [(True, "the same bytes"), (False, "other bytes")])
def test_a_declared_tie_that_is_stored_twice(same: bool, word: str, tmp_path: Path) -> None:
    weight = torch.arange(4.0)
    tensors = {"embed": weight, "head": weight.clone() if same else weight + 1}
    safetensors.torch.save_file(tensors, tmp_path / "m.safetensors", {"head": "embed", "format": "pt"})
    (finding,) = check_source(tmp_path / "m.safetensors")
    assert (finding.code, finding.name) == ("tie-contradicted", "head")
    assert word in finding.message


def entry(begin: int, end: int) -> dict[str, object]:
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("overlap", raw_safetensors({"a": entry(0, 4), "b": entry(2, 6)}, bytes(6))),
        ("hole", raw_safetensors({"a": entry(0, 4), "b": entry(5, 6)}, bytes(6))),
        ("extra-bytes", raw_safetensors({"a": entry(0, 4)}, bytes(6))),
        ("truncated", raw_safetensors({"a": entry(0, 4)}, bytes(3))),
        ("malformed", raw_safetensors({"a": {"dtype": "U8"}}, b"")),
    ],
)
def test_damage_of_safetensors_has_its_code(code: str, data: bytes, check: Check) -> None:
    (finding,) = check(data)
    assert (finding.code, finding.severity) == (code, "error")
    with pytest.raises(safetensors.SafetensorError):
        safetensors.torch.load(data)


def test_two_names_in_one_header(check: Check) -> None:
    text = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}'
    (finding,) = check(len(text).to_bytes(8, "little") + text + b"12")
    assert finding.code == "duplicate-name"


def test_an_index_that_disagrees_with_its_shards(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.ones(1)}, tmp_path / "one.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"b": "one.safetensors"}}')
    assert [finding.code for finding in check_source(tmp_path)] == ["index-mismatch"]
    index.write_text('{"metadata": {"total_size": 7}, "weight_map": {"a": "one.safetensors"}}')
    (finding,) = check_source(index)
    assert (finding.code, finding.severity) == ("index-mismatch", "warning")
    index.write_text('{"weight_map": {"a": "../one.safetensors"}}')
    assert [finding.code for finding in check_source(index)] == ["path-escape"]


def test_bytes_behind_a_gguf_file(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("a.weight", np.ones((2, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert check(path.read_bytes()) == []
    (found,) = check(path.read_bytes() + bytes(200))
    assert (found.code, found.message) == ("extra-bytes", "200 bytes behind the last tensor")


def test_many_of_one_kind_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "MAX_TOLD", 1)
    names = ["a", "a", "b", "b", "c", "c"]
    records = [TensorRecord(name, (1,), "float32", 1, 4, role="attribute") for name in names]
    messages = [finding.message for finding in tensors.check_tensors(Checkpoint("torch zip", records))]
    assert "2 more names stand twice" in messages
    assert "5 more tensor attributes" in messages


def test_a_view_that_was_saved_with_its_whole_storage(check: Check) -> None:
    (found,) = of(check(torch_bytes({"a": torch.ones(1000, 300)[:3]})), "unused-bytes")
    assert found.severity == "info"
    assert found.message.startswith("1,196,400 of 1,200,000 bytes of tensor data are used by no tensor: 'a' is a view")


def test_storages_that_nothing_refers_to_are_told_once(check: Check) -> None:
    data = io.BytesIO(torch_bytes({"a": torch.ones(3)}))
    with zipfile.ZipFile(data, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data/77", bytes(1 << 20))
    found = check(data.getvalue())
    assert [each.code for each in found if each.code.startswith("unused")] == ["unused-bytes"]
    assert of(found, "unused-bytes")[0].message == "1,048,576 of 1,048,588 bytes of tensor data are used by no tensor"


def test_a_hole_in_a_gguf_file(check: Check) -> None:
    infos = (info("a", (8,)), info("b", (8,), offset=1 << 20))
    data = make_gguf((), infos, bytes((1 << 20) + 32))
    (found,) = of(check(data), "unused-bytes")
    assert found.message.startswith(f"{(1 << 20) - 32:,} of {(1 << 20) + 32:,} bytes")


def test_a_tensor_that_is_reached_by_two_paths_is_one() -> None:
    storage = Storage("0", 8, "a.pt", 0)
    first, other = (TensorRecord("a", (2,), "float32", 2, 8, storage=storage, stride=(1,)) for _ in range(2))
    placeless = TensorRecord("b", (2,), "float32", 2, 8)
    assert [each.code for each in tensors.check_tensors(Checkpoint("torch zip", [first, other, placeless]))] == []
    found = [each.name for each in tensors.check_tensors(Checkpoint("torch zip", [first, other, placeless, placeless]))]
    assert found == ["b"]
    half = first._replace(shape=(1,), numel=1, nbytes=4)
    assert [each.name for each in tensors.check_tensors(Checkpoint("torch zip", [first, half]))] == ["a"]
