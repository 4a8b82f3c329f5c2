"""Which tensors of a source rules can mean: each once, under its first name, with its further names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from paraminspect.names.listing import is_shown
from paraminspect.records import TensorRecord
from paraminspect.rules.targets import Other, Target
from paraminspect.tied.shared_bytes import find_canonical
from paraminspect.tuples import NamedTuple

_BUFFER, _ATTRIBUTE, _STATE = "buffers", "plain tensor attributes", "optimizer state"
_PART = "parts of quantised tensors"
_LAZY = "without a shape yet: run the model once, so that its lazy layers know theirs"


class Targets(NamedTuple):
    """What rules can mean and what they cannot.

    Attributes:
        targets: Parameters, each tensor once, in the order of the model.
        records: Of each target.
        tensors: The parameter that each target is, of a model in memory or on the meta device; empty of any other.
    """

    targets: tuple[Target, ...]
    others: tuple[Other, ...]
    records: tuple[TensorRecord, ...]
    tensors: tuple[Any, ...] = ()


def parameter_targets(
    records: Sequence[TensorRecord],
    padding: Mapping[str, int],
    problem: Callable[[TensorRecord], str] = lambda record: "",
) -> Targets:
    """The parameters of a model as `named_parameters()` has them, each with its further names.

    Two parameters that hold the same bytes are one, as two names of one parameter are.

    Args:
        records: Of all its tensors, with the identities of their objects.
        padding: By name of an embedding's weight, the row that stays zero.
        problem: Why no rule can change one, beyond what its record tells.
    """
    shown = [record for record in records if record.kind == "parameter"]
    names: dict[object, list[TensorRecord]] = {}
    for index, first in enumerate(find_canonical(shown)):
        identity = shown[index if first is None else first].identity
        assert identity is not None
        names.setdefault(identity[0], []).append(shown[index])
    found = [
        _target(each, _LAZY if each[0].shape is None else problem(each[0]) or _why_shared(each[0]), padding)
        for each in names.values()
    ]
    others = [
        Other(record.name, _BUFFER if record.kind == "buffer" else _ATTRIBUTE, record.classes)
        for record in records
        if record.kind != "parameter"
    ]
    return Targets(tuple(found), tuple(others), tuple(first for first, *_ in names.values()))


def checkpoint_targets(records: Sequence[TensorRecord]) -> Targets:
    """The tensors of a checkpoint that are or may be parameters; those that hold the same bytes are one."""
    shown = [record for record in records if is_shown(record)]
    names: dict[int, list[TensorRecord]] = {}
    for index, first in enumerate(find_canonical(shown)):
        names.setdefault(index if first is None else first, []).append(shown[index])
    found = [_target(each, _why_stored(each[0]), {}) for each in names.values()]
    others = tuple(Other(record.name, _what(record), record.classes) for record in records if not is_shown(record))
    return Targets(tuple(found), others, tuple(first for first, *_ in names.values()))


def _target(names: Sequence[TensorRecord], problem: str, padding: Mapping[str, int]) -> Target:
    """The target of one tensor, met by all these names."""
    record, *aliases = names
    return Target(
        record.name,
        record.shape or (),
        record.dtype,
        record.classes,
        tuple(each.name for each in aliases),
        next((padding[each.name] for each in names if each.name in padding), None),
        problem,
        tuple(each.classes for each in aliases),
    )


def _why_stored(record: TensorRecord) -> str:
    if record.layout == "gguf" or record.logical is not None:
        return f"quantised ({record.encoding_label or record.dtype})"
    if record.shape is None or record.layout not in ("strided", "chunked"):
        return "ragged" if record.shape is None else f"of layout {record.layout}"
    return _why_shared(record)


def _why_shared(record: TensorRecord) -> str:
    """Why the elements of a tensor cannot have values of their own."""
    pairs = zip(record.shape or (), record.stride or (), strict=False)
    is_expanded = any(size > 1 and not step for size, step in pairs)
    return "expanded: many of its elements are one in memory" if is_expanded else ""


def _what(record: TensorRecord) -> str:
    if record.kind == "buffer":
        return _BUFFER
    return {"attribute": _ATTRIBUTE, "part": _PART}.get(record.role, _STATE)
