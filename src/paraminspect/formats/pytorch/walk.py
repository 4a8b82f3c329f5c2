"""From the object of a pickle to named tensors: dotted paths through dictionaries, lists and modules.

Names are those that `state_dict()` and `named_parameters()` give. A pickled `nn.Module` is known by its `_parameters`,
`_buffers` and `_modules`, whatever its class. The walk visits every path, so that a tensor under two names is found
twice; cycles are cut, and repeated visits are bounded, so that 10^30 paths to one tensor are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeGuard

from paraminspect.errors import LimitExceededError
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.pickles.inert import Global, OddKey, Opaque, StorageRef, TensorValue, ValueEncoding
from paraminspect.formats.pytorch.classify import LONGEST_GENERATOR_KEY, kind_of, role_of_key
from paraminspect.formats.pytorch.known_names import is_packed, known_names
from paraminspect.formats.shapes import MAX_NAME_BYTES, MAX_TENSORS
from paraminspect.records import Classes, Encoding, Kind, Quantizer, Role, Storage, TensorRecord
from paraminspect.tuples import NamedTuple

MAX_NESTING: Final = 400
"""Containers inside each other."""

MAX_REPEATED: Final = 300_000
"""Entries of containers that are visited again, because a second path leads to them."""

MAX_NAMES_TEXT: Final = 256 << 20
"""Characters of all names together, those of containers included."""

Resolve = Callable[[StorageRef], Storage]
Convert = Callable[[Opaque], object]


class Place(NamedTuple):
    """Where the walk stands (a named tuple, since one is made for each container).

    Attributes:
        prefix: Dotted path to here, with the dot that follows it.
        depth: Containers passed on the way.
        role: Of what is found below.
        part: First key of a nested checkpoint.
        kind: Of a tensor found here, if the module says so.
        module_type: Class of the module that owns it.
        inside_module: Below a module keys mean nothing special.
        owner: Number of the module that owns a tensor found here; 0 if none does.
        around: Classes of the modules that this one is inside of.
        within: The same and its own: of those that one is inside of that stands here.
    """

    prefix: str = ""
    depth: int = 0
    role: Role = "model"
    part: str = ""
    kind: Kind | None = None
    module_type: str | None = None
    inside_module: bool = False
    owner: int = 0
    around: tuple[str, ...] = ()
    within: tuple[str, ...] = ()

    def inside(self, module_type: str, owner: int) -> Place:
        """In a module that stands here."""
        within = Classes((module_type,), self.within).inside(()).around
        around = self.within
        return self._replace(module_type=module_type, inside_module=True, owner=owner, around=around, within=within)


def name_tensors(root: object, resolve: Resolve, convert: Convert | None = None) -> list[TensorRecord]:
    """All tensors below `root`, depth first, in the order of the file.

    Args:
        root: An inert value.
        resolve: Gives the storage record for a storage; the same object for the same key.
        convert: Gives the tensor value that an opaque object stands for, or the object itself.

    Raises:
        LimitExceededError: Too deep, too many entries, names too long.
    """
    if convert is not None and isinstance(root, Opaque):
        root = convert(root)
    if isinstance(root, TensorValue):
        return [_record("", root, Place(), resolve)]
    return _Walk(resolve, convert).run(root)


def beside_tensors(root: object) -> object:
    """The object of a pickle without the tensors that are its own entries; None if nothing is left, and of a module.

    A state dict is nothing else, and what is kept of it would take memory.
    """
    if type(root) is not dict:
        return root if isinstance(root, Opaque) and not any("_modules" in state for state in _states(root)) else None
    return {key: item for key, item in root.items() if type(item) is not TensorValue} or None


class _Walk:
    def __init__(self, resolve: Resolve, convert: Convert | None) -> None:
        self._resolve = resolve
        self._convert = convert
        self._records: list[TensorRecord] = []
        self._seen: set[int] = set()
        self._repeated = 0
        self._text = 0

    def run(self, root: object) -> list[TensorRecord]:
        on_path: set[int] = set()
        stack: list[tuple[int, Iterator[tuple[str, object, Place]]]] = []
        self._enter(root, Place(), on_path, stack)
        convert = self._convert
        while stack:
            identity, entries = stack[-1]
            for name, value, place in entries:
                self._text += len(name)
                if self._text > MAX_NAMES_TEXT:
                    raise LimitExceededError("characters of names", limit=MAX_NAMES_TEXT, actual=None)
                found = value
                if type(value) is not TensorValue and convert is not None and isinstance(value, Opaque):
                    found = convert(value)
                if type(found) is TensorValue:
                    self._add(name, found, place, id(value))
                elif self._enter(found, _below(name, place), on_path, stack):
                    break
            else:
                stack.pop()
                on_path.discard(identity)
        return self._records

    def _add(self, name: str, value: TensorValue, place: Place, identity: int) -> None:
        if value.layout == "chunked" and hasattr(value, "wrapped") and self._add_wrapped(name, value, place, identity):
            return
        self._records.append(_record(name, value, place, self._resolve, identity))
        if len(self._records) > MAX_TENSORS:
            raise LimitExceededError("tensors in one file", limit=MAX_TENSORS, actual=None)

    def _add_wrapped(self, name: str, value: TensorValue, place: Place, identity: int) -> bool:
        """The tensors that one of a wrapper subclass is made of; False if it has none of its own."""
        from paraminspect.formats.quantised.torchao import Wrapped, describe

        kind, attributes = value.wrapped
        if place.depth > MAX_NESTING:
            raise LimitExceededError("levels of nesting", limit=MAX_NESTING, actual=None)
        inner = {key: each for key, each in attributes.items() if type(each) is TensorValue}
        self._count_repeats(attributes, len(inner))
        own = {key: _record(f"{name}.{key}", each, place, self._resolve) for key, each in inner.items() if each.storage}
        told = {key: each for key, each in attributes.items() if key not in inner}
        logical = describe(Wrapped(kind, name, own, told, value.shape, value.dtype, is_one=True))
        if logical is None:
            for key, each in inner.items():
                self._text += len(name) + len(key)
                self._add(f"{name}.{key}", each, _below(name, place)._replace(kind=place.kind), id(each))
            return bool(inner)
        whole = _record(name, value, place, self._resolve, identity)
        (what, main), *rest = logical.parts
        main = main._replace(name=name, kind=whole.kind, trainable=whole.trainable, identity=whole.identity)
        self._records.append(main._replace(encoding=Encoding(logical=logical._replace(parts=((what, main), *rest)))))
        self._records += [record._replace(role="part") for _, record in rest]
        return True

    def _enter(
        self,
        value: object,
        place: Place,
        on_path: set[int],
        stack: list[tuple[int, Iterator[tuple[str, object, Place]]]],
    ) -> bool:
        """Begin with the entries of a container; False if it is none, or if it contains itself."""
        identity = id(value)
        entries = self._entries(value, place)
        if entries is None or identity in on_path:
            return False
        if place.depth > MAX_NESTING:
            raise LimitExceededError("levels of nesting", limit=MAX_NESTING, actual=None)
        if len(place.prefix) > MAX_NAME_BYTES:
            raise LimitExceededError("characters in one name", limit=MAX_NAME_BYTES, actual=len(place.prefix))
        on_path.add(identity)
        stack.append((identity, entries))
        return True

    def _count_repeats(self, value: object, entries: int) -> None:
        if id(value) not in self._seen:
            self._seen.add(id(value))
            return
        self._repeated += entries + 1
        if self._repeated > MAX_REPEATED:
            raise LimitExceededError("paths to the same nested containers", limit=MAX_REPEATED, actual=None)

    def _entries(self, value: object, place: Place) -> Iterator[tuple[str, object, Place]] | None:
        if isinstance(value, dict):
            self._count_repeats(value, len(value))
            return _dict_entries(value, place)
        if isinstance(value, list | tuple):
            self._count_repeats(value, len(value))
            return _list_entries(value, place)
        if isinstance(value, Opaque):
            self._count_repeats(value, 0)
            for part in _parts(value):
                self._count_repeats(part, len(part))
            return _object_entries(value, place)
        return None


def _below(name: str, place: Place) -> Place:
    return Place(
        f"{name}.", place.depth + 1, place.role, place.part, None, None, place.inside_module, 0, (), place.within
    )


_TABLES: Final = ("_parameters", "_buffers", "_modules")
"""Attributes of a module whose entries have no name of the table in theirs."""

_HOLDERS: Final = (TensorValue, dict, list, tuple, Opaque)


TAKEN: Final = TensorValue(None, 0, (), (), "", 0)
"""Stands in the outermost dictionary for a tensor that has its record, whose memory is wanted for the next one."""


def _dict_entries(value: dict[object, object], place: Place) -> Iterator[tuple[str, object, Place]]:
    """Near the top of a training checkpoint the keys say what stands below; elsewhere they are names."""
    prefix = place.prefix
    is_outermost = not place.depth and not place.inside_module
    place = _in_optimizer(value, place)
    keys_speak = place.depth < 2 and not place.inside_module and place.role == "model"
    for key, item in value.items():
        is_tensor = type(item) is TensorValue
        if not is_tensor and not isinstance(item, _HOLDERS):
            continue
        text = key if type(key) is str else _key_text(key)
        here = place
        if keys_speak and (not is_tensor or len(text) <= LONGEST_GENERATOR_KEY):
            role = role_of_key(text, holds_tensor=is_tensor)
            if role is not None or not (is_tensor or place.part):
                part = place.part if is_tensor or place.part else text
                here = Place(prefix, place.depth, role or place.role, part)
        yield prefix + text, item, here
        if is_outermost and _is_plain(item):
            value[key] = TAKEN


def _is_plain(value: object) -> bool:
    """Whether it is a tensor of which there is nothing to know but what its record says."""
    return type(value) is TensorValue and value.layout == "strided" and value.state is None


def _in_optimizer(value: dict[object, object], place: Place) -> Place:
    """The place inside an optimizer, if these are its state dict or its attributes."""
    if not place.inside_module and "param_groups" in value and "state" in value:
        return Place(place.prefix, place.depth, "optimizer", place.part)
    return place


def _key_text(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, OddKey):
        return key.text
    return f"<{key.class_name or 'object'}>" if isinstance(key, Opaque) else "<object>"


def _list_entries(value: list[object] | tuple[object, ...], place: Place) -> Iterator[tuple[str, object, Place]]:
    prefix = place.prefix
    for index, item in enumerate(value):
        if isinstance(item, _HOLDERS):
            yield f"{prefix}{index}", item, place


def _named_entries(
    items: list[object] | tuple[object, ...], names: Mapping[int, str], place: Place
) -> Iterator[tuple[str, object, Place]]:
    """The items under the names that they have in a state dict, else under their numbers."""
    for index, item in enumerate(items):
        if isinstance(item, _HOLDERS):
            name = names.get(index, str(index))
            yield f"{place.prefix}{name}" if name else place.prefix[:-1], item, place


def _parts(value: Opaque) -> Iterator[dict[object, object] | list[object] | tuple[object, ...]]:
    """All containers whose entries are listed as those of the object itself."""
    yield _constructor_items(value)
    yield _stated_items(value)
    for state in _states(value):
        yield state
        for key in _TABLES:
            table = state.get(key)
            if isinstance(table, dict):
                yield table
    if value.entries:
        yield value.entries
    if value.items:
        yield value.items


def _states(value: Opaque) -> list[dict[object, object]]:
    """The `__dict__` of an object, and its slots; empty of one whose class writes something else."""
    states = value.state if _has_slots(value.state) else (value.state,)
    return [state for state in states if isinstance(state, dict)]


def _has_slots(state: object) -> TypeGuard[tuple[object, ...]]:
    """Whether it is (`__dict__`, slots), as Python itself writes it."""
    return (
        isinstance(state, tuple) and len(state) == 2 and all(part is None or isinstance(part, dict) for part in state)
    )


def _stated_items(value: Opaque) -> list[object] | tuple[object, ...]:
    """What a class with a `__getstate__` of its own writes, where it is no dictionary."""
    state = value.state
    if isinstance(state, list | tuple) and not _has_slots(state):
        return state
    return (state,) if isinstance(state, TensorValue | Opaque) else ()


def _constructor_items(value: Opaque) -> tuple[object, ...]:
    """The items of a named tuple, which are its arguments, or of another tuple class, which are its first argument."""
    if not isinstance(value.func, Global) or not isinstance(value.args, tuple):
        return ()
    first = value.args[0] if value.args else None
    alone = len(value.args) == 1 or (len(value.args) == 2 and value.args[1] == {})  # torch.return_types add a {}
    return first if isinstance(first, tuple) and alone else value.args


def _object_entries(value: Opaque, place: Place) -> Iterator[tuple[str, object, Place]]:
    """A module's tensors in the order of `state_dict()`, then its other attributes; any other object's attributes."""
    if value.class_name.startswith("numpy"):
        return  # an array that the pickle holds is no tensor
    names = known_names(value.class_name)
    yield from _named_entries(_constructor_items(value), names.arguments, place)
    yield from _named_entries(_stated_items(value), names.state, place)
    for state in _states(value):
        if isinstance(state.get("_modules"), dict) and isinstance(state.get("_parameters"), dict):
            yield from _module_entries(state, place, value.class_name)
        else:
            yield from _dict_entries(state, _in_optimizer(state, place)._replace(inside_module=True))
    if value.entries:
        yield from _dict_entries(value.entries, place)
    if value.items:
        yield from _list_entries(value.items, place)


def _module_entries(state: dict[object, object], place: Place, module_type: str) -> Iterator[tuple[str, object, Place]]:
    place = place.inside(module_type, id(state))
    attribute: Role = "attribute" if place.role == "model" else place.role
    unsaved: Role = "unsaved" if place.role == "model" else place.role
    buffers, passing = _part_buffers(state)
    tables: tuple[tuple[object, Place], ...] = (
        (state.get("_parameters"), place._replace(kind="parameter")),
        (buffers, place._replace(kind="buffer")),
        (passing, place._replace(kind="buffer", role=unsaved)),
        (state.get("_modules"), place),
        ({key: item for key, item in state.items() if is_packed(item)}, place),
        (_attributes(state), place._replace(kind="tensor", role=attribute)),
    )
    for table, owner in tables:
        if isinstance(table, dict):
            yield from _dict_entries(table, owner)


def _part_buffers(state: dict[object, object]) -> tuple[dict[object, object], dict[object, object]]:
    """Those that `state_dict()` has, and those that were registered with persistent=False."""
    buffers, names = state.get("_buffers"), state.get("_non_persistent_buffers_set")
    if not isinstance(buffers, dict):
        return {}, {}
    if not names or not isinstance(names, list | tuple | set | frozenset | dict):
        return buffers, {}
    passing = {name for name in names if isinstance(name, str)}
    return (
        {name: item for name, item in buffers.items() if name not in passing},
        {name: item for name, item in buffers.items() if name in passing},
    )


def _attributes(state: dict[object, object]) -> dict[object, object]:
    """What a module holds beside its tables: its tensors will not train, move or be saved."""
    return {key: item for key, item in state.items() if key not in _TABLES and not is_packed(item)}


def _record(name: str, value: TensorValue, place: Place, resolve: Resolve, identity: int = 0) -> TensorRecord:
    kind: Kind = value.kind  # type: ignore[assignment]
    if place.kind is not None:
        kind = place.kind
    elif kind == "tensor" and place.role == "model":
        kind = kind_of(name, value.shape, value.dtype)
    dtype, numel, reference = value.dtype, value.numel, value.storage
    itemsize = BITS.get(dtype, 8) >> 3
    fields = (
        name,
        value.shape,
        dtype,
        numel,
        numel * itemsize if value.nbytes is None else value.nbytes,
        kind,
        value.trainable if kind == "parameter" else None,
        place.role,
        place.part,
        place.module_type,
        value.layout,
        None if reference is None else resolve(reference),
        0 if reference is None else reference.offset + value.offset * itemsize,
        value.stride,
        (identity, place.owner) if place.owner else None,
        False,
        None if value.encoding is None else _encoding(value.encoding, resolve),
        (),
        place.around,
    )
    return tuple.__new__(TensorRecord, fields)  # what TensorRecord(*fields) does, in half the time


def _encoding(value: ValueEncoding, resolve: Resolve) -> Encoding:
    if value.sparse:
        return Encoding(sparse=tuple((name, _record(name, part, Place(), resolve)) for name, part in value.sparse))
    if value.scale is None:
        return Encoding(negated=value.negated, conjugated=value.conjugated)
    scale, zero_point = (
        _record("", each, Place(), resolve) if isinstance(each, TensorValue) else each
        for each in (value.scale, value.zero_point)
    )
    return Encoding(Quantizer(scale, zero_point, value.axis))
