"""safetensors: the header and every tensor's place, from names, dtypes and shapes (see `formats.safetensors`).

The header is padded with spaces until the data begin at a multiple of 8. Tensors lie in the order in which they are
given, so that a listing of the file follows the model; only if one of them would then begin at an address that is no
multiple of its element's size, they are sorted by that size, largest first, and keep their order within a size. (The
reference implementation always sorts by dtype, then by name.)

Ties are declared in `__metadata__` as `safetensors.torch.save_model` does it: {alias: canonical name}, next to
{"format": "pt"}, by which transformers knows whose tensors these are.

Source: `serialize` in `tensor.rs` of huggingface/safetensors 0.8; `save_model` in its `torch.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.safetensors import DTYPES, MAX_HEADER_TENSORS, MAX_SAFETENSORS_HEADER
from paraminspect.records import PAIRS
from paraminspect.text import quote
from paraminspect.tuples import NamedTuple
from paraminspect.writers.layout import FileLayout, Layout, OutTensor, Piece, Slot, check_names

ALIGNMENT: Final = 8
METADATA: Final = "__metadata__"
FORMAT: Final = "format"

_NAMES: Final = {name: spelled for spelled, (name, _) in DTYPES.items() if name in BITS}


class Packed(NamedTuple):
    """One file of this format.

    Attributes:
        header: Length, JSON and padding.
        offsets: Of each tensor as given, from the begin of the file.
    """

    header: bytes
    offsets: tuple[int, ...]
    nbytes: int


def plan_safetensors(tensors: Sequence[OutTensor], metadata: Mapping[str, str]) -> Layout:
    """Where everything lies in one safetensors file.

    Args:
        tensors: In the order in which they are to lie, if they can.
        metadata: Text for `__metadata__`; "format" is added where it is missing, the aliases always.

    Raises:
        ParamInspectError: A name that comes twice or cannot stand in a header, a dtype the format does not have; it
            names the tensor.
        LimitExceededError: More tensors or a longer header than readers take.
    """
    check_names(tensors)
    packed = pack(tensors, declare_ties(tensors, metadata))
    slots = tuple(Slot(0, offset, tensor.nbytes) for offset, tensor in zip(packed.offsets, tensors, strict=True))
    return Layout((FileLayout("", packed.nbytes, (Piece(0, packed.header),)),), slots)


def declare_ties(tensors: Iterable[OutTensor], metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata, with "format" and every alias.

    Raises:
        ParamInspectError: An alias that has the name of what is to be kept.
    """
    declared = {FORMAT: "pt", **metadata}
    for tensor in tensors:
        for alias in tensor.aliases:
            if alias == FORMAT:
                raise ParamInspectError(
                    f"the alias {alias!r} of {quote(tensor.name)} cannot be declared in safetensors metadata, "
                    f"where {FORMAT!r} means something else",
                    hint="-o FILE.pt keeps it",
                )
            declared[alias] = tensor.name
    for text in (*declared, *declared.values()):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ParamInspectError(f"the metadata hold half a surrogate pair: {quote(text)}") from None
    return declared


def pack(tensors: Sequence[OutTensor], metadata: Mapping[str, str]) -> Packed:
    """Header and offsets of one file whose names and metadata are checked.

    Raises:
        ParamInspectError: A dtype, shape or name that the format cannot hold.
        LimitExceededError: Too many tensors, too long a header.
    """
    if len(tensors) > MAX_HEADER_TENSORS:
        raise LimitExceededError(
            "tensors in one header", limit=MAX_HEADER_TENSORS, actual=len(tensors), hint="write shards: --shard-size"
        )
    entries = check_dtypes(tensors)
    order: Iterable[int] = range(len(tensors))
    if not _is_aligned(tensors):
        order = sorted(order, key=lambda index: -BITS[tensors[index].dtype])
    header: dict[str, object] = {METADATA: dict(metadata)}
    begins = [0] * len(tensors)
    position = 0
    for index in order:
        begins[index] = position
        position += tensors[index].nbytes
        header[tensors[index].name] = {**entries[index], "data_offsets": [begins[index], position]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    if len(text) > MAX_SAFETENSORS_HEADER:
        raise LimitExceededError(
            "bytes of safetensors header",
            limit=MAX_SAFETENSORS_HEADER,
            actual=len(text),
            hint="write shards: --shard-size",
        )
    begin = 8 + len(text)
    offsets = tuple(begin + offset for offset in begins)
    return Packed(len(text).to_bytes(8, "little") + text, offsets, begin + position)


def check_dtypes(tensors: Iterable[OutTensor]) -> list[dict[str, object]]:
    """What the header says of the dtype and shape of each tensor.

    Raises:
        ParamInspectError: A dtype, shape or name that the format cannot hold.
    """
    return [_entry(tensor) for tensor in tensors]


def _entry(tensor: OutTensor) -> dict[str, object]:
    if tensor.name == METADATA:
        raise ParamInspectError(f"safetensors cannot hold a tensor named {METADATA!r}", hint="-o FILE.pt can")
    spelled = _NAMES.get(tensor.dtype)
    if spelled is None:
        raise ParamInspectError(
            f"safetensors has no dtype {tensor.dtype}, which {quote(tensor.name)} has",
            hint="-o FILE.pt" if tensor.dtype in BITS else "a GGUF file can be written from one: -o FILE.gguf",
        )
    shape = list(tensor.shape)
    if tensor.dtype == PAIRS:  # the format counts the elements, torch the pairs
        if not shape:
            raise ParamInspectError(f"safetensors cannot hold {quote(tensor.name)}: {PAIRS} without dimensions")
        shape[-1] *= 2
    return {"dtype": spelled, "shape": shape}


def _is_aligned(tensors: Sequence[OutTensor]) -> bool:
    """Whether each tensor begins at a multiple of its element's size in the order given."""
    position = 0
    for tensor in tensors:
        if tensor.nbytes and position % (BITS[tensor.dtype] // 8):
            return False
        position += tensor.nbytes
    return True
