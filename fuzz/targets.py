"""What is fuzzed: one function of bytes for each reader. It returns, or raises a ParamInspectError."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from paraminspect.checks.codes import CODES
from paraminspect.checks.container import Place, scan_part
from paraminspect.errors import ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats import open_source
from paraminspect.formats.gguf import GGML_TYPES, read_gguf
from paraminspect.formats.numpy_arrays import read_npy
from paraminspect.formats.onnx.read import read_onnx
from paraminspect.formats.pickles.plain import read_pickle
from paraminspect.formats.pickles.tracing import trace_pickle
from paraminspect.formats.pytorch.distributed import read_distributed
from paraminspect.formats.pytorch.tar import read_torch_tar
from paraminspect.formats.safetensors import read_safetensors
from paraminspect.formats.sharded import read_index
from paraminspect.formats.sniff import read_blob

SEPARATOR: Final = b"\xff\0\xff"
"""Between the members of an archive that is made of one input."""


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


def _packed(*names: str) -> Callable[[bytes], None]:
    """A zip whose members are the parts of the input, so that checksums and offsets of the archive are right."""

    def target(data: bytes) -> None:
        blob = Blob.from_bytes(pack(names, data.split(SEPARATOR)))
        with contextlib.suppress(ParamInspectError):
            read_blob(blob)
        check(blob.read(0, blob.size))

    return target


def pack(names: tuple[str, ...], parts: list[bytes]) -> bytes:
    """A zip of members, as many as there are parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, part in zip(names, parts, strict=False):
            archive.writestr(name, part)
    return stream.getvalue()


def index(data: bytes) -> None:
    """The index of a sharded model; its shards hold a tensor each."""
    read_index(
        _file("model.safetensors.index.json", data), lambda path: read_blob(Blob.from_bytes(Path(path).read_bytes()))
    )


def blocks(data: bytes) -> None:
    """Blocks of a quantised type, which the first byte chooses: any bits are as many numbers as the type says."""
    import numpy as np

    from paraminspect.values.blocks import DECODERS, decode_blocks

    types = [each for each in GGML_TYPES.values() if each[0] in DECODERS]
    dtype, elements, nbytes = types[data[0] % len(types)] if data else types[0]
    count = (len(data) - 1) // nbytes
    if count < 1:
        return
    numbers = decode_blocks(dtype, np.frombuffer(data, np.uint8, count * nbytes, 1).reshape(count, nbytes))
    assert (numbers.shape, numbers.dtype) == ((count, elements), np.float32)


def values(data: bytes) -> None:
    """Statistics of each tensor of a file of any format."""
    from paraminspect.values.read import open_numbers
    from paraminspect.values.stats import summarise
    from paraminspect.values.stored_bytes import Files

    for record in open_source(_file("model", data)).tensors[:20]:
        if (record.numel or 0) < 1 << 16:
            with contextlib.suppress(ParamInspectError):
                summarise(open_numbers(record, Files())).stats()


def converted(data: bytes) -> None:
    """A file of any format, written as safetensors and read back."""
    from paraminspect import convert

    checkpoint = open_source(_file("model", data))
    if sum(record.numel or 0 for record in checkpoint.tensors) < 1 << 18:
        convert(checkpoint, f"{_folder()}/out.safetensors", everything=True, force=True, verify=True)


def spec(data: bytes) -> None:
    """A spec, and the model that it describes."""
    from paraminspect.architecture.expand import plan_model
    from paraminspect.architecture.parse import parse_spec

    plan_model(parse_spec(data, source="net.yaml"))


def grammar(data: bytes) -> None:
    """What users type: a rule, a selector, a renaming."""
    from paraminspect.names.changes import parse_map
    from paraminspect.names.selector import parse_selector
    from paraminspect.rules.parse import parse_rule

    text = data.decode("utf-8", "replace")
    for parse in (parse_rule, parse_selector, parse_map):
        with contextlib.suppress(ParamInspectError):
            parse(text)


@cache
def _folder() -> str:
    """Where inputs lie that are read by their names; of memory, where there is such a place."""
    memory = "/dev/shm"
    made = tempfile.TemporaryDirectory(prefix="fuzz", dir=memory if os.path.isdir(memory) else None)
    _kept.append(made)
    for shard in ("a", "b"):
        header = b'{"%s.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' % shard.encode()
        Path(made.name, f"{shard}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    return made.name


_kept: list[tempfile.TemporaryDirectory[str]] = []


def _file(name: str, data: bytes) -> str:
    path = os.path.join(_folder(), name)
    Path(path).write_bytes(data)
    return path


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
    "torch": _packed("a/data.pkl", "a/data/0", "a/byteorder"),
    "script": _packed("a/data.pkl", "a/constants.pkl", "a/code/__torch__.py", "a/code/__torch__.py.debug_pkl"),
    "npz": _packed("a.npy", "b.npy"),
    "index": index,
    "blocks": blocks,
    "values": values,
    "converted": converted,
    "spec": spec,
    "grammar": grammar,
}
"""By name. `zip` sniffs, so that it reads torch zips, TorchScript and npz; `export` does the same from other seeds."""
