"""Files of other frameworks are named, with what reads them. The bytes are those that their own libraries wrote."""

from __future__ import annotations

import contextlib
import gzip
import shlex
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.checks.check import check_source
from paraminspect.errors import ParamInspectError, SourceError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.formats.foreign import FOLDERS, MAGICS, PATTERNS, TAILS, ZIPS, Foreign
from paraminspect.formats.sniff import HEAD_BYTES, check_head, read_blob
from paraminspect.formats.source import open_source
from tests.making.formats import JOBLIB
from tests.making.torch_files import torch_bytes
from tests.making.zips import zip_bytes

ZLIB = (
    b"x^k`\x99z\x9d\x01\x02j\xa7\xf40&N\xe9\x11\xce\xcaO\xca\xc9L\xd2\xcb+\xcd-\xa8\x8c/\xc8L\xce\xceI\x9d\xd2#\xe8"
    b"\x07\xe2:\x16\x15%V\x86\x17%\x16\x14\xa4\x16M\x99<E\xb3qJ\xed\x14\x8d\x1e\x8e\xe2\xd2\xa4\xe4\x9c\xc4\xe2\xe2)=\xac`]S"
)
"""joblib.dump of a dictionary of arrays with compress=3, joblib 1.6."""

GRAPH = b"\n\x16\n\x07input/x\x12\x0bPlaceholder\n\n\n\x01y\x12\x05Const"
FILES = {
    "msgpack of flax": (b"\x81\xa6params\x81\xa7Dense_0\x81\xa6kernel\xc7\x03\x01abc", "Flax", "msgpack_restore"),
    "msgpack with many keys": (b"\xde\x00\x28\xa6layer0\x81\xa1k\x01", "Flax", "msgpack_restore"),
    "frozen graph": (GRAPH, "a frozen graph of TensorFlow", "tf2onnx"),
    "SavedModel": (b'\x08\x01\x12/\n\x07"\x05serve\x12$' + GRAPH, "a SavedModel of TensorFlow", "tf.saved_model.load"),
    "Core ML": (
        b"\x08\x04\x12\t\n\x07\n\x01x\x1a\x02\x12\x00\xa2\x1f\x0b\n\t\n\x02fc\xe2\x08\x02\x08\x03",
        "a Core ML model",
        "coremltools",
    ),
    "TFLite": (b"\x1c\x00\x00\x00TFL3" + bytes(40), "TensorFlow Lite", "ai-edge-litert"),
    "ONNX Runtime": (b"\x18\x00\x00\x00ORTM" + bytes(40), "ONNX Runtime's own format", "name the .onnx"),
    "ExecuTorch": (b"\x18\x00\x00\x00ET12" + bytes(40), "ExecuTorch", "name the .pt2"),
    "checkpoint index": (bytes(100) + b"\x01\x57\xfb\x80\x8b\x24\x75\x47\xdb", "TensorFlow checkpoint", "tf.train"),
    "MXNet": (b"\x12\x01\0\0\0\0\0\0" + bytes(40), "MXNet", "mxnet.nd.load"),
    "XGBoost": (b"binf" + bytes(40), "XGBoost", "xgboost.Booster"),
    "XGBoost as UBJSON": (b"{L\0\0\0\0\0\0\0\x07learner{", "XGBoost", "xgboost.Booster"),
    "LightGBM": (b"tree\nversion=v4\n", "LightGBM", "lightgbm.Booster"),
    "Caffe": (b"\n\x05VGG16\xa2\x06\x10" + bytes(20), "Caffe", "netron"),
    "joblib": (JOBLIB, "joblib", "paraminspect check"),
    "joblib, compressed": (ZLIB, "compressed with zlib", "pigz -dc FILE > UNPACKED"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "a Keras or old TensorFlow model", "h5dump"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_is_named_with_what_reads_it(case: str, tmp_path: Path) -> None:
    data, what, hint = FILES[case]
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(UnknownFormatError) as caught:
        open_source(path)
    assert what in caught.value.message
    typed = hint.replace("FILE", str(path)).replace("UNPACKED", f"{path}.unpacked")
    assert typed in (caught.value.hint or "")
    assert str(caught.value).isprintable()
    assert caught.value.message.startswith("the file is ")
    judged: dict[str, set[str]] = {"joblib": set(), "joblib, compressed": {"malformed"}}  # the latter ends early
    assert {finding.code for finding in check_source(path)} == judged.get(case, {"unknown-format"})


@pytest.mark.parametrize("case", [case for case in FILES if case not in ("joblib", "checkpoint index")])
def test_a_stream_of_it_is_refused_before_it_is_copied(case: str) -> None:
    with pytest.raises(UnknownFormatError, match="the file is "):
        check_head(FILES[case][0][:HEAD_BYTES])


@pytest.mark.parametrize(
    ("names", "what"),
    [(("metadata.json", "config.json", "model.weights.h5"), "a Keras model"), (("schema.json", "1.npz"), "skops")],
)
def test_a_zip_is_named_by_its_members(names: tuple[str, ...], what: str) -> None:
    with pytest.raises(UnknownFormatError, match=what) as caught:
        read_blob(Blob.from_bytes(zip_bytes(dict.fromkeys(names, b""))))
    assert caught.value.hint


IN_FOLDERS = {
    "SavedModel": (("saved_model.pb", "variables/variables.index"), "a SavedModel of TensorFlow"),
    "Orbax": (("_CHECKPOINT_METADATA", "manifest.ocdbt", "d/0"), "an Orbax"),
    "Flax": (("config.json", "flax_model.msgpack"), "a Flax"),
    "TensorFlow weights": (("config.json", "tf_model.h5"), "a TensorFlow model"),
    "Keras": (("model.weights.h5",), "a Keras model"),
    "TensorFlow checkpoint": (("checkpoint", "ckpt-1.index", "ckpt-1.data-00000-of-00001"), "a TensorFlow checkpoint"),
    "Core ML package": (("net.mlpackage/Manifest.json",), "a Core ML model"),
}


@pytest.mark.parametrize("case", IN_FOLDERS)
def test_a_folder_is_named_by_its_files(case: str, tmp_path: Path) -> None:
    names, what = IN_FOLDERS[case]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    with pytest.raises(SourceError, match=what) as caught:
        open_source(tmp_path)
    assert caught.value.hint


def test_a_model_of_pytorch_beside_others_goes_first(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"w": np.ones(2, np.float32)}, tmp_path / "model.safetensors")
    for name in ("tf_model.h5", "flax_model.msgpack"):
        (tmp_path / name).write_bytes(b"")
    assert [record.name for record in open_source(tmp_path).tensors] == ["w"]


def test_every_kind_is_a_phrase_with_one_line_of_hint() -> None:
    kinds: list[Foreign] = [kind for *_, kind in (*MAGICS, *PATTERNS, *TAILS, *ZIPS, *FOLDERS)]
    for kind in kinds:
        assert kind.what[:1].islower() or kind.what.startswith("HDF5")
        assert not kind.what.endswith(".")
        assert "\n" not in (kind.hint or "")


@pytest.mark.parametrize(
    "text", [b"x^2 + y^2 = 1\n", "x\u0439 = 1\n".encode(), b"\n\nAn empty line first\n", b"binary"]
)
def test_text_is_still_text(text: bytes) -> None:
    with pytest.raises(UnknownFormatError, match="the file is text"):
        read_blob(Blob.from_bytes(text))


@given(st.sampled_from([data[:20] for data, *_ in FILES.values()]), st.binary(max_size=80))
def test_any_bytes_behind_them_are_refused_or_read(head: bytes, rest: bytes) -> None:
    with contextlib.suppress(ParamInspectError):
        read_blob(Blob.from_bytes(head + rest))


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("model.pt.gz", "gzip -dc model.pt.gz > model.pt"),
        ("my model.pt.GZ", "gzip -dc 'my model.pt.GZ' > 'my model.pt'"),
        ("model.nemo", "gzip -dc model.nemo > model.nemo.unpacked"),
        ("FILE.gz", "gzip -dc FILE.gz > FILE"),
    ],
)
def test_the_hint_for_what_is_compressed_works_as_typed(
    name: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(gzip.compress(torch_bytes({"w": torch.ones(2)})))
    with pytest.raises(UnknownFormatError) as caught:
        open_source(name)
    assert caught.value.hint == f"unpack it first: {command}"
    subprocess.run(["sh", "-c", command], check=True)
    assert [each.name for each in open_source(shlex.split(command)[-1]).tensors] == ["w"]


def test_of_a_file_far_away_the_hint_names_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt.gz"
    path.write_bytes(gzip.compress(torch_bytes({"w": torch.ones(2)})))
    monkeypatch.setattr(Blob, "is_far", True)
    with pytest.raises(UnknownFormatError) as caught:
        open_source(path)
    assert caught.value.hint == "unpack it first: gzip -dc FILE > UNPACKED"
