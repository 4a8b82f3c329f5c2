"""Floor for torch files: the C unpickler with stubs for what it names, and print the tensors of a flat state dict.

It imports nothing that the file names, and that is all it has of a safe reader.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any

LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


class Inert(pickle.Unpickler):
    """Every global is a stub, every storage its persistent id, every tensor the arguments it is rebuilt from."""

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        """A stub, whatever is named."""
        if name.endswith("Storage"):
            return name
        return OrderedDict if name == "OrderedDict" else _arguments

    def persistent_load(self, pid: Any) -> Any:
        """The persistent id of a storage as it stands."""
        return pid


def _arguments(*arguments: Any) -> tuple[Any, ...]:
    return arguments


def _load(file: IO[bytes]) -> Any:
    if file.read(len(LEGACY_MAGIC)) == LEGACY_MAGIC:
        for _ in ("protocol", "system"):
            Inert(file).load()
        return Inert(file).load()
    with zipfile.ZipFile(file) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        return Inert(io.BytesIO(archive.read(name))).load()


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as opened:
        state = _load(opened)
    rows = [f"{name}\t{list(tensor[2])}\t{tensor[0][1]}\n" for name, tensor in state.items()]
    sys.stdout.write("".join(rows))
