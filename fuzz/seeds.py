"""Small files of every format to begin with: `python -m fuzz.seeds FOLDER`."""

from __future__ import annotations

import io
import json
import pickle
import sys
import tarfile
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import onnx
import safetensors.torch
import torch

from fuzz.targets import SEPARATOR
from tests.making.tars import packed_bytes


def main() -> None:
    """Write a folder of seeds for each target."""
    folder = Path(sys.argv[1])
    for target, files in make_seeds().items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(files):
            (folder / target / f"seed-{number}").write_bytes(data)


def make_seeds() -> dict[str, list[bytes]]:
    """Contents by target."""
    state = {"a.weight": torch.ones(2, 3), "a.bias": torch.ones(2).half()}
    tied = {"a": state["a.weight"], "b": state["a.weight"][0], "opt": {"state": {0: {"step": torch.tensor(1)}}}}
    zips = [_torch(state), _torch(tied, pickle_protocol=4), _torch(torch.nn.Linear(1, 1)), _npz(a=np.ones(2))]
    pickles = [
        _torch(state, _use_new_zipfile_serialization=False),
        pickle.dumps(state),
        *(pickle.dumps({"a": np.ones(2), "b": [1, "x", b"y", 2.5, None, {1, 2}]}, protocol) for protocol in range(6)),
        b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.",
    ]
    tars = [_tar()]
    npys = [_npy(np.ones((2, 3))), _npy(np.array([(1, 2.0)], [("a", "i4"), ("b", ">f8")])), _npy(np.array([{}]))]
    tensors = [safetensors.torch.save(state), safetensors.torch.save({}, {"format": "pt"})]
    everything = [*zips, *pickles, *tars, *npys, *tensors]
    small = [each for each in everything if len(each) < 1 << 14]
    return {
        "zip": zips, "pickle": pickles, "tar": tars, "safetensors": tensors, "gguf": [_gguf()], "npy": npys,
        "onnx": [_onnx()], "export": [_export()],
        "distributed": pickles, "trace": pickles, "check": small,
        "torch": [SEPARATOR.join((_member(each, "data.pkl"), bytes(64), b"little")) for each in zips[:3]],
        "script": [_script()], "npz": [SEPARATOR.join(npys[:2]), npys[2]], "index": [_INDEX],
        "blocks": [bytes([kind]) + bytes(range(256)) for kind in range(18)],
        "values": [*small, _gguf()], "converted": [*small, _gguf()], "spec": _SPECS, "grammar": _TEXTS,
    }  # fmt: skip


_INDEX = b'{"metadata": {"total_size": 8}, "weight_map": {"a.weight": "a.safetensors", "b.weight": "b.safetensors"}}'
_TEXTS = [
    b"*.weight=normal(std=0.02)", b"Linear:*.bias=zeros", b"/^h[0-9]+/=xavier_uniform(gain=$(sqrt(2)))",
    b"*=trunc_normal(std=0.02, a=-0.04, b=0.04, chunks=3)", b"head.*=keep", b"module.*=*", b"*=add(1e-3)",
]  # fmt: skip
_SPECS = [
    b"vars: {dim: 4}\nmodel: [{Linear: [$dim, $(2*dim)]}, ReLU, {Linear: [8, 3], name: out, repeat: 2}]\ninput: [2, 4]\n",
    b"blocks: {B: {args: [n], layers: [{Linear: [$n, $n]}]}}\nshared: {e: {Embedding: [5, 4]}}\n"
    b"model: [{use: e}, {B: 4}, {Residual: [{B: 4}]}, {Add: {}, from: [input, input]}]\ntie: {a: b}\n",
    b'{"model": [{"Param": {"shape": [2], "op": "mul"}}], "init": ["*=zeros"], "loss": "sum"}',
]


def _member(archive: bytes, ending: str) -> bytes:
    """The first member of a zip whose name ends so."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return next(opened.read(name) for name in opened.namelist() if name.endswith(ending))


def _script() -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the format is old, and still met
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), stream)
    return SEPARATOR.join(
        _member(stream.getvalue(), ending) for ending in ("data.pkl", "constants.pkl", ".py", ".debug_pkl")
    )


def _torch(value: object, **more: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **more)
    return stream.getvalue()


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _onnx() -> bytes:
    """Raw and typed data, a constant, a graph in a graph."""
    weight = onnx.numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    typed = onnx.helper.make_tensor("t", onnx.TensorProto.INT64, [3], [1, -2, 300])
    constant = onnx.helper.make_node("Constant", [], ["c"], value_floats=[1.0, 2.0])
    inner = onnx.helper.make_graph([constant], "inner", [], [], [typed])
    branch = onnx.helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    model = onnx.helper.make_model(onnx.helper.make_graph([branch], "g", [], [], [weight, typed]))
    return bytes(model.SerializeToString())


def _export() -> bytes:
    """A torch.export archive of one parameter and one constant, as torch lays it out, without a graph."""

    def config(name: str, path: str) -> str:
        meta = {"dtype": 7, "sizes": [{"as_int": 2}], "requires_grad": True, "strides": [{"as_int": 1}],
                "storage_offset": {"as_int": 0}, "layout": 7}  # fmt: skip
        item = {"path_name": path, "is_param": True, "use_pickle": False, "tensor_meta": meta}
        return json.dumps({"config": {name: item}})

    members = {
        "m/archive_format": "pt2",
        "m/models/model.json": json.dumps({"graph_module": {"graph": {"nodes": []}, "signature": {"input_specs": []}}}),
        "m/data/weights/model_weights_config.json": config("w", "weight_0"),
        "m/data/weights/weight_0": "01234567",
        "m/data/constants/model_constants_config.json": config("c", "tensor_0"),
        "m/data/constants/tensor_0": "01234567",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return stream.getvalue()


def _tar() -> bytes:
    storage = (
        pickle.dumps(1, 2) + pickle.dumps(("0", "cpu", torch.FloatStorage), 2) + (2).to_bytes(8, "little") + bytes(8)
    )
    numbers = b"".join(each.to_bytes(8, "little") for each in (2, 1, 0))
    tensor = pickle.dumps(1, 2) + pickle.dumps(("1", "0", torch.FloatTensor), 2) + (1).to_bytes(4, "little") + bytes(4)
    members = {
        "storages": storage + pickle.dumps([], 2),
        "tensors": tensor + numbers,
        "pickle": b"\x80\x02}X\x01\x00\x00\x00wP1\ns.",
    }
    return packed_bytes(members, tarfile.USTAR_FORMAT)


def _gguf() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_array("tokens", ["a", "b"])
        writer.add_tensor("token_embd.weight", np.ones((2, 32), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


if __name__ == "__main__":
    main()
