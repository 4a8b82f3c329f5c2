"""Weights as bitsandbytes saves them: four bits in blocks, eight bits by rows.

The four-bit types lie two to a byte, the first in the upper bits, whatever type the tensor has for FSDP's sake. How many
there are, of which shape and type they were, and in what blocks, is JSON in the bytes of a tensor of its own. The largest
absolute value of each block may be quantised again.

Source: `QuantState` and `dequantize_4bit` of bitsandbytes 0.50.
"""

from __future__ import annotations

from paraminspect.errors import MalformedError
from paraminspect.formats.json_text import parse_object
from paraminspect.formats.quantised.found import FLOATS, Found, NotItError, must, other
from paraminspect.formats.shapes import check_sizes, count_elements
from paraminspect.records import Logical


def read_four_bits(found: Found) -> Logical:
    """nf4 or fp4."""
    main = found.parts["weight"]
    must(main.nbytes is not None and main.layout == "strided" and found.dtype("state") == "uint8")
    try:
        state = parse_object(found.read(found.parts["state"]), "the state")
        shape = check_sizes(state.get("shape"))
        numel = count_elements(shape)
    except MalformedError:
        raise NotItError from None
    kind, size, dtype = (state.get(key) for key in ("quant_type", "blocksize", "dtype"))
    must(kind in ("nf4", "fp4") and type(size) is int and size > 0 and dtype in FLOATS)
    must(main.nbytes == -(-numel // 2))
    nested_size, offset = state.get("nested_blocksize"), state.get("nested_offset")
    if "nested_absmax" in found.parts:
        must(type(nested_size) is int and nested_size > 0 and isinstance(offset, int | float))
        must(found.dtype("absmax") == "uint8" and "nested_quant_map" in found.parts)
    else:
        nested_size, offset = 0, 0.0
        must(found.dtype("absmax") in FLOATS)
    return found.logical(f"bitsandbytes {kind}", shape, str(dtype), size=size, nested_size=nested_size, offset=offset)


def read_eight_bits(found: Found) -> Logical:
    """int8, and the largest absolute value of each row, which 127 stands for."""
    shape = found.shape("weight", 2)
    must(found.shape("SCB", 1) == shape[:1] and found.dtype("SCB") == "float32")
    problem = ("", "")
    if "weight_format" in found.parts and found.read(found.parts["weight_format"])[:1] not in (b"\0", b""):
        problem = other("bitsandbytes int8 in tiles")
    return found.logical("bitsandbytes int8", shape, "float32", problem=problem)
