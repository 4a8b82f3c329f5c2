"""ONNX models: the tensors of a graph, from the protobuf itself, with nothing but headers read.

A file is one `ModelProto` (see `protobuf` for how fields are written), with these numbers of fields:

    ModelProto      1 ir_version, 2 producer_name, 3 producer_version, 4 domain, 5 model_version, 7 graph,
                    8 opset_import, 14 metadata_props, 20 training_info, 25 functions
    GraphProto      1 node, 2 name, 5 initializer, 11 input, 15 sparse_initializer
    NodeProto       1 input, 2 output, 4 op_type, 5 attribute, 7 domain
    AttributeProto  1 name, 2 f, 3 i, 4 s, 5 t, 6 g, 7 floats, 8 ints, 9 strings, 11 graphs, 22 sparse_tensor
    TensorProto     1 dims, 2 data_type, 4 float_data, 5 int32_data, 6 string_data, 7 int64_data, 8 name, 9 raw_data,
                    10 double_data, 11 uint64_data, 13 external_data, 14 data_location
    SparseTensor    1 values, 2 indices, 3 dims
    FunctionProto   1 name, 7 node

Tensors are the initializers and the values of `Constant` nodes, those of sub-graphs (bodies of If, Loop, Scan) and of
functions too. The bytes are in `raw_data`, little-endian; or in the typed field of the element type, whose numbers are
packed or not; or in another file (`external_data`: location, offset, length), which must lie in the folder of the model.
Integers of 4 bits lie two to a byte, the lower half first, those of 2 bits four to a byte.

Of tensors with the same content torch's exporter keeps one and makes the others the outputs of `Identity` nodes: such a
name is declared to be another one of that tensor.

ONNX does not say what is a parameter. All are "tensor", but for those whose names leave no doubt and for `int64` and
`bool`, which are shapes, axes, indices and masks that no optimizer trains: these are "buffer".

Source:
    onnx/onnx.proto of onnx 1.23 (IR version 13), which fixes numbers of fields and of element types;
    docs/ExternalData.md. No protobuf library is used: it would read the whole file into memory, weights included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError
from paraminspect.files.blob import Blob
from paraminspect.formats.declared import MAX_DECLARED, with_declared
from paraminspect.formats.onnx.external import ExternalData
from paraminspect.formats.onnx.protobuf import BYTES, MANY, VARINT, read_fields, read_varint
from paraminspect.formats.onnx.shortcut import OnnxShortcut
from paraminspect.formats.onnx.tensors import (
    MAX_ONNX_PROPERTIES,
    NEVER_TRAINED,
    VALUES,
    Tensor,
    make_record,
    parse_sparse,
    parse_tensor,
    parse_value,
    read_pair,
    read_text,
)
from paraminspect.formats.pytorch.classify import kind_of
from paraminspect.formats.shapes import MAX_TENSORS
from paraminspect.limits import ENTRIES, ONE_RECORD, effort
from paraminspect.records import Checkpoint, Declaration, Kind, TensorRecord
from paraminspect.text import counted

MAX_ONNX_NODES: Final = 4_000_000
"""Nodes of all graphs of one ONNX file; the largest exports have some 100,000."""

MAX_ONNX_DEPTH: Final = 32
"""Graphs inside graphs; the libraries of protobuf refuse what is deeper than 100 messages, three for each of these."""

MAX_TEXT: Final = 4096
"""Bytes of a producer, a domain or a property that are kept."""

_MODEL_FIELDS: Final = {
    1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES, 14: BYTES, 20: BYTES, 25: BYTES,
    26: BYTES,
}  # fmt: skip
_TEXTS: Final = {2: "producer_name", 3: "producer_version", 4: "domain"}
_GRAPH_STARTS: Final = b"\x0a\x12\x2a\x52\x5a\x62\x6a\x72\x7a\x82"
MAX_IR_VERSION: Final = 100
MAX_PRODUCER: Final = 1024


def is_onnx(head: bytes, _size: int = 0) -> bool:
    """Whether a file begins like a model: there is no magic, so each field up to the graph must make sense.

    Other protobuf files (of TensorFlow, Core ML) begin with a version as well, and differ in what follows.

    Args:
        head: The first bytes, or all of them.
    """
    if len(head) < 4 or head[0] != 0x08:
        return False
    at, seen = 0, 0
    try:
        while at < len(head):
            tag, at = read_varint(head, at)
            number, wire = tag >> 3, tag & 7
            if _MODEL_FIELDS.get(number) != wire:
                return False
            value, at = read_varint(head, at)
            if number == 1 and not 1 <= value <= MAX_IR_VERSION:
                return False
            if number == 7:
                return seen > 0 and head[at : at + 1] in (b"", *(bytes([start]) for start in _GRAPH_STARTS))
            if number in _TEXTS and not (value <= MAX_PRODUCER and _is_printable(head[at : at + value])):
                return False
            at += value if wire == BYTES else 0
            seen += 1
    except IndexError:  # the head ends inside a field
        return seen > 0
    except MalformedError:
        return False
    return seen > 1


def _is_printable(text: bytes) -> bool:
    return text.decode("utf-8", "replace").isprintable()


def read_onnx(blob: Blob) -> Checkpoint:
    """Initializers and constants, in the order of the file; those of a function begin with its name and a dot.

    Returns:
        Packed integers have the layout "packed". What lies in a typed field as varints, or in several parts, has an
        `encoding` that says where; it is decoded when its values are read.

    Raises:
        TruncatedError: The file, or one of external data, ends before what it declares.
        MalformedError: It contradicts its format: data of another size than the shape, external data outside the folder.
        CheckpointError: A file of external data is missing.
        LimitExceededError: Nodes, tensors, names or sub-graphs past their bounds.
    """
    model = _Model(blob)
    model.read()
    declared = model.declared()
    tensors = with_declared(model.tensors, declared)
    return Checkpoint(
        "onnx",
        [each._replace(kind=_kind(each)) if each.declared else each for each in tensors] if declared else tensors,
        model.metadata,
        tuple(model.notes()),
        nbytes=blob.size + model.external.nbytes,
        files=() if blob.path is None else (blob.path, *model.external.files),
        declared=declared,
        unused=model.external.count_unused(model.tensors),
        version=model.metadata.get("ir_version", ""),
    )


class _Model:
    """Collects what one file holds."""

    def __init__(self, blob: Blob) -> None:
        self.tensors: list[TensorRecord] = []
        self.metadata: dict[str, str] = {}
        self.external = ExternalData(blob.path)
        self._blob = blob
        self._shortcut = OnnxShortcut(blob)
        self._nodes = 0
        self._inputs: set[str] = set()
        self._same: list[tuple[str, str]] = []
        self._left_out: dict[str, int] = {}
        self._ir_version = 0

    def read(self) -> None:
        """The whole file."""
        opsets: list[str] = []
        graphs = 0
        for number, wire, at, size in read_fields(self._blob, 0, self._blob.size):
            if _MODEL_FIELDS.get(number, wire) != wire:
                raise MalformedError(f"field {number} of the model has wire type {wire}")
            if number == 1:
                self._ir_version = size
                self.metadata["ir_version"] = str(size)
            elif number in _TEXTS:
                self._describe(_TEXTS[number], read_text(self._blob, at, size))
            elif number == 7:
                graphs += 1
                self._read_graph(at, size, "", 0)
            elif number == 8:
                opsets.append(self._opset(at, size))
            elif number == 14:
                self._read_property(at, size)
            elif number == 20:
                self._leave_out("graph for training")
            elif number == 25:
                self._read_function(at, size)
        effort().spend(ENTRIES, len(self.tensors) % MANY * ONE_RECORD)
        if not graphs:
            raise MalformedError("the file has no graph, which every ONNX model has")
        if opsets:
            self.metadata["opset_import"] = ", ".join(opsets[:MAX_ONNX_PROPERTIES])

    def notes(self) -> Iterator[str]:
        if self._left_out:
            yield "not listed: " + ", ".join(counted(count, what) for what, count in self._left_out.items())
        if self.external.unknown:
            yield f"values of {counted(self.external.unknown, 'tensor')} lie in other files, beside a model that is named by its path"
        if self._ir_version >= 4:  # before, every initializer was an input
            both = sum(record.name in self._inputs for record in self.tensors) if self._inputs else 0
            if both:
                yield f"inputs of the graph too, so that a caller may replace them: {counted(both, 'tensor')}"

    def declared(self) -> tuple[Declaration, ...]:
        """Outputs of Identity nodes whose input is a tensor; nodes stand behind what they need."""
        kept = {record.name: record.name for record in self.tensors} if self._same else {}
        found = []
        for alias, name in self._same:
            if name in kept and alias not in kept:
                kept[alias] = kept[name]
                found.append(Declaration(alias, kept[name], "Identity node"))
        return tuple(found)

    def _leave_out(self, what: str) -> None:
        self._left_out[what] = self._left_out.get(what, 0) + 1

    def _describe(self, key: str, text: str) -> None:
        if text and len(self.metadata) < MAX_ONNX_PROPERTIES:
            self.metadata[key] = text[:MAX_TEXT]

    def _opset(self, at: int, size: int) -> str:
        domain, version = "", 0
        for number, wire, place, value in read_fields(self._blob, at, at + size):
            if number == 1 and wire == BYTES:
                domain = read_text(self._blob, place, value)[:MAX_TEXT]
            elif number == 2:
                version = value
        return f"{domain or 'ai.onnx'} {version}"

    def _read_property(self, at: int, size: int) -> None:
        key, text = read_pair(self._blob, at, size)
        self._describe(f"metadata_props.{key[:MAX_TEXT]}", text)

    def _read_graph(self, at: int, size: int, prefix: str, depth: int) -> None:
        if depth > MAX_ONNX_DEPTH:
            raise LimitExceededError("levels of sub-graphs", limit=MAX_ONNX_DEPTH, actual=None)
        blob = self._blob
        for number, wire, place, length in read_fields(blob, at, at + size):
            if wire != BYTES:
                continue
            if number == 5:
                usual = self._shortcut.record(place, length, prefix)
                if usual is not None:
                    self._keep(usual)
                else:
                    self._add(parse_tensor(blob, place, length), prefix)
            elif number == 1:
                self._read_node(place, length, prefix, depth)
            elif number == 15:
                self._keep(parse_sparse(blob, place, length, prefix))
            elif number == 11 and depth == 0:
                self._inputs.add(self._first_text(place, length))
            elif number == 2 and not depth and not prefix:
                self._describe("graph", read_text(self._blob, place, length))

    def _first_text(self, at: int, size: int) -> str:
        """Field 1 of a message, "" if it is no text."""
        for number, wire, place, length in read_fields(self._blob, at, at + size):
            if number == 1 and wire == BYTES:
                return read_text(self._blob, place, length)
        return ""

    def _read_function(self, at: int, size: int) -> None:
        name, nodes = "", []
        for number, wire, place, length in read_fields(self._blob, at, at + size):
            if wire == BYTES and number == 1:
                name = read_text(self._blob, place, length)
            elif wire == BYTES and number == 7:
                nodes.append((place, length))
                if len(nodes) > MAX_ONNX_NODES:
                    raise LimitExceededError("nodes", limit=MAX_ONNX_NODES, actual=None)
        for place, length in nodes:
            self._read_node(place, length, f"{name}.", 0)

    def _read_node(self, at: int, size: int, prefix: str, depth: int) -> None:
        """The value of a Constant, and the graphs that a node has as attributes."""
        self._nodes += 1
        if self._nodes > MAX_ONNX_NODES:
            raise LimitExceededError("nodes", limit=MAX_ONNX_NODES, actual=None)
        op_type = output = domain = b""
        first: tuple[int, int] | None = None
        attributes: list[tuple[int, int]] = []
        blob = self._blob
        for number, wire, place, length in read_fields(blob, at, at + size):
            if wire != BYTES:
                continue
            if number == 5:
                attributes.append((place, length))
            elif number == 4:
                op_type = blob.read_near(place, min(length, MAX_TEXT))
            elif number == 7:
                domain = blob.read_near(place, min(length, MAX_TEXT))
            elif number == 1 and first is None:
                first = place, length
            elif number == 2 and not output:
                output = read_text(self._blob, place, length).encode()
        if op_type == b"Identity" and first is not None and output and not domain:
            if len(self._same) == MAX_DECLARED:
                raise LimitExceededError("names that are the same tensor", limit=MAX_DECLARED, actual=None)
            self._same.append((prefix + output.decode(), prefix + read_text(blob, *first)))
        if attributes:
            constant = op_type == b"Constant" and domain in (b"", b"ai.onnx")
            for place, length in attributes:
                self._read_attribute(place, length, output.decode() if constant else None, prefix, depth)

    def _read_attribute(self, at: int, size: int, output: str | None, prefix: str, depth: int) -> None:
        """One attribute; `output` is the name of a Constant's value, None of other nodes."""
        blob = self._blob
        plain: set[int] = set()
        for number, wire, place, length in read_fields(blob, at, at + size):
            if number in (6, 11) and wire == BYTES:
                self._read_graph(place, length, prefix, depth + 1)
            elif number in (5, 10) and wire == BYTES:
                tensor = parse_tensor(blob, place, length)
                if output is not None and number == 5:
                    self._add(tensor._replace(name=output), prefix)
                elif tensor.numel > 1:
                    self._leave_out("attribute tensor")
            elif output is not None and number == 22 and wire == BYTES:
                self._keep(parse_sparse(blob, place, length, prefix)._replace(name=prefix + output))
            elif output is not None and number in (2, 3, 4, 7, 8, 9):
                plain.add(number)
        for number in sorted(plain):
            if number in VALUES and output is not None:
                self._add(parse_value(blob, at, size, number, output), prefix)
            else:
                self._leave_out("text constant")

    def _add(self, tensor: Tensor, prefix: str) -> None:
        if tensor.is_text:
            self._leave_out("text tensor")
            return
        record = make_record(self._blob, tensor, prefix, self.external)
        self._keep(record._replace(kind=_kind(record)))

    def _keep(self, record: TensorRecord) -> None:
        if len(self.tensors) == MAX_TENSORS:
            raise LimitExceededError("tensors in one file", limit=MAX_TENSORS, actual=None)
        self.tensors.append(record)
        if not len(self.tensors) % MANY:
            effort().spend(ENTRIES, MANY * ONE_RECORD)


def _kind(record: TensorRecord) -> Kind:
    return "buffer" if record.dtype in NEVER_TRAINED else kind_of(record.name, record.shape, record.dtype)
