"""Checkpoints of DeepSpeed's ZeRO: a folder of one training step, in which each rank has its files.

Of stages 1 and 2 the model is whole, in the type it is trained in:

    mp_rank_00_model_states.pt                      {"module": STATE_DICT, "param_shapes": ...}
    zero_pp_rank_R_mp_rank_00_optim_states.pt       copies in float32 and the optimizer's state, a part each; not read

Of stage 3 there are as many as ranks of both, and the model is in the second, in float32:

    zero_pp_rank_R_mp_rank_00_model_states.pt       {"module": buffers, and empty tensors for the rest,
                                                     "param_shapes": [{NAME: SIZE}], "frozen_param_fragments": {NAME: PART}}
    zero_pp_rank_R_mp_rank_00_optim_states.pt       {"optimizer_state_dict": {"fp32_flat_groups": [FLAT]}}

with R from 0 up, `bf16_` or `fp16_` before the second name where it is trained so. Of each parameter every rank has
ceil(numel / ranks) elements, one parameter behind the other in the order of `param_shapes`; what the last rank has too
many is padding. Experts lie in files of their own. Tensor and pipeline parallelism (another number behind `mp_rank`, files
of layers) cut in ways that are not in the files.

Source: `utils/zero_to_fp32.py` of DeepSpeed 0.19, which does the same; files of 0.19 with 2 and 3 ranks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from paraminspect.errors import CheckpointError, MalformedError
from paraminspect.files.blob import open_blob
from paraminspect.files.paths import join
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.pickles.inert import TensorValue
from paraminspect.formats.pickles.remark import note_calls
from paraminspect.formats.pytorch.archive import TorchArchive
from paraminspect.formats.pytorch.first_use import FirstUses
from paraminspect.formats.pytorch.objects import GlobalTable
from paraminspect.formats.pytorch.walk import name_tensors
from paraminspect.formats.shapes import check_sizes, count_elements
from paraminspect.formats.sharded import FETCH_HINT, ReadFile, list_names
from paraminspect.formats.table import SHARDED, TORCH_SAVE
from paraminspect.formats.zip_file import read_zip_directory
from paraminspect.records import Checkpoint, Declaration, Encoding, Split, Storage, Stretch, TensorRecord
from paraminspect.text import counted, quote
from paraminspect.tuples import NamedTuple

_STATES: Final = re.compile(r"(?:zero_pp_rank_(?P<rank>\d{1,6})_)?mp_rank_(?P<part>\d+)_model_states\.pt")
_EXPERT: Final = re.compile(r"(?:layer_\d+_)?expert_\d+_mp_rank_00_model_states\.pt")
_OPTIMIZER: Final = re.compile(r"(?:bf16_|fp16_)?zero_pp_rank_(?P<rank>\d{1,6})_mp_rank_00_optim_states\.pt")

_PREFIX: Final = "module."


def read_zero(folder: str, files: Sequence[str], read_file: ReadFile) -> Checkpoint | None:
    """The model of a folder of one step; None where it is cut up for tensor or pipeline parallelism too.

    Args:
        folder: Its path.
        files: Names of the files in it.
        read_file: Reads one file; its errors name it.

    Raises:
        CheckpointError: A rank's file is missing, or holds something else than the others make one expect.
        ParamInspectError: What `read_file` raises.
    """
    found = [match for match in map(_STATES.fullmatch, files) if match]
    if {match["part"] for match in found} != {"00"} or any(
        file.startswith("layer_") and not _EXPERT.fullmatch(file) for file in files
    ):
        return None
    states = {int(match["rank"]): match.string for match in found if match["rank"]}
    optimizers = {int(match["rank"]): match.string for match in map(_OPTIMIZER.fullmatch, files) if match}
    if states:
        checkpoint = _read_partitions(folder, states, optimizers)
    else:
        checkpoint = _read_whole(folder, found[0].string, optimizers, read_file)
    return _with_experts(folder, [file for file in files if _EXPERT.fullmatch(file)], checkpoint, read_file)


def _read_whole(folder: str, file: str, optimizers: Mapping[int, str], read_file: ReadFile) -> Checkpoint:
    checkpoint = read_file(join(folder, file))
    tensors = [
        each._replace(name=each.name.removeprefix(_PREFIX), part="", role="model")
        if each.part == "module"
        else each._replace(role="state" if each.role == "model" else each.role)
        for each in checkpoint.tensors
    ]
    notes = checkpoint.notes
    if optimizers:
        files = counted(len(optimizers), "*_optim_states.pt file")
        notes = (f"not read: {files}, the optimizer's state and its copy of the model in float32 (ZeRO)", *notes)
    return checkpoint._replace(tensors=tensors, notes=notes)


def _with_experts(folder: str, experts: Sequence[str], checkpoint: Checkpoint, read_file: ReadFile) -> Checkpoint:
    read = [read_file(join(folder, file)) for file in experts]
    if not read:
        return checkpoint
    return checkpoint._replace(
        tensors=[*checkpoint.tensors, *(tensor for each in read for tensor in each.tensors)],
        nbytes=checkpoint.nbytes + sum(each.nbytes for each in read),
        files=(*checkpoint.files, *(path for each in read for path in each.files)),
        notes=tuple(dict.fromkeys([*checkpoint.notes, *(note for each in read for note in each.notes)])),
    )


# Stage 3.


class _File(NamedTuple):
    """What a rank has saved.

    Attributes:
        path: Of the file.
        root: The object in it.
        archive: Its storages.
        notes: Remarks on it.
        nbytes: Size of the file.
    """

    path: str
    root: Mapping[object, object]
    archive: TorchArchive
    notes: tuple[str, ...]
    nbytes: int


def _read_partitions(folder: str, states: Mapping[int, str], optimizers: Mapping[int, str]) -> Checkpoint:
    ranks = len(states)
    for what, there in (("model", states), ("optim", optimizers)):
        if missing := [rank for rank in range(max(ranks, len(there))) if rank not in there]:
            raise CheckpointError(
                f"the *_{what}_states.pt of rank {missing[0]} is missing, and the model is in those of all {ranks} ranks",
                hint=FETCH_HINT, fault="missing-file",
            )  # fmt: skip
    first = _load(folder, states[0])
    frozen = _sizes(first.root.get("frozen_param_shapes"))
    each_state = [first, *(_load(folder, states[rank]) for rank in range(1, ranks))] if frozen else [first]
    each_optimizer = [_load(folder, optimizers[rank]) for rank in range(ranks)]
    records = {record.name: record for record in _frozen(frozen, each_state)}
    records |= {record.name: record for record in _trained(_sizes(first.root.get("param_shapes")), each_optimizer)}
    module = _dict(first.root.get("module"))
    buffers = {name: value for name, value in module.items() if name not in records}
    tensors, ties, lost = _in_order(module, records, first, _dict(first.root.get("shared_params")), buffers)
    files = [*each_state, *each_optimizer]
    notes = [
        f"put together of the parts of {counted(ranks, 'rank')}; the optimizer's state is not read (ZeRO, stage 3)"
    ]
    if lost:
        notes.append(f"{counted(len(lost), 'tensor')} without elements in any file: {list_names(lost)}")
    return Checkpoint(
        f"{SHARDED} {TORCH_SAVE.name}",
        tensors,
        first.archive.metadata,
        tuple(dict.fromkeys([*notes, *(note for file in files for note in file.notes)])),
        nbytes=sum(file.nbytes for file in files),
        files=tuple(file.path for file in files),
        declared=tuple(ties),
    )


def _load(folder: str, name: str) -> _File:
    path = join(folder, name)
    blob = open_blob(path)
    if blob.read_up_to(0, 2) != b"PK":
        raise MalformedError(f"{name} is no file of torch.save")
    archive = TorchArchive(read_zip_directory(blob))
    table = GlobalTable()
    root = archive.load(table, FirstUses())
    if not isinstance(root, dict):
        raise MalformedError(f"{name} holds no dictionary")
    return _File(path, root, archive, tuple(note_calls(table.foreign)), blob.size)


def _frozen(shapes: Mapping[str, tuple[int, ...]], states: Sequence[_File]) -> Iterator[TensorRecord]:
    for name, shape in shapes.items():
        parts = [_tensor(_dict(file.root.get("frozen_param_fragments")).get(name), file) for file in states]
        rows = tuple((_place(part, file),) for part, file in zip(parts, states, strict=True))
        yield _record(name, shape, parts[0].dtype, Split(rows, 0, max(row[0].nbytes for row in rows)), trainable=False)


def _trained(shapes: Mapping[str, tuple[int, ...]], optimizers: Sequence[_File]) -> Iterator[TensorRecord]:
    rows = []
    dtype = "float32"
    for file in optimizers:
        state = _dict(file.root.get("optimizer_state_dict"))
        groups = state.get("fp32_flat_groups")
        if not isinstance(groups, list):
            raise CheckpointError(f"{file.path} has no fp32_flat_groups, where stage 3 of ZeRO keeps the model")
        parts = [_tensor(group, file) for group in groups]
        dtype = parts[0].dtype if parts else dtype
        rows.append(tuple(_place(part, file) for part in parts))
    ranks, itemsize = len(rows), BITS[dtype] // 8
    offset = 0
    for name, shape in shapes.items():
        share = -(-count_elements(shape) // ranks)
        yield _record(name, shape, dtype, Split(tuple(rows), offset * itemsize, share * itemsize), trainable=True)
        offset += share
    sizes = {sum(place.nbytes for place in row) // itemsize for row in rows}
    if shapes and sizes != {offset}:
        raise MalformedError(
            f"the shapes of the model need {offset:,} elements of each rank, which have {min(sizes):,}",
            hint="the files are not of one step, or not all of them",
        )


def _in_order(
    module: Mapping[object, object],
    records: Mapping[str, TensorRecord],
    first: _File,
    shared: Mapping[object, object],
    buffers: Mapping[object, object],
) -> tuple[list[TensorRecord], list[Declaration], list[str]]:
    """The tensors in the order of the state dict, what is said to be tied, and names of those without values."""
    names = {name for name in _names(first.root.get("buffer_names")) if name in buffers}
    stored = {
        record.name: record for record in name_tensors({name: buffers[name] for name in names}, first.archive.storage)
    }
    tensors: list[TensorRecord] = []
    ties: list[Declaration] = []
    lost: list[str] = []
    for name in dict.fromkeys([*(key for key in module if isinstance(key, str)), *records]):
        target = shared.get(name)
        if name in records:
            tensors.append(records[name])
        elif name in stored:
            tensors.append(stored[name]._replace(kind="buffer"))
        elif isinstance(target, str) and target in records:
            tensors.append(records[target]._replace(name=name, declared=True))
            ties.append(Declaration(name, target, "shared_params of DeepSpeed"))
        else:
            lost.append(name)
    return tensors, ties, lost


def _record(name: str, shape: tuple[int, ...], dtype: str, split: Split, *, trainable: bool) -> TensorRecord:
    numel = count_elements(shape)
    nbytes = numel * BITS[dtype] // 8
    return TensorRecord(
        name,
        shape,
        dtype,
        numel,
        nbytes,
        "parameter",
        trainable,
        layout="chunked",
        storage=Storage(name, nbytes),  # in no one place, but its own: by that names of it are known to be tied
        encoding=Encoding(split=split),
    )


def _place(value: TensorValue, file: _File) -> Stretch:
    """Where the elements of a flat tensor are."""
    itemsize = BITS[value.dtype] // 8
    if value.storage is None:
        raise MalformedError(f"a part in {file.path} has no bytes")
    storage = file.archive.storage(value.storage)
    if storage.begin is None:
        raise CheckpointError(f"{file.path} is compressed, or of a machine with another byte order")
    begin = storage.begin + value.storage.offset + value.offset * itemsize
    return Stretch(file.path, begin, value.numel * itemsize)


def _sizes(value: object) -> dict[str, tuple[int, ...]]:
    """Names and shapes, of one dictionary or a list of them, one a group of parameters."""
    groups = value if isinstance(value, list | tuple) else [value]
    found: dict[str, tuple[int, ...]] = {}
    for group in groups:
        for name, size in _dict(group).items():
            if not isinstance(name, str):
                raise MalformedError("a parameter whose name is no string")
            found[name] = check_sizes(size)
    return found


def _tensor(value: object, file: _File) -> TensorValue:
    if not isinstance(value, TensorValue) or len(value.shape or ()) != 1 or value.stride != (1,):
        raise MalformedError(f"a part in {quote(file.path)} is no flat tensor")
    return value


def _dict(value: object) -> Mapping[object, object]:
    return value if isinstance(value, dict) else {}


def _names(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []
