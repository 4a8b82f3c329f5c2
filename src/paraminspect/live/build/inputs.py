"""The input tensors that a spec describes."""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor

from paraminspect.architecture.model import TensorInput
from paraminspect.architecture.plan import ModelPlan
from paraminspect.architecture.tensors import MAX_INPUT_NUMEL
from paraminspect.errors import ParamInspectError
from paraminspect.live.build.complaints import first_line
from paraminspect.live.build.expected import make_room
from paraminspect.live.build.seeds import make_generator
from paraminspect.records import TensorRecord


def make_inputs(plan: ModelPlan, *, device: str = "meta", seed: int = 0) -> list[Tensor]:
    """The inputs of a spec in order of the forward call; none where it describes none.

    Args:
        plan: Of the spec; files are searched for beside its source.
        device: "meta" (no values) or "cpu".
        seed: Of the run; each input draws from a generator of its own.

    Raises:
        SpecError: At the input: values that its dtype cannot hold, a file that cannot be read.
    """
    return [make_tensor(each, device=device, seed=seed, source=plan.source) for each in plan.inputs]


def make_tensor(description: TensorInput, *, device: str = "meta", seed: int = 0, source: str = "") -> Tensor:
    """One input or target.

    Random ones are drawn in float32 (float64 for float64, int64 for integers) and then converted.

    Args:
        device: "meta" (no values) or "cpu".
        seed: Of the run, used with the tensor's name where it has no seed of its own.
        source: The spec, in whose folder a file is searched for.

    Raises:
        SpecError: At the input, as `make_inputs`.
    """
    try:
        if description.file is not None:
            return _read(description.file, os.path.dirname(source), device)
        return _make(description, device, seed)
    except ParamInspectError as error:
        failure = description.mark.error(f"{description.name}: {error.message}", hint=error.hint)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        failure = description.mark.error(f"{description.name}: {first_line(error)}")
    failure.source = source or None
    raise failure


def _make(description: TensorInput, device: str, seed: int) -> Tensor:
    shape, dtype = description.shape, getattr(torch, description.dtype or "float32")
    assert shape is not None
    _check_range(description, dtype)
    if device == "meta":
        return torch.empty(shape, dtype=dtype, device="meta")
    make_room(torch.empty(shape, dtype=dtype, device="meta"))
    if description.fill is not None:
        return torch.full(shape, description.fill, dtype=dtype)
    own = seed if description.seed is None else description.seed
    generator = make_generator(own, "", f"input {description.name}")
    drawn = torch.float64 if dtype == torch.float64 else torch.float32
    if description.dist == "normal":
        return torch.randn(shape, dtype=drawn, generator=generator).to(dtype)
    low, high = description.low, description.high
    if dtype.is_floating_point:
        uniform = torch.rand(shape, dtype=drawn, generator=generator)
        return uniform.mul_(high - low).add_(low).to(dtype)
    return torch.randint(int(low), int(high), shape, dtype=torch.int64, generator=generator).to(dtype)


def _check_range(description: TensorInput, dtype: torch.dtype) -> None:
    """Refuse what an integer dtype cannot hold; torch would wrap it around."""
    if dtype.is_floating_point or dtype == torch.bool:
        return
    limits = torch.iinfo(dtype)
    given = {"fill": description.fill, "low": description.low, "high - 1": math.ceil(description.high) - 1}
    for what in ["fill"] if description.fill is not None else ["low", "high - 1"]:
        value = given[what]
        if value is not None and not limits.min <= value <= limits.max:
            raise ValueError(f"{what} is {value:,}; {description.dtype} holds {limits.min:,} to {limits.max:,}")


def _read(file: str, folder: str, device: str) -> Tensor:
    """The one tensor of a file below a folder, links resolved."""
    root = os.path.realpath(folder or ".")
    path = os.path.realpath(os.path.join(root, file))
    if os.path.commonpath([root, path]) != root:
        raise ParamInspectError(f"{file} is outside the folder of the spec", hint="name it with --input FILE")
    return read_tensor(path, device=device, shown=file)


def read_tensor(path: str, *, device: str = "cpu", shown: str = "") -> Tensor:
    """The only tensor of a .npy, .safetensors or .pt file; no code in it is run.

    Args:
        device: On "meta" its values are not read.
        shown: What to call it in errors; the path if left out.

    Raises:
        ParamInspectError: The file cannot be read, is too large, or does not hold exactly one tensor.
    """
    from paraminspect.formats.source import open_source
    from paraminspect.live.build.stored import StoredTensors

    name = shown or path
    try:
        checkpoint = open_source(path)
        if len(checkpoint.tensors) != 1:
            raise ParamInspectError(f"{len(checkpoint.tensors)} tensors; expected one")
        record: TensorRecord = checkpoint.tensors[0]
        if record.numel > MAX_INPUT_NUMEL:
            raise ParamInspectError(f"{record.numel:,} elements; the limit is {MAX_INPUT_NUMEL:,}")
        tensor = StoredTensors().read(record)
    except ParamInspectError as error:
        raise ParamInspectError(f"{name}: {error.message}", hint=error.hint) from None
    return torch.empty_like(tensor, device="meta") if device == "meta" else tensor.clone()
