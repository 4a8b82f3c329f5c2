"""Names of the tensors that are written: each once, and such that a file can hold them."""

from __future__ import annotations

from collections.abc import Sequence

from paraminspect.errors import ParamInspectError
from paraminspect.text import quote
from paraminspect.writers.layout import OutTensor


def check_names(tensors: Sequence[OutTensor]) -> None:
    """Raise unless all names, aliases included, are different and can be encoded.

    Raises:
        ParamInspectError: Names the tensor.
    """
    seen: set[str] = set()
    for tensor in tensors:
        for name in (tensor.name, *tensor.aliases):
            if name in seen:
                raise ParamInspectError(f"two tensors are named {quote(name)}, and a file holds each name once")
            seen.add(name)
            try:
                name.encode()
            except UnicodeEncodeError:
                raise ParamInspectError(
                    f"the name {quote(name)} holds half a surrogate pair, which is no text"
                ) from None
