"""What a pickle becomes when nothing of it is imported or called: inert values.

Plain data stays plain (str, int, float, bool, None, list, tuple, dict); everything else is one of the classes here.
Dictionaries keep their string keys; any other key becomes an `OddKey`, so that hashing is always cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from paraminspect.tuples import NamedTuple


class Global:
    """A class or function the pickle names. It is never imported.

    Attributes:
        module: Dotted module, as written.
        name: Qualified name in it, as written (may hold dots).
    """

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    @property
    def dotted(self) -> str:
        """Module and name: "torch.nn.modules.linear.Linear"."""
        return f"{self.module}.{self.name}"


class StorageType(Global):
    """A storage class of torch ("torch.FloatStorage").

    Attributes:
        dtype: The type of its elements, by torch's name.
        itemsize: Bytes of one.
    """

    __slots__ = ("dtype", "itemsize")

    def __init__(self, module: str, name: str, dtype: str, itemsize: int) -> None:
        super().__init__(module, name)
        self.dtype = dtype
        self.itemsize = itemsize


class Builder(Global):
    """A global of the allow-list with a meaning of ours: calling it makes an inert value.

    Attributes:
        build: Takes the tuple of arguments the pickle passes; raises MalformedError where they do not fit.
    """

    __slots__ = ("build",)

    def __init__(self, module: str, name: str, build: Callable[[tuple[object, ...]], object]) -> None:
        super().__init__(module, name)
        self.build = build


class Opaque:
    """An object of a class we know nothing about: what the pickle called, with what, and the state it set.

    Attributes:
        func: What was called or instantiated: a `Global`, or another inert value where the pickle plays tricks.
        args: The arguments, as a tuple; whatever stood on the stack where it was none.
        state: Last argument of BUILD, usually the instance's `__dict__`; None if there was none.
        items: What APPEND(S) put into it (a list subclass).
        entries: What SETITEM(S) put into it (a dict subclass).
    """

    __slots__ = ("args", "entries", "func", "items", "state")

    def __init__(self, func: object, args: object) -> None:
        self.func = func
        self.args = args
        self.state: object = None
        self.items: list[object] | None = None
        self.entries: dict[object, object] | None = None

    @property
    def class_name(self) -> str:
        """Dotted name of the class or function it came from, "" if that is no global."""
        return self.func.dotted if isinstance(self.func, Global) else ""


class Run(Opaque):
    """Objects of one class that stand one after another, of which only what differs is kept.

    In a dictionary a run of keys stands for all of them, and that of the values lies under it.

    Attributes:
        count: How many.
        columns: By the name of an attribute, that of each.
        is_paired: Whether they are keys or values, and stand by turns.
    """

    __slots__ = ("columns", "count", "is_paired")

    def __init__(self, func: object, count: int, columns: dict[str, list[Any]], *, is_paired: bool) -> None:
        super().__init__(func, ())
        self.count = count
        self.columns = columns
        self.is_paired = is_paired


class OddKey:
    """A dictionary key that is no string: an int, a tuple, None, an object.

    Attributes:
        text: What it is called in a dotted name, after Python's repr.
        exact: Whether the text says all: then equal texts are equal keys, else each key is one of its own.
    """

    __slots__ = ("exact", "text", "value")

    def __init__(self, value: object, text: str, exact: bool) -> None:
        self.value = value
        self.text = text
        self.exact = exact

    def __hash__(self) -> int:
        return hash(self.text) if self.exact else id(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OddKey) or not self.exact or not other.exact:
            return self is other
        return other.text == self.text and type(other.value) is type(self.value)


class LongBytes:
    """A string or byte string too long to keep: only its place in the file is known.

    Attributes:
        begin: File offset of its first byte.
        length: In bytes, as stored.
        text: Whether the pickle declares it as text.
    """

    __slots__ = ("_unfold", "begin", "length", "text")

    def __init__(self, begin: int, length: int, text: bool, unfold: Callable[[bytes], bytes] | None = None) -> None:
        self.begin = begin
        self.length = length
        self.text = text
        self._unfold = unfold or (_latin1_of_utf8 if text else None)

    @property
    def is_utf8(self) -> bool:
        """Whether it is UTF-8 text, as protocol 2 writes bytes."""
        return self._unfold is _latin1_of_utf8

    def unfold(self, stored: bytes) -> bytes:
        """The bytes that it stands for, of those that are stored or of the first of them: text stands for Latin-1."""
        return stored if self._unfold is None else self._unfold(stored)


def _latin1_of_utf8(stored: bytes) -> bytes:
    return stored.decode("utf-8", "ignore").encode("latin-1", "replace")


class Dtype:
    """A `torch.dtype`, by torch's name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class StorageRef:
    """What a persistent id says of a storage.

    Attributes:
        key: Name of the storage; views of one storage have the same key.
        dtype: torch's name of the element type of its class; "uint8" for an untyped storage.
        nbytes: Declared size in bytes.
        offset: Where a view starts in the storage, in bytes.
    """

    __slots__ = ("dtype", "key", "nbytes", "offset")

    def __init__(self, key: str, dtype: str, nbytes: int, offset: int = 0) -> None:
        self.key = key
        self.dtype = dtype
        self.nbytes = nbytes
        self.offset = offset


class ValueEncoding(NamedTuple):
    """What `records.Encoding` says, of tensors that a pickle makes.

    Attributes:
        scale: Of a quantised tensor; None for any other.
        axis: The same; None where there is one scale for all.
        negated: The bytes have the other sign.
        conjugated: So have those of the imaginary parts.
        sparse: Parts of a sparse tensor by torch's names for them.
    """

    scale: float | TensorValue | None = None
    zero_point: float | TensorValue = 0
    axis: int | None = None
    negated: bool = False
    conjugated: bool = False
    sparse: tuple[tuple[str, TensorValue], ...] = ()


class TensorValue:
    """One tensor object of a pickle; a name that refers to it a second time refers to the same object.

    Attributes:
        storage: None for meta tensors and for layouts that are several storages.
        offset: First element, in elements of `dtype`.
        shape: None where it is ragged.
        stride: In elements; None where it does not apply.
        kind: "parameter", "buffer" or "tensor".
        trainable: requires_grad; None where the pickle does not say.
        nbytes: Bytes of all its parts for layouts that are several storages; None means numel x itemsize.
        encoding: What else it takes to read the values; None for nearly all tensors.
        state: Attributes of a tensor that has some; None for all else.
        wrapped: Class and attributes of a subclass whose values are those of other tensors; not set for all else.
    """

    __slots__ = (
        "dtype", "encoding", "kind", "layout", "nbytes", "numel", "offset", "shape", "state", "storage", "stride",
        "trainable", "wrapped",
    )  # fmt: skip
    wrapped: tuple[str, dict[str, object]]

    def __init__(  # noqa: PLR0917 (made in hundreds of thousands, where keywords cost)
        self,
        storage: StorageRef | None,
        offset: int,
        shape: tuple[int, ...] | None,
        stride: tuple[int, ...] | None,
        dtype: str,
        numel: int,
        *,
        trainable: bool | None = None,
        layout: str = "strided",
        nbytes: int | None = None,
    ) -> None:
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.stride = stride
        self.dtype = dtype
        self.numel = numel
        self.kind = "tensor"
        self.trainable = trainable
        self.layout = layout
        self.nbytes = nbytes
        self.encoding: ValueEncoding | None = None
        self.state: object = None

    def copy(self) -> TensorValue:
        """A second tensor object over the same storage."""
        twin = TensorValue(
            self.storage,
            self.offset,
            self.shape,
            self.stride,
            self.dtype,
            self.numel,
            trainable=self.trainable,
            layout=self.layout,
            nbytes=self.nbytes,
        )
        twin.kind = self.kind
        twin.encoding = self.encoding
        if self.layout == "chunked" and hasattr(self, "wrapped"):
            twin.wrapped = self.wrapped
        return twin


MAX_KEY_NODES: Final = 200
"""Parts of one tuple key that are written out; a larger one is cut."""

MAX_KEY_PART: Final = 256
"""Characters (bytes, digits) of each part that are written out."""


def describe_key(value: object) -> OddKey:
    """What stands for a dictionary key that is no string; its text is Python's repr, bounded.

    Source: the names `torch.load` and a walk with `str(key)` give: `1`, `(1, 2)`, `None`, `b'x'`.
    """
    pieces: list[str] = []
    pending: list[object] = [value]
    exact = True
    for _ in range(MAX_KEY_NODES):
        if not pending:
            return OddKey(value, "".join(pieces), exact)
        item = pending.pop()
        if isinstance(item, _Text):
            pieces.append(item)
        elif isinstance(item, tuple):
            pieces.append("(")
            pending.append(_Text(",)" if len(item) == 1 else ")"))
            for index in range(min(len(item), MAX_KEY_NODES) - 1, -1, -1):
                pending.append(item[index])
                if index:
                    pending.append(_Text(", "))
        elif isinstance(item, Global):
            pieces.append(item.dotted[:MAX_KEY_PART])
            exact = False
        elif isinstance(item, int | float | complex | bytes | str) or item is None:
            part = repr(item[:MAX_KEY_PART] if isinstance(item, bytes | str) else item)
            pieces.append(part if len(part) <= 4 * MAX_KEY_PART else f"{part[:MAX_KEY_PART]}…")
            exact = exact and len(part) <= MAX_KEY_PART
        else:
            name = item.class_name if isinstance(item, Opaque) else "tensor" if isinstance(item, TensorValue) else ""
            pieces.append(f"<{name[:MAX_KEY_PART] or 'object'}>")
            exact = False
    pieces.append("…")
    return OddKey(value, "".join(pieces), False)


class _Text(str):
    """A piece of text between the parts of a tuple."""

    __slots__ = ()
