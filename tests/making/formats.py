"""A file or folder of every format of the table, each with one tensor where it is read."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.making.gguf_files import gguf_bytes
from tests.making.newer_torch import ALONE
from tests.making.numpy_files import npy_bytes, npz_bytes
from tests.making.onnx_files import floats, model
from tests.making.safetensors_files import safetensors_bytes
from tests.making.tars import packed_bytes
from tests.making.torch_files import legacy_bytes, script_bytes, torch_bytes
from tests.making.zips import zip_bytes

VALUES = np.arange(2, dtype=np.float32)
TENSOR = torch.from_numpy(VALUES)
SAFETENSORS = safetensors_bytes({"w": ("F32", [2], VALUES.tobytes())})

JOBLIB = (
    b"\x80\x04\x95\xd8\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94\x8c\x13joblib.numpy_pickle\x94"
    b"\x8c\x11NumpyArrayWrapper\x94\x93\x94)\x81\x94}\x94(\x8c\x08subclass\x94\x8c"
    b"\x05numpy\x94\x8c\x07ndarray\x94\x93\x94\x8c\x05shape\x94K\x05\x85\x94\x8c\x05order\x94\x8c"
    b"\x01C\x94\x8c\x05dtype\x94h\x08\x8c\x05dtype\x94\x93\x94\x8c\x02f8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<"
    b"\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x8c\nallow_mmap\x94\x88\x8c\x1bnumpy"
    b"_array_alignment_bytes\x94K\x10ub\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
    b"\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\xf0?"
    b"u."
)
"""joblib.dump of a dictionary of arrays, joblib 1.6."""


def tar_bytes() -> bytes:
    """What torch 0.1 wrote; its pickle names the tensor by a persistent id."""
    members = {
        "storages": dump(1) + dump((1, "cpu", torch.FloatStorage)) + struct.pack("<q", 2) + VALUES.tobytes() + dump([]),
        "tensors": dump(1) + dump((2, 1, torch.FloatTensor)) + struct.pack("<ii3q", 1, 0, 2, 1, 0),
        "pickle": b"\x80\x02}U\x01wK\x02Qs.",
    }
    return packed_bytes(members)


def dump(value: object) -> bytes:
    return pickle.dumps(value, 2)


@cache
def export_bytes() -> bytes:
    """Exported once in a process: torch 2.7 gives up after some exports of the same model."""
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.export.save(torch.export.export(torch.nn.Linear(2, 1, bias=False), (torch.zeros(1, 2),)), stream)
    return stream.getvalue()


def make_shards(path: Path) -> None:
    path.mkdir()
    for number in (1, 2):
        data = safetensors_bytes({f"w{number}": ("F32", [2], VALUES.tobytes())})
        (path / f"model-{number:05}-of-00002.safetensors").write_bytes(data)


def make_distributed(path: Path, **tensors: torch.Tensor) -> None:
    """A folder with one file of pieces."""
    import torch.distributed.checkpoint as dcp

    with warnings.catch_warnings(action="ignore"):
        dcp.save(tensors or {"w": TENSOR}, checkpoint_id=path, **ALONE)


def make_part(path: Path) -> None:
    """The `.metadata` of one, under any name."""
    make_distributed(path.with_name("whole"))
    (path.with_name("whole") / ".metadata").rename(path)


def make_of(data: Callable[[Path], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data(path.parent)) and None


SAMPLES: Mapping[str, Callable[[Path], Any]] = {
    "safetensors": make_of(lambda _: SAFETENSORS),
    "torch zip": make_of(lambda _: torch_bytes({"w": TENSOR})),
    "torch legacy": make_of(lambda _: legacy_bytes({"w": TENSOR})),
    "torch tar": make_of(lambda _: tar_bytes()),
    "packed": make_of(lambda _: packed_bytes({"./config.yaml": b"a: 1", "./model.ckpt": torch_bytes({"w": TENSOR})})),
    "torchscript": make_of(lambda _: script_bytes(torch.nn.Linear(2, 1, bias=False))),
    "torch.export": make_of(lambda _: export_bytes()),
    "pickle": make_of(lambda _: dump({"w": VALUES})),
    "sharded": make_shards,
    "torch distributed": make_distributed,
    "torch distributed part": make_part,
    "gguf": make_of(lambda folder: gguf_bytes(folder, w=VALUES)),
    "onnx": make_of(lambda _: model(floats("w", 2)).SerializeToString()),
    "npz": make_of(lambda _: npz_bytes(w=VALUES)),
    "npy": make_of(lambda _: npy_bytes(VALUES)),
    "joblib": make_of(lambda _: JOBLIB),
    "torchserve": make_of(
        lambda _: zip_bytes({"MAR-INF/MANIFEST.json": b"{}", "model.pt": torch_bytes({"w": TENSOR}), "handler.py": b""})
    ),
}
"""Name of a row -> what makes one at a path."""
