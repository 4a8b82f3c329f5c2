"""`torch.export.save` archives (`.pt2`): a graph as JSON, and its weights in three layouts.

Since torch 2.9 all members lie below one folder, and weights are raw bytes of storages:

    NAME/archive_format                          "pt2"
    NAME/byteorder                               "little" or "big"
    NAME/models/MODEL.json                       graph and signature, of each model in the package
    NAME/data/weights/MODEL_weights_config.json  {"config": {NAME: {path_name, is_param, use_pickle, tensor_meta}}}
    NAME/data/weights/weight_N                   a storage, or what `torch.save` wrote where `use_pickle` is set
    NAME/data/constants/MODEL_constants_config.json, tensor_N, custom_obj_N, opaque_obj_N
    NAME/data/sample_inputs/MODEL.pt             not looked at
    NAME/data/aotinductor/MODEL/...              compiled code; `weights_config.json`: {NAME: [file, shape, stride, offset]}

In 2.7 and 2.8 `data/weights/MODEL.pt` and `data/constants/MODEL.pt` are files of `torch.save`, each a dictionary. From
2.1 to 2.6 there is no folder: `serialized_exported_program.json` is the graph, `serialized_state_dict.pt` and
`serialized_constants.pt` (in 2.1 with `.json` as their extension) are such dictionaries.

What a tensor is the signature says: the input of a graph that it stands for is a parameter, a buffer (persistent or
not) or a tensor constant. Names are those of the exported module; of several models in one package each begins with
the name of its model. Classes of modules are those that the graph's nodes were traced in.

JSON and pickles are parsed; nothing is run, and custom objects are only named.

Source:
    torch/export/pt2_archive/_package.py, torch/_export/serde/schema.py and torch/export/__init__.py of torch 2.13,
    which read all three.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from paraminspect.errors import LimitExceededError, MalformedError, ParamInspectError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.files.paths import base_name
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.json_text import parse_object
from paraminspect.formats.pickles.inert import StorageRef
from paraminspect.formats.pytorch.archive import MAX_DEFLATE_RATIO, read_torch_zip
from paraminspect.formats.pytorch.classify import kind_of
from paraminspect.formats.pytorch.objects import strided_tensor
from paraminspect.formats.shapes import MAX_TENSORS, check_sizes, count_elements
from paraminspect.formats.zip_file import ZipDirectory, ZipEntry, read_zip_directory
from paraminspect.records import Checkpoint, Classes, Kind, Role, Storage, TensorRecord
from paraminspect.text import list_some, quote
from paraminspect.tuples import NamedTuple

MAX_EXPORT_JSON: Final = 128 << 20
"""Bytes of all graphs and configs of a torch.export archive; a graph of 10,000 nodes takes some 20 MB."""

MAX_EXPORT_CONTAINERS: Final = 4_000_000
"""Lists and objects in these; a node of a graph has some 50."""

MAX_EXPORT_VALUES: Final = 6_000_000
"""Commas in these: what stands in lists and objects takes memory too."""

MAX_EXPORT_PICKLES: Final = 10_000
"""Tensor subclasses of a torch.export archive, each a file of torch.save."""

MAX_NESTING: Final = 300
"""Modules inside each other whose classes are looked up."""

SHOWN_NAMES: Final = 3
"""Names that a note shows."""

SCALAR_TYPES: Final[dict[int, str]] = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16",
    29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu",
    34: "uint32", 35: "uint64",
}  # fmt: skip
"""`ScalarType` of torch._export.serde.schema."""

LAYOUTS: Final[dict[int, str]] = {
    1: "sparse_coo", 2: "sparse_csr", 3: "sparse_csc", 4: "sparse_bsr", 5: "sparse_bsc", 6: "mkldnn",
}  # fmt: skip
"""`Layout` of the same; 7 is "strided"."""

_PROGRAM: Final = "serialized_exported_program.json"
_RAW: Final = re.compile(r"[^/]+/data/(?:weights/weight|constants/tensor)_[0-9]{1,9}\Z")
_PICKLED: Final = re.compile(r"[^/]+/data/constants/(?:custom|opaque)_obj_[0-9]{1,9}\Z")
_CONFIG: Final = re.compile(r"[^/]+/data/(?:weights|constants)/.*_(?:weights|constants)_config\.json\Z", re.DOTALL)


class _Meaning(NamedTuple):
    """What a graph's signature says of a name."""

    kind: Kind
    role: Role


_PARAMETER: Final = _Meaning("parameter", "model")
_BUFFER: Final = _Meaning("buffer", "model")
_CONSTANT: Final = _Meaning("tensor", "attribute")
"""Constants are no part of the state dict: an attribute of the module that is neither, or a number in its code."""


class _Program(NamedTuple):
    """What the graph of one model tells.

    Attributes:
        meanings: Of its parameters, buffers and constants, by name.
        types: Dotted class of each module that was traced, by path.
        metadata: Versions.
    """

    meanings: Mapping[str, _Meaning]
    types: Mapping[str, str]
    metadata: Mapping[str, str]


def is_torch_export(directory: ZipDirectory) -> bool:
    return _PROGRAM in directory.entries or _find_root(directory) is not None


def is_raw_member(name: str) -> bool:
    """Whether a member of such an archive is bytes of a tensor, unless its config says that it is a pickle."""
    return _RAW.match(name) is not None


def find_pickled(directory: ZipDirectory) -> frozenset[str]:
    """Members that torch unpickles when it loads the archive, by what their names and the configs say.

    Of a config that cannot be read, any storage may be one.
    """
    reader = _Json(directory)
    found = {name for name in directory.entries if _PICKLED.match(name)}
    for name, entry in directory.entries.items():
        if _CONFIG.match(name):
            folder = name.rpartition("/")[0]
            try:
                config = reader.payloads(entry)
            except (MalformedError, LimitExceededError):
                found |= {each for each in directory.entries if is_raw_member(each)}
                continue
            found |= {f"{folder}/{item.get('path_name')}" for item in config.values() if item.get("use_pickle")}
    return frozenset(found & directory.entries.keys())


_BLOB: Final = "_weights.blob"
"""What the name of a member ends in that holds all weights in one run of bytes."""

_COMPILE_HINT: Final = (
    "name the .pt2 of torch.export.save, or compile with "
    'inductor_configs={"aot_inductor.package_constants_on_disk_format": "pickle_weights"}'
)


def read_torch_export(directory: ZipDirectory) -> Checkpoint:
    """Parameters, buffers and constants of an exported program, or of each in a package.

    Returns:
        Constants have the role "attribute". `part` is the name of the model where there are several.

    Raises:
        MalformedError: A config, signature or member is missing, contradicts itself, or is no JSON.
        UnknownFormatError: A package of compiled code only, without weights beside it.
        LimitExceededError: JSON or tensors past their bounds, and what nested pickles raise.
    """
    root = _find_root(directory)
    archive = _Archive(directory, root or "")
    if root is None:
        archive.read_program("model", _PROGRAM, _first(directory, "serialized_state_dict"), several=False)
        archive.read_dictionary(_first(directory, "serialized_constants"), constants=True)
    else:
        models = archive.names_below("models/", ".json")
        compiled = sorted({name.partition("/")[0] for name in archive.names_below("data/aotinductor/", "")})
        if not models and not compiled:
            raise MalformedError(
                "a torch.export archive without a program: it has no models/*.json", fault="missing-file"
            )
        several = len(models) + len(compiled) > 1
        for model in models:
            archive.read_model(model, several=several)
        for model in compiled:
            archive.read_compiled(model, several=several)
        if compiled and not archive.tensors:
            blobs = [name for name in directory.entries if name.endswith(_BLOB)]
            where = f"in {quote(base_name(blobs[0]))}, without names and shapes" if blobs else "in the compiled library"
            raise UnknownFormatError(f"an AOTInductor package: its weights are {where}", hint=_COMPILE_HINT)
    version = str(archive.metadata.get("schema_version", ""))
    notes = tuple(archive.notes())
    return Checkpoint(
        "torch.export", archive.tensors, archive.metadata, notes, stored=archive.stored(), version=version
    )


class _Archive:
    """Collects the tensors of one archive.

    Args:
        root: Folder of all members, with its slash; "" for the oldest layout.
    """

    def __init__(self, directory: ZipDirectory, root: str) -> None:
        self.tensors: list[TensorRecord] = []
        self._known: dict[str, Classes] = {}
        self.metadata: dict[str, str] = {}
        self._directory = directory
        self._root = root
        self._json = _Json(directory)
        self._storages: dict[str, Storage] = {}
        self._nested: dict[int, list[TensorRecord]] = {}
        self._stored = 0  # bytes of storages in members that torch.save wrote
        self._program = _Program({}, {}, {})
        self._part = ""
        self._remarks: dict[str, list[str]] = {}
        order = directory.entries.get(f"{root}byteorder")
        self._big_endian = order is not None and order.size <= 64 and directory.read(order).strip() == b"big"

    def names_below(self, folder: str, ending: str) -> list[str]:
        """What the members of a folder are called, without it and without the ending, in the order of the archive."""
        start = f"{self._root}{folder}"
        names = [name for name in self._directory.entries if name.startswith(start) and name.endswith(ending)]
        return [name[len(start) : len(name) - len(ending)] for name in names if len(name) > len(start)]

    def read_model(self, model: str, *, several: bool) -> None:
        """One exported program of a package: its weights, then its constants."""
        self.read_program(model, f"models/{model}.json", f"data/weights/{model}.pt", several=several)
        if f"{self._root}data/constants/{model}.pt" in self._directory.entries:
            self.read_dictionary(f"data/constants/{model}.pt", constants=True)
        else:
            self._read_config("data/constants/", f"{model}_constants_config.json", constants=True)

    def read_program(self, model: str, graph: str, dictionary: str, *, several: bool) -> None:
        """A graph, and the weights that go with it."""
        self._part = model if several else ""
        self._program = _read_program(self._json.load(self._entry(graph)))
        self.metadata.update(self._program.metadata)
        if f"{self._root}{dictionary}" in self._directory.entries:
            self.read_dictionary(dictionary, constants=False)
        else:
            self._read_config("data/weights/", f"{model}_weights_config.json", constants=False)

    def read_compiled(self, model: str, *, several: bool) -> None:
        """Weights that lie beside compiled code; those inside it are not looked for."""
        self._part = model if several else ""
        self._program = _Program({}, {}, {})
        folder = f"{self._root}data/aotinductor/{model}/"
        config = self._directory.entries.get(f"{folder}weights_config.json")
        if config is None:
            self._remark("compiled by AOTInductor, with weights inside the library that are not listed", model)
            return
        self._remark("compiled by AOTInductor: only the weights beside the library are listed", model)
        whole: dict[str, TensorRecord] = {}
        for name, place in self._json.load(config).items():
            file, shape, stride, offset = place if isinstance(place, list) and len(place) == 4 else [None] * 4
            if not isinstance(file, str):
                raise MalformedError(f"weights_config.json says nothing of {quote(name)} that can be understood")
            if file not in whole:
                found = self._read_nested(f"data/weights/{file}")
                if len(found) != 1 or found[0].storage is None:
                    raise MalformedError(f"{quote(file)} is not one tensor")
                whole[file] = found[0]
            storage, dtype = whole[file].storage, whole[file].dtype
            assert storage is not None
            self._add(name, _view(name, storage, dtype, offset=offset, shape=shape, stride=stride), constants=False)

    def read_dictionary(self, member: str, *, constants: bool) -> None:
        """A member that `torch.save` wrote: a dictionary of tensors."""
        for record in self._read_nested(member):
            self._add(record.name, record, constants=constants)

    def notes(self) -> Iterator[str]:
        if self._directory.duplicates:
            count = len(self._directory.duplicates)
            yield f"{count} names stand twice in the zip, and readers disagree which one counts"
        for remark, names in self._remarks.items():
            yield f"{remark}: {list_some(names, SHOWN_NAMES)}"

    def stored(self) -> int:
        """Bytes of all storages that are there, used or not."""
        entries = self._directory.entries
        raw = {name for name in entries if is_raw_member(name)}.union(self._root + member for member in self._storages)
        return self._stored + sum(entries[name].size for name in raw if entries[name].header_offset not in self._nested)

    @property
    def _prefix(self) -> str:
        return f"{self._part}." if self._part else ""

    def _remark(self, remark: str, name: str) -> None:
        self._remarks.setdefault(remark, []).append(quote(name))

    def _entry(self, name: str) -> ZipEntry:
        entry = self._directory.entries.get(self._root + name)
        if entry is None:
            raise MalformedError(f"the archive lacks {quote(name)}", fault="missing-file")
        return entry

    def _read_config(self, folder: str, file: str, *, constants: bool) -> None:
        """The tensors that one config names."""
        for name, item in self._json.payloads(self._entry(folder + file)).items():
            path, meta = item.get("path_name"), item.get("tensor_meta")
            if not isinstance(path, str):
                raise MalformedError(f"{quote(file)} does not say where {quote(name)} is")
            if meta is None:
                self._entry(folder + path)
                self._remark("custom objects, which were not run", name)
            elif item.get("use_pickle"):
                self._add_pickled(name, folder + path, meta, constants=constants)
            else:
                record = self._read_raw(name, folder + path, meta)
                default = _PARAMETER if item.get("is_param") is True else _BUFFER
                self._add(name, record, constants=constants, default=default)

    def _read_raw(self, name: str, member: str, meta: object) -> TensorRecord:
        """A tensor by its metadata, as a view of a member that is a storage."""
        storage = self._storage(member)
        dtype, shape, stride, offset, layout, trainable = _tensor_meta(name, meta)
        if layout != "strided":
            return _placeless(name, dtype, shape, layout, trainable)
        if not storage.nbytes and 0 not in shape:
            self._remark("exported without values", name)
            return _placeless(name, dtype, shape, layout, trainable)
        return _view(name, storage, dtype, offset=offset, shape=shape, stride=stride)._replace(trainable=trainable)

    def _add_pickled(self, name: str, member: str, meta: object, *, constants: bool) -> None:
        """A tensor subclass: what tensors its pickle holds, or else what its metadata say."""
        dtype, shape, _, _, _, trainable = _tensor_meta(name, meta)
        found = self._read_nested(member)
        for each in found:
            kept = each if each.trainable is not None else each._replace(trainable=trainable)
            self._add(f"{name}.{each.name}" if each.name else name, kept, constants=constants, meaning_of=name)
        if not found:
            self._remark("tensor subclasses whose bytes cannot be told", name)
            self._add(name, _placeless(name, dtype, shape, "strided", trainable), constants=constants)

    def _storage(self, member: str) -> Storage:
        """The storage that a member is; the same record for the same member, so that ties show."""
        storage = self._storages.get(member)
        if storage is None:
            entry = self._entry(member)
            if entry.size > MAX_DEFLATE_RATIO * entry.compressed_size:
                raise MalformedError(f"{quote(member)} declares {entry.size:,} bytes, which it cannot hold")
            blob = self._directory.blob
            begin = blob.begin + self._directory.data_offset(entry)
            places: tuple[int | None, int | None] = (None, begin) if self._big_endian else (begin, None)
            if entry.method or entry.encrypted:
                places = None, None
            key = member.removeprefix("data/")
            storage = self._storages[member] = Storage(key, entry.size, blob.path, *places)
        return storage

    def _read_nested(self, member: str) -> list[TensorRecord]:
        """The tensors of a member that `torch.save` wrote; each is read once."""
        entry = self._entry(member)
        found = self._nested.get(entry.header_offset)
        if found is None:
            if len(self._nested) == MAX_EXPORT_PICKLES:
                raise LimitExceededError("pickles in a torch.export archive", limit=MAX_EXPORT_PICKLES, actual=None)
            found = self._nested[entry.header_offset] = self._unpack_nested(member, entry)
        return found

    def _unpack_nested(self, member: str, entry: ZipEntry) -> list[TensorRecord]:
        directory = self._directory
        if entry.method or entry.encrypted:
            blob = Blob.from_bytes(directory.read(entry), directory.blob.path)
        else:
            blob = directory.blob.part(directory.data_offset(entry), entry.size)
        inner = read_torch_zip(read_zip_directory(blob))
        for note in inner.notes:
            self._remark(note, member)
        self._stored += inner.stored or 0
        if not entry.method and not entry.encrypted:
            return list(inner.tensors)
        kept: dict[int, Storage] = {}
        for record in inner.tensors:
            if (old := record.storage) is not None:  # its place is one in the inflated bytes, not in the file
                kept.setdefault(id(old), Storage(f"{member}!{old.key}", old.nbytes, old.path))
        return [record._replace(storage=kept.get(id(record.storage))) for record in inner.tensors]

    def _add(
        self,
        name: str,
        record: TensorRecord,
        *,
        constants: bool,
        default: _Meaning | None = None,
        meaning_of: str | None = None,
    ) -> None:
        known = self._program.meanings.get(name if meaning_of is None else meaning_of)
        fallback = default or _Meaning(record.kind if record.kind != "tensor" else _kind_by_name(record), "model")
        meaning = known or (_CONSTANT if constants else fallback)
        if len(self.tensors) == MAX_TENSORS:
            raise LimitExceededError("tensors in one archive", limit=MAX_TENSORS, actual=None)
        classes = self._classes(name.rpartition(".")[0])
        self.tensors.append(
            record._replace(
                name=self._prefix + name,
                kind=meaning.kind,
                role=meaning.role,
                trainable=record.trainable if meaning.kind == "parameter" else None,
                part=self._part,
                module_type=classes.own[0] if classes.own else None,
                module_around=classes.around,
            )
        )

    def _classes(self, path: str) -> Classes:
        """Those of what the module of that path holds."""
        known = self._known.get(path)
        if known is None:
            parts = path.split(".") if path else []
            begin = 0 if len(parts) <= MAX_NESTING else len(parts)
            paths = [".".join(parts[:length]) for length in range(begin, len(parts) + 1)]
            known = Classes()
            for each in paths:
                known = known.inside((self._program.types[each],) if each in self._program.types else ())
            self._known[path] = known
        return known


def _kind_by_name(record: TensorRecord) -> Kind:
    return kind_of(record.name, record.shape, record.dtype)


def _find_root(directory: ZipDirectory) -> str | None:
    """The folder of all members, with its slash; None if the archive has no `archive_format` of "pt2"."""
    for name, entry in directory.entries.items():
        root, slash, last = name.partition("/")
        if slash and last == "archive_format" and entry.size <= 64 and directory.read(entry).strip() == b"pt2":
            return root + slash
    return None


def _first(directory: ZipDirectory, stem: str) -> str:
    """The member of the oldest layout, which changed its extension."""
    old = f"{stem}.json"
    return old if old in directory.entries else f"{stem}.pt"


class _Json:
    """Parses the JSON members of one archive, all of them together within the bounds: members may lie on each other."""

    def __init__(self, directory: ZipDirectory) -> None:
        self._directory = directory
        self._bytes = MAX_EXPORT_JSON
        self._containers = MAX_EXPORT_CONTAINERS
        self._values = MAX_EXPORT_VALUES

    def load(self, entry: ZipEntry) -> dict[str, Any]:
        """A JSON object.

        Raises:
            MalformedError: No JSON, no object, or a key twice.
            LimitExceededError: Larger than what is left of the bounds.
        """
        text = self._directory.read(entry, self._bytes)
        self._bytes -= len(text)
        containers = text.count(b"{") + text.count(b"[")
        if containers > self._containers:
            raise LimitExceededError(
                f"lists and objects in {quote(entry.name)}", limit=self._containers, actual=containers
            )
        self._containers -= containers
        values = text.count(b",")
        if values > self._values:
            raise LimitExceededError(f"values in {quote(entry.name)}", limit=self._values, actual=values)
        self._values -= values
        return parse_object(text, quote(entry.name))

    def payloads(self, entry: ZipEntry) -> dict[str, dict[str, Any]]:
        """What a config says of each of its names."""
        config = self.load(entry).get("config")
        if not isinstance(config, dict) or not all(isinstance(item, dict) for item in config.values()):
            raise MalformedError(f"{quote(entry.name)} has no config of objects")
        return config


def _tensor_meta(name: str, meta: object) -> tuple[str, tuple[int, ...], tuple[int, ...], int, str, bool | None]:
    """dtype, shape, stride, offset, layout and requires_grad of one tensor."""
    if not isinstance(meta, dict):
        raise MalformedError(f"{quote(name)} has no tensor_meta")
    dtype = SCALAR_TYPES.get(_integer(meta.get("dtype"), name))
    if dtype is None:
        raise MalformedError(f"{quote(name)} has an element type of unknown number {meta.get('dtype')!r}"[:200])
    sizes, strides = (_integers(meta.get(key), key, name) for key in ("sizes", "strides"))
    layout = LAYOUTS.get(_integer(meta.get("layout", 7), name), "strided")
    trainable = meta.get("requires_grad")
    return (
        dtype,
        check_sizes(sizes),
        check_sizes(strides, "stride"),
        _integer(meta.get("storage_offset"), name),
        layout,
        trainable if isinstance(trainable, bool) else None,
    )


def _integers(values: object, key: str, name: str) -> list[int]:
    if not isinstance(values, list):
        raise MalformedError(f"{quote(name)} has no list of {key}")
    return [_integer(each, name) for each in values]


def _integer(value: object, name: str) -> int:
    """A number, bare or as {"as_int": 3}; of a symbolic size the one it was traced with."""
    if isinstance(value, dict):
        symbolic = value.get("as_expr")
        value = symbolic.get("hint") if isinstance(symbolic, dict) else value.get("as_int")
        value = value.get("as_int") if isinstance(value, dict) else value
    if type(value) is not int:
        raise MalformedError(f"the metadata of {quote(name)} lack a number")
    return value


def _view(name: str, storage: Storage, dtype: str, *, offset: object, shape: object, stride: object) -> TensorRecord:
    """A view of a storage, held against its size."""
    try:
        value = strided_tensor(StorageRef(storage.key, dtype, storage.nbytes), offset, shape, stride)
    except ParamInspectError as error:
        error.message = f"{quote(name)}: {error.message}"
        raise
    itemsize = BITS[dtype] // 8
    return TensorRecord(
        name,
        value.shape,
        dtype,
        value.numel,
        value.numel * itemsize,
        storage=storage,
        offset=value.offset * itemsize,
        stride=value.stride,
    )


def _placeless(name: str, dtype: str, shape: tuple[int, ...], layout: str, trainable: bool | None) -> TensorRecord:
    """A tensor whose bytes are nowhere."""
    numel = count_elements(shape)
    return TensorRecord(name, shape, dtype, numel, numel * BITS[dtype] // 8, trainable=trainable, layout=layout)


def _read_program(program: Mapping[str, Any]) -> _Program:
    """What a graph tells of names, modules and versions."""
    module = _object(program.get("graph_module"))
    graph = _object(module.get("graph"))
    metadata = {}
    if isinstance(version := program.get("torch_version"), str):
        metadata["torch_version"] = version
    schema = _object(program.get("schema_version"))
    numbers = [schema[key] for key in ("major", "minor") if type(schema.get(key)) is int]
    if numbers:
        metadata["schema_version"] = ".".join(str(number)[:20] for number in numbers)
    return _Program(dict(_meanings(_object(module.get("signature")))), _module_types(graph.get("nodes")), metadata)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


_SPECS: Final[dict[str, tuple[str, _Meaning]]] = {
    "parameter": ("parameter_name", _PARAMETER),
    "buffer": ("buffer_name", _BUFFER),
    "tensor_constant": ("tensor_constant_name", _CONSTANT),
}
"""Kinds of graph inputs that are tensors of the module, and the key of the name."""


def _meanings(signature: Mapping[str, Any]) -> Iterator[tuple[str, _Meaning]]:
    """Names and what they are; torch 2.1 has maps from inputs to names, later versions a list of inputs."""
    for key, meaning in (("inputs_to_parameters", _PARAMETER), ("inputs_to_buffers", _BUFFER)):
        for name in _object(signature.get(key)).values():
            if isinstance(name, str):
                yield name, meaning
    specs = signature.get("input_specs")
    for spec in specs if isinstance(specs, list) else ():
        for key, (named, meaning) in _SPECS.items():
            name = _object(_object(spec).get(key)).get(named)
            if isinstance(name, str):
                yield name, meaning


def _module_types(nodes: object) -> dict[str, str]:
    """Classes of modules, from the stacks of nodes: "L__self__,,pkg.Net;L__self___fc,fc,torch.nn.modules.linear.Linear"."""
    types: dict[str, str] = {}
    seen: set[str] = set()
    for node in nodes if isinstance(nodes, list) else ():
        stack = _object(_object(node).get("metadata")).get("nn_module_stack")
        if not isinstance(stack, str) or stack in seen:
            continue
        seen.add(stack)
        for frame in stack.split(";"):
            parts = frame.split(",")
            if len(parts) == 3 and "[" not in parts[1]:
                types.setdefault(parts[1], parts[2])
    return types
