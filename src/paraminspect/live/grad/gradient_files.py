"""Gradients on disk: written as safetensors, and held against those of another run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from paraminspect.errors import ParamInspectError
from paraminspect.formats.source import open_source
from paraminspect.live.build.stored import StoredTensors, by_name
from paraminspect.live.grad.gradients import angle, norm_of
from paraminspect.live.ranks.sharded import whole_of
from paraminspect.records import TensorRecord
from paraminspect.text import shape_text
from paraminspect.tuples import NamedTuple
from paraminspect.writers.layout import OutTensor
from paraminspect.writers.safetensors import plan_safetensors

Gradients = Mapping[str, Tensor | None]


class GradientChange(NamedTuple):
    """One gradient that is another one in the other run.

    Attributes:
        change: "added": only this run has it; "removed": only the other one; "shape"; "values".
        before: Of the other run: the shape, or the norm where only values differ; None where it has none.
        after: The same of this run.
        max_abs: Largest absolute difference; None where the shapes differ.
        relative: Norm of the difference over the norm before; None where that is zero.
        cosine: Between the two.
    """

    name: str
    change: Literal["added", "removed", "shape", "values"]
    before: str | None = None
    after: str | None = None
    max_abs: float | None = None
    relative: float | None = None
    cosine: float | None = None


def other_names(model: nn.Module) -> dict[str, str]:
    """Other name of a tied parameter -> its canonical one."""
    first: dict[int, str] = {}
    aliases = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        canonical = first.setdefault(id(parameter), name)
        if canonical != name:
            aliases[name] = canonical
    return aliases


def encode_gradients(gradients: Gradients, aliases: Mapping[str, str]) -> Iterator[bytes]:
    """A safetensors file of the gradients there are, in pieces.

    Args:
        gradients: By canonical name.
        aliases: Other name of a tied parameter -> canonical name; goes into the metadata, as
            `safetensors.torch.save_model` writes it.
    """
    held = {name: each for name, each in gradients.items() if each is not None}
    others = {name: tuple(alias for alias, known in aliases.items() if known == name) for name in held}
    layout = plan_safetensors(
        [
            OutTensor(name, str(each.dtype).removeprefix("torch."), tuple(each.shape), others[name])
            for name, each in held.items()
        ],
        {},
    )
    parts: list[tuple[int, bytes | Tensor]] = [
        (piece.offset, piece.content) for piece in layout.files[0].pieces if isinstance(piece.content, bytes)
    ]
    parts += [(slot.offset, each) for slot, each in zip(layout.slots, held.values(), strict=True)]
    for _, part in sorted(parts, key=lambda part: part[0]):
        yield part if isinstance(part, bytes) else _plain(part).reshape(-1).view(torch.uint8).numpy().tobytes()


def _plain(gradient: Tensor) -> Tensor:
    """All of it, on the processor, contiguous and dense: what a file can hold."""
    gradient = whole_of(gradient)
    dense = gradient.detach().to_dense() if gradient.layout != torch.strided else gradient.detach()
    return dense.cpu().resolve_conj().resolve_neg().contiguous()


def compare_gradients(
    gradients: Gradients, path: str, tolerance: float, aliases: Mapping[str, str] | None = None
) -> list[GradientChange]:
    """What differs from the gradients in a file.

    Args:
        gradients: Of this run, by canonical name.
        path: Of the file, in any format whose values can be read.
        tolerance: Largest norm of a difference, relative to the norm in the file.
        aliases: Other name of a tied parameter -> canonical name: no gradient of their own.

    Raises:
        ParamInspectError: The file cannot be read.
    """
    try:
        checkpoint = open_source(path)
        reader, stored = StoredTensors(), by_name(checkpoint)
        changes = []
        for name, held in gradients.items():
            record, gradient = stored.get(name), None if held is None else whole_of(held)
            if record is None or gradient is None:
                changes += _one_sided(name, gradient, record.shape if record is not None else None)
                continue
            if record.shape != tuple(gradient.shape):
                changes.append(
                    GradientChange(name, "shape", shape_text(record.shape or ()), shape_text(gradient.shape))
                )
                continue
            change = _compare(name, reader.read(record).to(gradient.device), gradient, tolerance)
            changes += [] if change is None else [change]
    except ParamInspectError as error:
        error.source = error.source or path
        raise
    known = gradients.keys() | (aliases or {}).keys()
    places = {_place(stored[name]) for name in known if name in stored}
    extra = [name for name, record in stored.items() if name not in known and _place(record) not in places]
    return changes + [GradientChange(name, "removed", shape_text(stored[name].shape or ())) for name in extra]


def _place(record: TensorRecord) -> tuple[int, int, tuple[int, ...] | None]:
    """Equal for two names of one tensor in a file."""
    return id(record.storage), record.offset, record.shape


def _one_sided(name: str, gradient: Tensor | None, shape: tuple[int, ...] | None) -> list[GradientChange]:
    if gradient is not None:
        return [GradientChange(name, "added", after=shape_text(gradient.shape))]
    return [] if shape is None else [GradientChange(name, "removed", before=shape_text(shape))]


def _compare(name: str, before: Tensor, after: Tensor, tolerance: float) -> GradientChange | None:
    wide = torch.promote_types(before.dtype, after.dtype)
    one, other = before.to(wide), after.to(wide)
    if torch.equal(one, other):
        return None
    difference = other - one
    norm, distance = norm_of(one), norm_of(difference)
    if math.isfinite(distance) and distance <= tolerance * norm:
        return None
    return GradientChange(
        name,
        "values",
        f"{norm:.6g}",
        f"{norm_of(other):.6g}",
        float(difference.abs().max()),
        distance / norm if norm else None,
        angle(one, other),
    )
