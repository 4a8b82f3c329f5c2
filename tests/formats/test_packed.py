"""A model inside a tar: it is read, changed and copied as the file by itself."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from paraminspect.errors import CheckpointError, SourceError, TruncatedError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.formats.packed import find_model
from paraminspect.formats.sniff import read_blob
from paraminspect.formats.source import open_source
from paraminspect.library.answers import convert, diff
from tests.making.formats import SAMPLES
from tests.making.tars import packed_bytes
from tests.making.torch_files import torch_bytes

CONFIG = b"target: nemo\nname: x\n"
MODELS = ["safetensors", "torch zip", "torch legacy", "torchscript", "torch.export", "pickle", "gguf", "onnx", "npz"]


def pack(path: Path, *models: Path) -> Path:
    members = {"./model_config.yaml": CONFIG, "./vocab.txt": b"a\nb\n"} | {
        f"./{m.name}": m.read_bytes() for m in models
    }
    path.write_bytes(packed_bytes(members))
    return path


def deflated(path: Path) -> None:
    torch.save({"w": torch.arange(6.0)}, stream := io.BytesIO())
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


def text_of_arrays(path: Path) -> None:
    path.write_bytes(pickle.dumps({"w": np.arange(600.0)}, 2))


MADE = {name: SAMPLES[name] for name in MODELS} | {"deflated": deflated, "protocol 2": text_of_arrays}


@pytest.mark.parametrize("name", MADE)
def test_as_the_file_by_itself(name: str, tmp_path: Path) -> None:
    alone = tmp_path / "model_weights.ckpt"
    MADE[name](alone)
    packed = pack(tmp_path / "m.nemo", alone)
    expected, found = open_source(alone), open_source(packed)
    assert found.format == expected.format
    assert [(each.name, each.shape, each.dtype) for each in found.tensors] == [
        (each.name, each.shape, each.dtype) for each in expected.tensors
    ]
    assert found.notes == ("read from its member 'model_weights.ckpt'", *expected.notes)
    assert found.nbytes == packed.stat().st_size
    result = diff(alone, packed)
    assert (result.changes, result.failures, result.unchanged) == ([], [], diff(alone, alone).unchanged)
    assert result.unchanged or name == "torch.export"


def test_bytes_lie_in_the_archive(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(6.0)}, tmp_path / "model.ckpt")
    packed = pack(tmp_path / "m.nemo", tmp_path / "model.ckpt")
    (record,) = open_source(packed).tensors
    assert record.byte_range is not None
    _, begin, end = record.byte_range
    assert packed.read_bytes()[begin:end] == torch.arange(6.0).numpy().tobytes()


def test_several_are_named_and_the_hint_unpacks_one(tmp_path: Path) -> None:
    for name in ("a b.ckpt", "c.ckpt"):
        torch.save({"w": torch.ones(1)}, tmp_path / name)
    packed = pack(tmp_path / "m n.nemo", tmp_path / "a b.ckpt", tmp_path / "c.ckpt")
    with pytest.raises(UnknownFormatError) as caught:
        open_source(packed)
    assert caught.value.message == "a tar archive that packs 2 model files: 'a b.ckpt', 'c.ckpt'"
    assert str(caught.value.hint).endswith(f": tar -xf '{packed}' './a b.ckpt'")


def test_a_broken_one_is_named(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(100)}, tmp_path / "model.ckpt")
    data = (tmp_path / "model.ckpt").read_bytes()
    (tmp_path / "model.ckpt").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=r"its member 'model.ckpt': "):
        open_source(pack(tmp_path / "m.nemo", tmp_path / "model.ckpt"))


def test_a_tar_in_a_tar_is_no_model(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "model.ckpt")
    inner = pack(tmp_path / "inner.nemo", tmp_path / "model.ckpt")
    with pytest.raises(UnknownFormatError, match="packs no model file"):
        open_source(pack(tmp_path / "m.nemo", inner))


def test_the_last_of_one_name_counts(tmp_path: Path) -> None:
    members = [("model.ckpt", torch_bytes({"w": values})) for values in (torch.ones(2), torch.ones(3))]
    (tmp_path / "m.nemo").write_bytes(packed_bytes(members))
    assert open_source(tmp_path / "m.nemo").tensors[0].shape == (3,)


def test_of_all_else_the_model_is_the_whole_file() -> None:
    blob = Blob.from_bytes(bytes(600))
    assert find_model(blob) is blob


def run(*words: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "paraminspect", *map(str, words)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def test_what_packs_nothing_does_not_write_a_file_that_is_called_so(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2, 2)}, tmp_path / "model.ckpt")
    packed = pack(tmp_path / "m.nemo", tmp_path / "model.ckpt")
    before = packed.read_bytes()
    for target in (packed, tmp_path / "other.nemo"):
        with pytest.raises(SourceError, match="what kind of file"):
            convert(packed, target, force=True)
        status, said = run("init", packed, "--rule", "*=zeros", "--dtype", "float16", "-o", target, "--force")
        assert (status, "what kind of file" in said) == (2, True)
    assert packed.read_bytes() == before
    assert not (tmp_path / "other.nemo").exists()


def test_initialised_it_is_a_tar_under_a_name_like_its_own_and_else_a_file_by_itself(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2, 2)}, tmp_path / "model.ckpt")
    packed = pack(tmp_path / "m.nemo", tmp_path / "model.ckpt")
    for name in ("new.nemo", "new.pt"):
        assert run("init", packed, "--rule", "*=zeros", "-o", tmp_path / name)[0] == 0
    with tarfile.open(tmp_path / "new.nemo") as archive:
        config, model = archive.extractfile("./model_config.yaml"), archive.extractfile("./model.ckpt")
        assert config is not None
        assert model is not None
        assert config.read() == CONFIG
        inside = torch.load(io.BytesIO(model.read()))
    for found in (inside, torch.load(tmp_path / "new.pt")):
        assert torch.equal(found["w"], torch.zeros(2, 2))


def test_cut_before_its_model_it_packs_none_that_is_known_of() -> None:
    data = packed_bytes({"config.yaml": CONFIG, "model.ckpt": torch_bytes({"w": torch.ones(2)})}, tarfile.USTAR_FORMAT)
    with pytest.raises(TruncatedError, match="ends at byte 1,024, before a model file"):
        read_blob(Blob.from_bytes(data[:1024]))
    with pytest.raises(UnknownFormatError, match="packs no model file"):
        read_blob(Blob.from_bytes(data[:1024] + bytes(1024)))
