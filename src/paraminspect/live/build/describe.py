"""A live model's tensors as records: parameters, buffers, and tensors that torch does not know of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.parameter import is_lazy

from paraminspect.errors import LimitExceededError, SelectionError
from paraminspect.names.attributes import find_lost
from paraminspect.names.listing import make_listing
from paraminspect.names.suggestions import closest
from paraminspect.records import Classes, Kind, Role, Storage, TensorRecord
from paraminspect.text import counted, list_some

MAX_MODULE_PATHS: Final = 200_000
"""Names that modules go by, a shared one counted at every use: containers that hold one shared module twice, inside
each other, have 2^depth of them, and torch walks every one."""

MAX_MODULE_NESTING: Final = 300
"""Modules inside each other in a factory's model; forward and printing recurse."""

MAX_NOTES: Final = 9
"""Attributes that notes name."""

_LAYOUTS = {torch.strided: "strided", torch.sparse_coo: "sparse_coo", torch.sparse_csr: "sparse_csr"}

QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")
"""Packages of layers that torch's quantisation puts in the place of others."""

_OWN_ATTRIBUTES = frozenset(vars(nn.Module()))
"""What every module has: parameters, buffers, children, hooks."""


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """A tensor and where it stands.

    Attributes:
        name: Dotted.
        tensor: The object itself: one that goes by several names is met several times.
        kind: "parameter", "buffer", or "tensor" for one that is neither.
        role: "model", or "attribute" for one that is neither.
        holder: Name of the list, tuple or mapping that it lies in, if it is such an attribute; "" elsewhere.
    """

    name: str
    tensor: Tensor
    module: nn.Module
    path: str
    kind: Kind
    role: Role = "model"
    holder: str = ""


def is_meta(model: nn.Module) -> bool:
    """Whether a model has no values: its first parameter or buffer decides."""
    first = next(chain(model.parameters(), model.buffers()), None)
    return first is not None and first.is_meta


def check_size(model: nn.Module) -> None:
    """Refuse a model whose modules torch could not walk in bounded time: each name of a shared module is walked.

    Raises:
        LimitExceededError: More than MAX_MODULE_PATHS names, or nested deeper than MAX_MODULE_NESTING.
    """
    paths: dict[int, int] = {}

    def count(module: nn.Module, depth: int) -> int:
        if depth > MAX_MODULE_NESTING:
            raise LimitExceededError("modules inside each other", limit=MAX_MODULE_NESTING, actual=None)
        if id(module) not in paths:
            total = 1
            for child in module._modules.values():
                total += 0 if child is None else count(child, depth + 1)
            if total > MAX_MODULE_PATHS:
                raise LimitExceededError("names of modules", limit=MAX_MODULE_PATHS, actual=None)
            paths[id(module)] = total
        return paths[id(module)]

    count(model, 0)


def iter_tensors(model: nn.Module) -> Iterator[NamedTensor]:
    """Every tensor under every name, in the order of `state_dict()`.

    In each module: parameters, buffers, then tensors that are plain attributes, or lie in a list, tuple or mapping
    that is one, also as parameters of modules in there (none of which torch knows of); then its children.
    """
    known: dict[int, object] = {}  # holds them, so that no id is used again
    for module in model.modules():
        known.update((id(each), each) for each in [*module._parameters.values(), *module._buffers.values()])
    for path, module in model.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        for name, parameter in module._parameters.items():
            if parameter is not None:
                yield NamedTensor(prefix + name, parameter, module, path, "parameter")
        for name, buffer in module._buffers.items():
            if buffer is not None:
                yield NamedTensor(prefix + name, buffer, module, path, "buffer")
        for name, tensor, holder in _attributes(module):
            if id(tensor) not in known:
                inside = prefix + holder if holder else ""
                yield NamedTensor(prefix + name, tensor, module, path, "tensor", "attribute", inside)


def describe_model(model: nn.Module) -> list[TensorRecord]:
    """Records of all tensors of a model, in the order of `iter_tensors`.

    Tensors that share bytes have one `Storage` object, on the meta device too, where storages have no address. A
    lazy parameter that has no shape yet has shape None, numel 0 and nbytes None.

    Raises:
        LimitExceededError: Modules by too many names.
    """
    check_size(model)
    storages: dict[object, Storage] = {}
    classes = module_classes(model)
    return [_record(each, classes[each.path], storages) for each in iter_tensors(model)]


def module_classes(model: nn.Module) -> dict[str, Classes]:
    """The classes around what each module holds, by every path of it."""
    types: dict[type, tuple[str, ...]] = {}
    known: dict[str, Classes] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        cls = type(module)
        own = types.get(cls) or types.setdefault(cls, classes_of(cls))
        known[path] = known.get(path.rpartition(".")[0], known[""]).inside(own) if path else Classes(own)
    return known


def classes_of(cls: type) -> tuple[str, ...]:
    """Dotted names of a class and of those it derives from, `object` left out."""
    return tuple(f"{each.__module__}.{each.__qualname__}" for each in cls.__mro__[:-1])


def note_attributes(model: nn.Module, records: Sequence[TensorRecord]) -> list[str]:
    """A remark on each tensor, and on each list of tensors or modules, that torch does not know of.

    The tenth and later ones are only counted.

    Args:
        records: Of the model, as `describe_model` gives them.
    """
    lost = set(find_lost(records))
    groups: dict[str, list[NamedTensor]] = {}
    for index, each in enumerate(iter_tensors(model) if lost else ()):
        if index in lost:
            groups.setdefault(each.holder or each.name, []).append(each)
    notes = [_note(name, members) for name, members in groups.items()]
    more = f"{len(notes) - MAX_NOTES} more tensor attributes are neither parameter nor buffer"
    return [*notes[:MAX_NOTES], more] if len(notes) > MAX_NOTES else notes


def _note(name: str, members: Sequence[NamedTensor]) -> str:
    first = members[0]
    owner = type(first.module).__name__
    if not first.holder:
        return (
            f"{name} is a tensor attribute of {owner} that is neither parameter "
            "nor buffer: it will not train, move or be saved"
        )
    held = getattr(first.module, name.rpartition(".")[2], ())
    inside = held.values() if isinstance(held, dict) else held
    modules = any(isinstance(each, nn.Module) for each in inside)
    kept = (
        ("nn.ModuleDict" if isinstance(held, dict) else "nn.ModuleList") if modules else "nn.ParameterList or buffers"
    )
    what = f"{type(held).__name__} of {'modules' if modules else 'tensors'}"
    return (
        f"{name} is a plain {what} in {owner}: {counted(len(members), 'tensor')} in it will not train, move or be "
        f"saved, as {kept} would"
    )


def describe_views(model: nn.Module) -> dict[str, str]:
    """By name: what a parameter is of another whose bytes it has, "enc.weight (transposed)", where it is no other name of it."""
    storages: dict[object, Storage] = {}
    named = [NamedTensor(name, tensor, model, "", "parameter") for name, tensor in model.named_parameters()]
    if len({_storage(each, storages) for each in named}) == len(named):
        return {}  # as nearly always: nothing has to be described
    records = [record for record in describe_model(model) if record.kind == "parameter"]
    listing = make_listing(records, aliases=True)
    return {
        listing.records[index].name: text
        for index, text in listing.seen_as.items()
        if text != listing.tied_to.get(index)
    }


def packed_layers(model: nn.Module) -> list[str]:
    """Paths of the layers that torch's eager quantisation has converted: their weights are packed for its kernels."""
    modules = model.named_modules()
    return [
        path
        for path, each in modules
        if type(each).__module__.startswith(QUANTISED) and "Packed" not in type(each).__name__ and _packs(each)
    ]


def note_packed(model: nn.Module) -> list[str]:
    """A remark on layers whose weights no list of tensors can have."""
    found = packed_layers(model)
    if not found:
        return []
    return [f"quantised, with weights that are packed and no parameters: {list_some(found, 5)}"]


def _packs(module: nn.Module) -> bool:
    return any("packed" in name for name in vars(module)) or any("packed" in name for name in module._modules)


def find_tensor(model: nn.Module, name: str) -> NamedTensor:
    """The tensor of that name.

    Raises:
        SelectionError: There is none; with the one that was meant.
    """
    names: dict[str, None] = {}
    for each in iter_tensors(model):
        if each.name == name:
            return each
        names[each.name] = None
    inside = [known for known in names if known.startswith(f"{name}.")]
    hint = f"it is a module; its tensors are {', '.join(inside[:6])}" if inside else closest(name, names)
    raise SelectionError(f"there is no tensor {name!r}", hint=hint)


def _record(each: NamedTensor, classes: Classes, storages: dict[object, Storage]) -> TensorRecord:
    tensor = each.tensor
    trainable = tensor.requires_grad if each.kind == "parameter" else None
    dtype = str(tensor.dtype).removeprefix("torch.")
    identity = (id(tensor), id(each.module))  # the model holds both
    module_type, *bases = classes.own
    if is_lazy(tensor):
        return TensorRecord(
            each.name, None, dtype, 0, None, each.kind, trainable, each.role,
            module_type=module_type, identity=identity, module_bases=tuple(bases), module_around=classes.around,
        )  # fmt: skip
    shape = tuple(tensor.shape)
    nbytes = tensor.numel() * tensor.element_size()
    layout = _LAYOUTS.get(tensor.layout, "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch."))
    storage, stride, offset = None, None, 0
    if layout == "strided":
        storage = _storage(each, storages)
        stride, offset = tensor.stride(), int(tensor.storage_offset()) * tensor.element_size()
    return TensorRecord(
        each.name, shape, dtype, tensor.numel(), nbytes, each.kind, trainable, each.role,
        module_type=module_type, layout=layout, storage=storage, offset=offset, stride=stride,
        identity=identity, module_bases=tuple(bases), module_around=classes.around,
    )  # fmt: skip


def _storage(each: NamedTensor, storages: dict[object, Storage]) -> Storage | None:
    """The record of a tensor's bytes, one for each run of them.

    In memory an address is an identity; of tensors without values, and of empty ones, it is 0, and torch's own object is.
    """
    try:
        untyped = each.tensor.untyped_storage()
        address = 0 if each.tensor.is_meta or isinstance(each.tensor, FakeTensor) else untyped.data_ptr()
    except (NotImplementedError, RuntimeError):  # a wrapper without a storage of its own
        return None
    key = (str(each.tensor.device), address) if address else untyped._cdata
    if key not in storages:
        storages[key] = Storage(each.name, untyped.nbytes())
    return storages[key]


def _attributes(module: nn.Module) -> Iterator[tuple[str, Tensor, str]]:
    """Name, tensor, and the attribute that holds it where it is not one itself."""
    for name, value in vars(module).items():
        if name in _OWN_ATTRIBUTES:
            continue
        if isinstance(value, Tensor):
            yield name, value, ""
        elif isinstance(value, (list, tuple, dict)):
            yield from ((inner, tensor, name) for inner, tensor in _inside(name, value))


def _inside(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """Tensors one level deep, and those of modules that stand there."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, Tensor):
            yield f"{name}.{key}", item
        elif isinstance(item, nn.Module):
            for below, tensor in [*item.named_parameters(), *item.named_buffers()]:
                yield f"{name}.{key}.{below}", tensor
