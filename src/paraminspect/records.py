"""What readers return and everything else consumes: tensors and what they lie in, immutable.

Named tuples are made four times as fast as frozen dataclasses, of which a file may need 100,000, and the definition of
one takes a tenth of the time, which every start of a command pays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Literal

from paraminspect.tuples import NamedTuple

Kind = Literal["parameter", "buffer", "tensor"]
"""What a tensor is known to be; "tensor" where the file does not say (a state dict, safetensors, GGUF)."""

Role = Literal["model", "part", "optimizer", "unsaved", "attribute", "state", "copy"]
"""Where a tensor stands: in a model; there too, but as what it takes to read another tensor (scales, zero points); in an
optimizer's state; as a buffer that a state dict leaves out; as a plain attribute of a module (it will not train, move or
be saved); as other training state (random generators, schedulers, loss scalers, losses); in a second copy of the model
beside it (a moving average, a teacher that follows it)."""

OF_MODEL = ("model", "part")
"""Roles of what a model is saved with."""


NO_METADATA: Mapping[str, str] = {}

PAIRS = "float4_e2m1fn_x2"
"""torch's type of two numbers in one element."""


class Folded(NamedTuple):
    """Bytes that a file has as UTF-8, a character each: pickles of protocol 2 have no others.

    Attributes:
        begin: File offset of the text.
        nbytes: Of the text.
        skip: Characters before the first byte.
        is_swapped: Whether the bytes of each element are in big-endian order.
    """

    begin: int
    nbytes: int
    skip: int = 0
    is_swapped: bool = False


class Storage(NamedTuple):
    """One run of bytes that tensors are views of.

    Readers make one object per storage, so two tensors share bytes only if their `storage` *is* the same object.

    Attributes:
        key: Name of the storage within its file.
        nbytes: Size in bytes as the file declares it.
        path: File that holds it; None for standard input and for bytes that are nowhere (meta tensors); of a named
            pipe, the copy that its checkpoint keeps open.
        begin: File offset of the first byte; None where the bytes do not lie in the file as they are
            (compressed, in another byte order, inside a pickle, spread over several chunks).
        swapped_begin: The same where the bytes of each element are in big-endian order and `begin` is None for that.
        kept: The bytes themselves where a pickle has few of them, or how they are found in its text.
    """

    key: str
    nbytes: int
    path: str | None = None
    begin: int | None = None
    swapped_begin: int | None = None
    kept: bytes | Folded | None = None


class Quantizer(NamedTuple):
    """How the integers of torch's quantised types stand for numbers: (integer - zero_point) * scale.

    Attributes:
        scale: One for all, or a tensor with one for each index of `axis`.
        zero_point: The same.
        axis: None where there is one scale for all.
    """

    scale: float | TensorRecord
    zero_point: float | TensorRecord
    axis: int | None = None


class Piece(NamedTuple):
    """One box of a tensor that lies in pieces.

    Attributes:
        offsets: Of its first element in the whole tensor, one for each dimension.
        sizes: Of the box.
        path: The file.
        begin: Where in it a torch zip begins that holds this piece and nothing else, or its bytes.
        nbytes: Of that zip, or of the bytes.
        stored: The tensor that it is in the file; None where the zip tells.
    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    path: str
    begin: int
    nbytes: int
    stored: TensorRecord | None = None


class Stretch(NamedTuple):
    """Bytes that lie one after another in a file.

    Attributes:
        path: The file.
        begin: Of the first byte.
        nbytes: How many.
    """

    path: str
    begin: int
    nbytes: int


class Split(NamedTuple):
    """Where the elements of a tensor are that ranks have shared out: equally many bytes of each, one rank behind another.

    Attributes:
        rows: Of each rank, the stretches that are one run of bytes together; the same for many tensors.
        offset: Where in a row its part begins.
        nbytes: Of each part; behind the last element there may be padding.
    """

    rows: tuple[tuple[Stretch, ...], ...]
    offset: int
    nbytes: int


class Message(NamedTuple):
    """Where numbers are spelled out in the fields of a protobuf message.

    Attributes:
        path: The file; None for standard input.
        begin: Of the message in it.
        nbytes: Of the message.
        field: Number of the fields that hold them.
        varints: Whether they are integers of variable length, not floats of fixed length.
    """

    path: str | None
    begin: int
    nbytes: int
    field: int
    varints: bool


class Logical(NamedTuple):
    """The tensor that several stored ones stand for together: quantised weights, their scales, and what else it takes.

    Attributes:
        scheme: Name of a row of `formats.quantised.schemes`.
        label: As people call it ("gptq 4-bit").
        name: Dotted name of the tensor that is meant, which need not be stored ("q.weight" for "q.qweight").
        shape: Its shape.
        numel: Its number of elements.
        dtype: Type of its numbers, as its producer's own code gives them.
        parts: The stored tensors by what they are ("scales"), first the one whose row stands for all.
        settings: What else is known of how it is packed, such as ("bits", 4).
        problem: Why its numbers cannot be had; "" where they can.
        hint: The way out then.
        is_one: Whether the file has them as one object, under one name, which other kinds of files cannot.
    """

    scheme: str
    label: str
    name: str
    shape: tuple[int, ...]
    numel: int
    dtype: str
    parts: tuple[tuple[str, TensorRecord], ...]
    settings: tuple[tuple[str, object], ...] = ()
    problem: str = ""
    hint: str = ""
    is_one: bool = False

    @property
    def form(self) -> tuple[object, ...]:
        """What two of them have alike that are the same tensor."""
        parts = tuple((key, id(each.storage), each.offset, each.form) for key, each in self.parts)
        return self.scheme, self.shape, self.dtype, self.settings, parts


class Encoding(NamedTuple):
    """How values come from bytes, for the few tensors where type, shape and stride do not say it all.

    Attributes:
        quantizer: Of torch's quantised types.
        pieces: Of a chunked tensor.
        negated: The values are those of the bytes with the other sign.
        conjugated: The same of the imaginary parts.
        message: Of numbers that are fields of a message.
        logical: Of a tensor that stands for another one, together with others.
        split: Of a chunked tensor, where it is not in pieces.
        sparse: The stored tensors of a sparse one by torch's names ("indices", "values"), where it can be decoded.
    """

    quantizer: Quantizer | None = None
    pieces: Sequence[Piece] = ()
    negated: bool = False
    conjugated: bool = False
    message: Message | None = None
    logical: Logical | None = None
    split: Split | None = None
    sparse: tuple[tuple[str, TensorRecord], ...] = ()


class Classes(NamedTuple):
    """Of which classes the modules are that a tensor is in: dotted names, those that they derive from among them.

    Attributes:
        own: Of the module that owns it, its class first; empty where that is not known.
        around: Of all modules that one is inside of, up to the model.
    """

    own: tuple[str, ...] = ()
    around: tuple[str, ...] = ()

    def inside(self, own: tuple[str, ...]) -> Classes:
        """Those of what a module of class `own` holds, inside of this one."""
        return Classes(own, tuple(dict.fromkeys((*self.own, *self.around))))


class TensorRecord(NamedTuple):
    """One named tensor of a checkpoint.

    Attributes:
        name: Dotted name, as `named_parameters()` or the state dict gives it; "" for a tensor that is the whole file.
        shape: (d0, ..., dn) row-major, () for a scalar; None where it is ragged.
        dtype: torch's name ("float32"); a GGUF block type its own ("q4_k"); numpy's for what torch lacks ("<U3").
        numel: Number of elements; of a ragged tensor, the elements of all its rows.
        nbytes: Size in bytes as stored; None where that is not known.
        kind: What it is known to be.
        trainable: requires_grad of a parameter; None where it is not known.
        role: Where it stands in the checkpoint.
        part: First component of the path inside a nested checkpoint ("model"), "" if there is none.
        module_type: Dotted class of the module that owns it, if the file says so ("torch.nn.modules.linear.Linear").
        layout: "strided", "sparse_coo", "sparse_csr", "nested", "gguf" for blocks, "chunked" for a tensor in pieces,
            "packed" for elements of fewer than eight bits, one after another.
        storage: The bytes it is a view of; None means unknown, never tied.
        offset: Of the first element in the storage, in bytes.
        stride: In elements, as long as `shape`; None where it does not apply.
        identity: Numbers of the tensor object and of the module object that owns it: equal where a live model, or a
            pickle of one, has the same object; None where there are no objects.
        declared: Only a declaration says that it has the bytes of another tensor: it is not stored under this name.
        encoding: What else it takes to read its values; None for nearly all tensors.
        module_bases: Dotted classes that `module_type` derives from; empty where they are not known, as in any file.
        module_around: As of `Classes`.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: str
    numel: int
    nbytes: int | None
    kind: Kind = "tensor"
    trainable: bool | None = None
    role: Role = "model"
    part: str = ""
    module_type: str | None = None
    layout: str = "strided"
    storage: Storage | None = None
    offset: int = 0
    stride: tuple[int, ...] | None = None
    identity: tuple[int, int] | None = None
    declared: bool = False
    encoding: Encoding | None = None
    module_bases: tuple[str, ...] = ()
    module_around: tuple[str, ...] = ()

    @property
    def classes(self) -> Classes:
        """Those of its modules, as selectors match them."""
        own = (self.module_type, *self.module_bases) if self.module_type is not None else ()
        return Classes(own, self.module_around)

    @property
    def form(self) -> tuple[object, ...]:
        """What two names of the same bytes have alike if they hold the same values in the same places."""
        logical = self.logical
        return self.shape, self.stride, self.dtype, self.encoding if logical is None else logical.form

    @property
    def logical(self) -> Logical | None:
        """What it stands for with others; None where it stands for itself."""
        return self.encoding.logical if self.encoding is not None else None

    @property
    def sparse(self) -> tuple[tuple[str, TensorRecord], ...]:
        """The parts of a sparse tensor that can be decoded; empty of any other."""
        return self.encoding.sparse if self.encoding is not None else ()

    @property
    def as_stored(self) -> TensorRecord:
        """The record of its bytes as they are, whatever they stand for."""
        logical = self.logical
        return self if logical is None else logical.parts[0][1]._replace(name=self.name, role=self.role)

    @property
    def as_meant(self) -> TensorRecord:
        """The record of the tensor that it stands for, under that one's name; itself where it stands for itself.

        Its values are read from the same bytes.
        """
        logical = self.logical
        if logical is None:
            return self
        return self._replace(
            name=logical.name, shape=logical.shape, numel=logical.numel, dtype=logical.dtype, stride=None
        )

    @property
    def logical_shape(self) -> tuple[int, ...] | None:
        """Shape of what it stands for; None where that is its own, or not known."""
        if self.dtype == PAIRS and self.shape:
            return (*self.shape[:-1], 2 * self.shape[-1])
        return None if (logical := self.logical) is None else logical.shape

    @property
    def logical_numel(self) -> int | None:
        """Elements of what it stands for; None where it stands for itself."""
        if self.dtype == PAIRS:
            return 2 * self.numel
        return None if (logical := self.logical) is None else logical.numel

    @property
    def meant_numel(self) -> int:
        """Elements of what it stands for, itself or another."""
        logical = self.logical_numel
        return self.numel if logical is None else logical

    @property
    def encoding_label(self) -> str | None:
        """What people call its encoding; None where it stands for itself."""
        if self.dtype == PAIRS:
            return PAIRS.removesuffix("_x2")
        return None if (logical := self.logical) is None else logical.label

    @property
    def parts(self) -> tuple[TensorRecord, ...]:
        """Scales and zero points, tensors that only the reader of its values sees."""
        quantizer = self.encoding.quantizer if self.encoding is not None else None
        both = (quantizer.scale, quantizer.zero_point) if quantizer is not None else ()
        return tuple(each for each in both if isinstance(each, TensorRecord) and each.storage is not None)

    @property
    def beside(self) -> tuple[TensorRecord, ...]:
        """Stored tensors, with rows of their own, that it takes to know what this one stands for."""
        logical = self.logical
        return () if logical is None else tuple(each for _, each in logical.parts[1:])

    @property
    def byte_range(self) -> tuple[str | None, int, int] | None:
        """(path, begin, end) of the bytes from the first to the last element; None where they cannot be mapped.

        A non-contiguous tensor spans more than its `nbytes`.
        """
        storage = self.storage
        if storage is None or storage.begin is None or self.nbytes is None:
            return None
        begin = storage.begin + self.offset
        if self.stride is None or self.shape is None or not self.numel:
            return storage.path, begin, begin + self.nbytes
        itemsize = self.nbytes // self.numel
        last = sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        return storage.path, begin, begin + (last + 1) * itemsize


def stand_for_themselves(records: Sequence[TensorRecord]) -> bool:
    """Whether none of them has an `encoding_label`, or anything else in its encoding; of many, seen at once."""
    return not any(map(attrgetter("encoding"), records)) and PAIRS not in map(attrgetter("dtype"), records)


TieKind = Literal["module", "parameter", "alias", "view", "overlap", "declared", "equal"]
"""What ties several names:

    module      one module, registered under several paths
    parameter   one Parameter object, of several modules or under several names of one
    alias       the same bytes, shape and stride
    view        the same bytes, seen through another shape, stride or dtype
    overlap     some bytes in common
    declared    the file says so (metadata of safetensors, config.json)
    equal       stored apart, with the same content
"""


class TieGroup(NamedTuple):
    """Names that share bytes.

    Attributes:
        kind: Of the weakest tie among its members.
        names: Two or more, canonical (first registered) first.
        indices: Where the members stand in the records that were searched (names need not be unique).
        shape: Of the canonical tensor; None where it is ragged.
        dtype: Of the canonical tensor.
        nbytes: Size of the canonical tensor; None where that is not known.
        saved: Bytes that separate copies would take beyond those that are stored; 0 where copies are stored, None
            where it is not known.
        sources: Which of several searched checkpoints each member is from, by number; empty for one.
    """

    kind: TieKind
    names: tuple[str, ...]
    indices: tuple[int, ...]
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    nbytes: int | None = None
    saved: int | None = None
    sources: tuple[int, ...] = ()


class Declaration(NamedTuple):
    """What a file says of two of its names.

    Attributes:
        alias: The name that is given up.
        name: The name whose tensor is kept.
        origin: Where it is said: "metadata" of a safetensors file, "config.json".
        tied: Whether the two are said to be one tensor, or said not to be.
        copied: Whether the alias is stored a second time all the same, with the same bytes.
    """

    alias: str
    name: str
    origin: str
    tied: bool = True
    copied: bool = False


class Checkpoint(NamedTuple):
    """What a source holds, as its headers tell.

    Attributes:
        format: "safetensors", "torch zip", "gguf", ...; of shards, "sharded safetensors".
        tensors: In the order of the file, aliases included.
        metadata: What the file says of itself, in its own words (untrusted text).
        notes: Remarks for the user, one line each: what was odd, what was not run.
        source: What the user typed.
        nbytes: Size of all files together.
        files: Paths of the files that were read.
        declared: What it says of ties. Where an alias is not stored, `tensors` has it all the same, as `declared`.
        stored: Bytes that are there for tensors to use, without padding; None where that is not known.
        unused: Of files that hold nothing else, bytes that no tensor has, where the reader counts them itself.
        version: Of the format, as the file has it; "" where the format has none.
        root: The object of a pickle, inert, where it holds more than tensors by their names.
        kept_open: What closes the copy of a pipe when the checkpoint is gone.
        member: Of the tar that packs it, the one that it is; "" of a file by itself.
    """

    format: str
    tensors: Sequence[TensorRecord]
    metadata: Mapping[str, str] = NO_METADATA
    notes: tuple[str, ...] = ()
    source: str = ""
    nbytes: int = 0
    files: tuple[str, ...] = ()
    declared: tuple[Declaration, ...] = ()
    stored: int | None = None
    unused: int = 0
    version: str = ""
    root: object = None
    kept_open: object = None
    member: str = ""

    def __repr__(self) -> str:
        return f"Checkpoint({self.source!r}, {self.format!r}, {len(self.tensors)} tensors)"
