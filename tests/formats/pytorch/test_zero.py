"""Folders of DeepSpeed's ZeRO, as DeepSpeed wrote them: held against what its own script makes of them."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paraminspect.errors import CheckpointError, MalformedError, SourceError
from paraminspect.formats import open_source
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.tied.shared_bytes import find_ties
from paraminspect.values.read import read_part, read_tensor
from paraminspect.values.stored_bytes import Files
from scripts.make_fixtures import HONEST

NAMES = [
    *("shift", "steps", "embed.weight", "layer.weight", "layer.bias", "norm.weight", "norm.bias", "frozen.weight"),
    *("frozen.bias", "head.weight"),
]
"""Of the state dict of `scripts/make_zero.py`."""

STATES = "zero_pp_rank_{}_mp_rank_00_model_states.pt"
OPTIMIZER = "bf16_zero_pp_rank_{}_mp_rank_00_optim_states.pt"


def folder_of(stage: int) -> Path:
    return HONEST / "deepspeed" / f"stage{stage}"


def wanted(stage: int) -> dict[str, torch.Tensor]:
    path = HONEST / "deepspeed" / f"stage{stage}-float32.pt"
    return {name: tensor.detach() for name, tensor in torch.load(path, weights_only=False).items()}


def by_name(checkpoint: Checkpoint) -> dict[str, TensorRecord]:
    return {record.name: record for record in checkpoint.tensors if record.role == "model"}


def test_the_parts_of_stage_3_are_what_deepspeed_makes_of_them() -> None:
    checkpoint = open_source(folder_of(3))
    assert [record.name for record in checkpoint.tensors] == NAMES
    assert checkpoint.format == "sharded torch zip"
    assert checkpoint.notes == (
        "put together of the parts of 3 ranks; the optimizer's state is not read (ZeRO, stage 3)",
    )
    assert len(checkpoint.files) == 6
    assert checkpoint.nbytes == sum(path.stat().st_size for path in folder_of(3).iterdir())
    records, theirs = by_name(checkpoint), wanted(3)
    assert set(records) == set(theirs)
    for name, tensor in theirs.items():
        assert records[name].shape == tuple(tensor.shape)
        assert np.array_equal(read_tensor(records[name]).astype("f4"), tensor.float().numpy())


def test_what_is_a_parameter_and_what_trains() -> None:
    records = by_name(open_source(folder_of(3)))
    assert {name for name, record in records.items() if record.kind == "buffer"} == {"shift", "steps"}
    assert {name for name, record in records.items() if record.trainable is False} == {"frozen.weight", "frozen.bias"}
    assert {name: record.dtype for name, record in records.items() if record.dtype != "float32"} == {
        "frozen.weight": "bfloat16", "frozen.bias": "bfloat16", "steps": "int64",
    }  # fmt: skip


def test_a_tie_that_it_declares() -> None:
    checkpoint = open_source(folder_of(3))
    assert [(group.kind, group.names) for group in find_ties(checkpoint.tensors)] == [
        ("declared", ("embed.weight", "head.weight"))
    ]


@pytest.mark.parametrize("index", [(slice(3, 9),), (10,), (slice(None, None, 4), 2), (-1, slice(1, 3))])
def test_a_slice_reads_across_ranks(index: tuple[Any, ...]) -> None:
    record = by_name(open_source(folder_of(3)))["embed.weight"]
    assert np.array_equal(read_part(record, index, Files()), wanted(3)["embed.weight"].numpy()[index])


def test_the_model_of_stage_2_is_whole() -> None:
    checkpoint = open_source(folder_of(2))
    records, theirs = by_name(checkpoint), wanted(2)
    assert list(records) == NAMES
    assert checkpoint.notes[0].startswith("not read: 2 *_optim_states.pt files, the optimizer's state and its copy")
    for name, tensor in theirs.items():
        found = read_tensor(records[name]).astype("f4")
        assert np.array_equal(found, tensor.to(getattr(torch, records[name].dtype)).float().numpy())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(folder_of(3), tmp_path / "step")
    return tmp_path / "step"


@pytest.mark.parametrize("name", [STATES.format(1), OPTIMIZER.format(0), OPTIMIZER.format(2), STATES.format(0)])
def test_a_rank_that_is_missing(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(CheckpointError, match=r"_states\.pt of rank \d is missing, .* in those of all \d ranks"):
        open_source(copy)


def write(folder: Path, ranks: int, groups: Callable[[int], Any], **states: Any) -> Path:
    """A folder by hand."""
    folder.mkdir()
    for rank in range(ranks):
        more = {name: value(rank) if callable(value) else value for name, value in states.items()}
        torch.save({"module": {}, "buffer_names": [], "shared_params": {}, **more}, folder / STATES.format(rank))
        torch.save({"optimizer_state_dict": {"fp32_flat_groups": groups(rank)}}, folder / OPTIMIZER.format(rank))
    return folder


def test_a_parameter_may_lie_in_two_groups_of_each_rank(tmp_path: Path) -> None:
    shapes = [{"a": torch.Size([3, 2])}, {"b": torch.Size([]), "c": torch.Size([0, 4]), "d": torch.Size([5])}]
    rows = [torch.arange(7.0) + 10 * rank for rank in range(2)]  # 3 of a, 1 of b, 3 of d
    folder = write(tmp_path / "s", 2, lambda rank: list(rows[rank].split([2, 3, 2])), param_shapes=shapes)
    records = by_name(open_source(folder))
    values = {name: read_tensor(record).tolist() for name, record in records.items()}
    assert values == {"a": [[0, 1], [2, 10], [11, 12]], "b": 3, "c": [], "d": [4, 5, 6, 14, 15]}


def test_a_tensor_without_elements_in_any_file_is_noted(tmp_path: Path) -> None:
    module = {"head.weight": torch.empty(0), "a": torch.empty(0)}
    shapes = [{"a": torch.Size([2])}]
    folder = write(tmp_path / "s", 2, lambda rank: [torch.ones(1)], param_shapes=shapes, module=module)
    checkpoint = open_source(folder)
    assert list(by_name(checkpoint)) == ["a"]
    assert "1 tensor without elements in any file: head.weight" in checkpoint.notes


@pytest.mark.parametrize(
    ("groups", "shapes", "message"),
    [
        (lambda rank: [torch.ones(3)], [{"a": torch.Size([4])}], "need 2 elements of each rank, which have 3"),
        (lambda rank: [torch.ones(1)], [{"a": torch.Size([4])}], "need 2 elements of each rank, which have 1"),
        (lambda rank: [torch.ones(2 + rank)], [{"a": torch.Size([4])}], "need 2 elements of each rank"),
        (lambda rank: None, [{"a": torch.Size([4])}], "has no fp32_flat_groups"),
        (lambda rank: [torch.ones(2, 2).t()], [{"a": torch.Size([8])}], "is no flat tensor"),
        (lambda rank: [5], [{"a": torch.Size([4])}], "is no flat tensor"),
        (lambda rank: [torch.ones(2)], [{3: torch.Size([4])}], "name is no string"),
        (lambda rank: [torch.ones(2)], [{"a": "x"}], "shape"),
        (lambda rank: [torch.ones(2)], [{"a": (-4,)}], "negative"),
        (lambda rank: [torch.empty(2, device="meta")], [{"a": torch.Size([4])}], "has no bytes"),
    ],
)  # fmt: skip
def test_files_that_do_not_go_together(tmp_path: Path, groups: Any, shapes: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        open_source(write(tmp_path / "s", 2, groups, param_shapes=shapes))


@pytest.mark.parametrize("value", [[1], 3, {"param_shapes": 4}, {"module": [], "param_shapes": [[]]}])
def test_what_is_no_such_file(tmp_path: Path, value: object) -> None:
    folder = write(tmp_path / "s", 1, lambda rank: [])
    torch.save(value, folder / STATES.format(0))
    with pytest.raises(MalformedError) if not isinstance(value, dict) else contextlib.nullcontext():
        assert open_source(folder).tensors == []


def test_a_file_that_is_cut_off(copy: Path) -> None:
    path = copy / OPTIMIZER.format(1)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError):
        open_source(copy)


def test_experts_are_taken_along(tmp_path: Path) -> None:
    torch.save({"module": {"gate": torch.ones(2)}}, tmp_path / "mp_rank_00_model_states.pt")
    for expert in range(2):
        torch.save({f"moe.{expert}.w": torch.ones(3)}, tmp_path / f"layer_0_expert_{expert}_mp_rank_00_model_states.pt")
    checkpoint = open_source(tmp_path)
    assert list(by_name(checkpoint)) == ["gate", "moe.0.w", "moe.1.w"]
    assert len(checkpoint.files) == 3


@pytest.mark.parametrize("name", ["mp_rank_01_model_states.pt", "layer_00-model_states.pt"])
def test_other_cuts_are_explained(tmp_path: Path, name: str) -> None:
    torch.save({"module": {"w": torch.ones(2)}}, tmp_path / "mp_rank_00_model_states.pt")
    torch.save({"w": torch.ones(2)}, tmp_path / name)
    with pytest.raises(SourceError):
        open_source(tmp_path)
