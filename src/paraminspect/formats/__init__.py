"""Bytes to records. Nothing here imports torch or executes what a file names.

table              what a format is, one row each; sniff tells by the first bytes which one a file has
source             what the user typed: a file, a folder, a URL, a pipe; sharded joins the files of a folder
pytorch/           torch.save (zip, legacy, tar), TorchScript, torch.export, torch.distributed.checkpoint
pickles/           the pickle machine that runs nothing, what it knows of names, plain pickles
onnx/              protobuf, graphs, external data
safetensors, gguf, numpy_arrays        one file a format
declared           ties that a file or its config.json declares
foreign            files of other frameworks: what they are, and what reads them
zip_file, json_text, dtypes, shapes    what several formats are made of
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paraminspect.formats.source import open_source

__all__ = ["open_source"]


def __getattr__(name: str) -> Any:
    """`open_source`, when it is asked for: who wants only the table of formats reads no file."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from paraminspect.formats import source

    return source.open_source
