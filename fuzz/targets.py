"""What is fuzzed: one function of bytes for each reader. It returns, or raises a ParamInspectError."""

from __future__ import annotations

from collections.abc import Callable

from paraminspect.checks.codes import CODES
from paraminspect.checks.container import scan_part
from paraminspect.checks.pickles import Place
from paraminspect.formats.blob import Blob
from paraminspect.formats.distributed import read_distributed
from paraminspect.formats.gguf import read_gguf
from paraminspect.formats.numpy_arrays import read_npy
from paraminspect.formats.onnx import read_onnx
from paraminspect.formats.pickle_trace import trace_pickle
from paraminspect.formats.plain_pickle import read_pickle
from paraminspect.formats.safetensors import read_safetensors
from paraminspect.formats.sniff import read_blob
from paraminspect.formats.torch_tar import read_torch_tar


def _reads(read: Callable[[Blob], object]) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        read(Blob.from_bytes(data))

    return target


def check(data: bytes) -> None:
    """All that `check` looks at in a file; its findings have known codes and are one line each."""
    for finding in scan_part(Blob.from_bytes(data), Place()):
        assert finding.code in CODES
        assert "\n" not in finding.message, finding


def trace(data: bytes) -> None:
    """A trace never raises, and ends inside the bytes."""
    assert 0 <= trace_pickle(Blob.from_bytes(data)).end <= len(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "zip": _reads(read_blob),
    "pickle": _reads(read_pickle),
    "tar": _reads(read_torch_tar),
    "safetensors": _reads(read_safetensors),
    "gguf": _reads(read_gguf),
    "npy": _reads(read_npy),
    "onnx": _reads(read_onnx),
    "export": _reads(read_blob),
    "distributed": _reads(lambda blob: read_distributed(blob, ".")),
    "trace": trace,
    "check": check,
}
"""By name. `zip` sniffs, so that it reads torch zips, TorchScript and npz; `export` does the same from other seeds."""
