"""Floor for the metadata of a distributed checkpoint: the C unpickler with stand-ins for torch's classes, printed.

Loading torch is left out, which would take more time than all of it.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any


class Plain:
    """Takes its state itself."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class Bare:
    """Any other class."""

    def __init__(self, *_: object) -> None:
        pass


class Index:
    """A key of the storage data, which is compared by name and offset.

    Attributes:
        fqn: The name.
        offset: None of what is no tensor.
    """

    fqn = ""
    offset: object = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and (self.fqn, self.offset) == (other.fqn, other.offset)

    def __hash__(self) -> int:
        return hash((self.fqn, self.offset))


class Size(tuple[int, ...]):
    """Stands for `torch.Size`."""

    __slots__ = ()


class Inert(pickle.Unpickler):
    """Every global is a stand-in."""

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in, whatever is named."""
        kinds = {"Size": Size, "MetadataIndex": Index, "TensorProperties": Plain}
        return f"{module}.{name}" if module == "torch" and name != "Size" else kinds.get(name, Bare)


if __name__ == "__main__":
    with open(f"{sys.argv[1]}/.metadata", "rb") as opened:
        entries = Inert(opened).load().state_dict_metadata
    rows = [f"{name}\t{list(entry.size)}\n" for name, entry in entries.items() if hasattr(entry, "size")]
    sys.stdout.write("".join(rows))
