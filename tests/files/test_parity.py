"""Every command prints the same of a model on a server as of the same model here, byte for byte, but for its address."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paraminspect.cli.app import run
from paraminspect.files import buckets
from paraminspect.formats.source import open_source
from paraminspect.values.read import read_tensor
from scripts.servers.hub import Hub
from scripts.servers.ranges import RangeServer, StoredFile
from scripts.servers.s3 import S3, is_installed
from tests.making.newer_torch import ALONE
from tests.making.running import close_buckets

FILES = (
    "m.safetensors", "zip.pt", "legacy.pt", "m.pt2", "m.gguf", "m.onnx", "m.npz", "m.npy",
    "sharded/model.safetensors.index.json",
)  # fmt: skip
FOLDERS = ("sharded", "dcp", "single")

COMMANDS = (
    ("info", "--format", "table"),
    ("info", "-f", "json", "-c", "format,version,nbytes,parameters,training,metadata,safety,model,others,modules"),
    ("list", "--all"),
    ("list", "--format", "json"),
    ("tree",),
    ("shared", "--equal"),
    ("stats",),
    ("check", "--deep"),
    ("check", "--format", "json"),
)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in every format, some of them with a header that is longer than what comes with the first request."""
    import gguf
    import onnx
    import torch
    import torch.distributed.checkpoint as dcp
    from safetensors.numpy import save_file

    folder = tmp_path_factory.mktemp("models")
    values = np.random.default_rng(0)
    arrays = {f"{'deep.' * 100}{n}.weight": values.random((8, 5), np.float32) for n in range(150)}
    arrays["embed_tokens.weight"] = values.random((400, 100), np.float32)
    arrays["lm_head.weight"] = arrays["embed_tokens.weight"].copy()
    save_file(arrays, folder / "m.safetensors", {"format": "pt"})
    state = {name: torch.from_numpy(array) for name, array in list(arrays.items())[-30:]}
    state["tied"] = state["embed_tokens.weight"]
    state["turned"] = state["embed_tokens.weight"].t()
    torch.save({"model": state, "epoch": 3}, folder / "zip.pt")
    torch.save({"model": state}, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    writer = gguf.GGUFWriter(folder / "m.gguf", "llama")
    writer.add_token_list([f"token{n}" for n in range(20_000)])
    for name, array in list(arrays.items())[:20]:
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    weights = [onnx.numpy_helper.from_array(arrays[name], name) for name in list(arrays)[-20:]]
    onnx.save_model(
        onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], weights)),
        folder / "m.onnx",
        save_as_external_data=True,
        location="m.onnx.data",
        size_threshold=1000,
    )
    with warnings.catch_warnings(action="ignore"):
        layer = torch.nn.Sequential(torch.nn.Linear(30, 20), torch.nn.BatchNorm1d(20)).eval()
        torch.export.save(torch.export.export(layer, (torch.zeros(2, 30),)), folder / "m.pt2")
    np.savez(folder / "m.npz", **{name: arrays[name] for name in list(arrays)[:20]})
    np.save(folder / "m.npy", arrays["embed_tokens.weight"])
    (folder / "sharded").mkdir()
    weight_map = {}
    for number in (1, 2, 3):
        shard = f"model-{number:05}-of-00003.safetensors"
        part = {name: arrays[name] for name in list(arrays)[number - 1 : 151 : 3]}
        save_file(part, folder / "sharded" / shard)
        weight_map.update(dict.fromkeys(part, shard))
    (folder / "sharded" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    config = {"tie_word_embeddings": True, "architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    (folder / "sharded" / "config.json").write_text(json.dumps(config))
    (folder / "single").mkdir()
    shutil.copy(folder / "m.safetensors", folder / "single" / "model.safetensors")
    with warnings.catch_warnings(action="ignore"):  # of one process, which is meant
        dcp.save({"w": torch.arange(12.0).reshape(3, 4)}, checkpoint_id=folder / "dcp", **ALONE)
    return folder


def files_of(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def web(models: Path) -> Iterator[str]:
    with RangeServer(folder=models) as server:
        yield server.url


@pytest.fixture(scope="module")
def hub(models: Path) -> Iterator[str]:
    with Hub({"org/name": {path: StoredFile(local) for path, local in files_of(models).items()}}) as server:
        yield server.url


@pytest.fixture(scope="module")
def s3(models: Path, fsspec_thread: None) -> Iterator[dict[str, str]]:
    if not is_installed():
        pytest.skip("no S3 server")
    with S3() as server:
        for path, local in files_of(models).items():
            server.put(f"bucket/models/{path}", local.read_bytes())
        yield server.environment
        close_buckets(buckets.PLACE._systems)


@pytest.fixture(params=["web", "hub", "s3"])
def base(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the models are."""
    at = request.getfixturevalue(request.param)
    if request.param == "web":
        return str(at)
    if request.param == "hub":
        monkeypatch.setenv("HF_ENDPOINT", at)
        return "hf://org/name@main"
    for name, value in at.items():
        monkeypatch.setenv(name, value)
    return "s3://bucket/models"


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process."""

    def run_it(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run(list(arguments))
        return status, *capsys.readouterr()

    return run_it


def compare(typed: Run, far: str, near: str, *more: str, command: str) -> None:
    def masked(result: tuple[int, str, str], source: str) -> tuple[int, str, str]:
        return result[0], result[1].replace(source, "SOURCE"), result[2].replace(source, "SOURCE")

    there, here = typed(command, far, *more), typed(command, near, *more)
    assert masked(there, far) == masked(here, near)
    assert there[0] in (0, 1)


@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_output_is_the_same(typed: Run, models: Path, base: str, name: str, tmp_path: Path) -> None:
    far, near = f"{base}/{name}", str(models / name)
    if base.startswith("http") and name in FOLDERS:
        assert "a web address has no list of its files" in typed("list", f"{far}/")[2]
        return
    for command, *more in COMMANDS:
        compare(typed, far, near, *more, command=command)
    last = typed("list", near, "--format", "names")[1].splitlines()[-1]
    compare(typed, far, near, last, command="show")
    compare(typed, far, near, last, "--slice", "1:2", "--format", "json", command="show")
    assert typed("diff", far, near)[:2] == (0, "")
    written = [tmp_path / side / "out.safetensors" for side in ("far", "near")]
    for source, path in zip((far, near), written, strict=True):
        path.parent.mkdir()
        assert typed("convert", source, "-o", str(path), "--verify")[0] == 0
    assert written[0].read_bytes() == written[1].read_bytes()


@pytest.mark.parametrize("name", ["zip.pt", "sharded/model.safetensors.index.json", "sharded", "single"])
def test_values_of_a_far_checkpoint_can_be_replaced(
    typed: Run, models: Path, base: str, name: str, tmp_path: Path
) -> None:
    if base.startswith("http") and name in FOLDERS:
        return
    found = []
    for side, source in (("far", f"{base}/{name}"), ("near", str(models / name))):
        target, slash = tmp_path / side / ("out.pt" if name == "zip.pt" else "out"), "/" if name != "zip.pt" else ""
        target.parent.mkdir()
        status, *_ = typed("init", source, "--rule", "*embed_tokens.weight=zeros", "-o", f"{target}{slash}")
        assert status == 0
        files = files_of(target) if target.is_dir() else {"": target}
        found.append({path: local.read_bytes() for path, local in files.items()})
    assert found[0] == found[1]
    assert any(found[0].values())


def test_values_are_loaded_into_a_spec(typed: Run, models: Path, base: str, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(
        "model: [{Embedding: [400, 100], name: embed_tokens}]\ninput: {shape: [2], dtype: int64, high: 9}\n"
    )
    far = typed("stats", str(spec), "--weights", f"{base}/m.safetensors", "--allow-mismatch")
    near = typed("stats", str(spec), "--weights", str(models / "m.safetensors"), "--allow-mismatch")
    assert far[:2] == near[:2]
    assert far[1]


def test_one_tensor_of_many_moves_little(typed: Run, models: Path) -> None:
    with RangeServer(folder=models) as server:
        typed("stats", f"{server.url}/m.safetensors", "--select", "*.7.weight")
        header = int.from_bytes((models / "m.safetensors").read_bytes()[:8], "little")
        assert server.sent <= max(header + 8, 1 << 16) + 160 + (1 << 16)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_lies_between_storages_is_fetched_side_by_side(tmp_path: Path, zipped: bool) -> None:
    import torch

    path = tmp_path / "m.pt"
    state = {f"t{number}": torch.full((50_000,), float(number)) for number in range(20)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    with RangeServer(folder=tmp_path) as server:
        far = open_source(f"{server.url}/m.pt")
        assert [each.name for each in far.tensors] == list(state)
        assert len(server.log) <= len(state) + 3
        assert server.sent < 200_000
        for record in far.tensors:
            assert (read_tensor(record) == float(record.name[1:])).all()


def test_metadata_as_its_own_library_reads_it(hub: str, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    monkeypatch.setenv("HF_ENDPOINT", hub)
    theirs: Any = HfApi(endpoint=hub).parse_safetensors_file_metadata("org/name", "single/model.safetensors")
    ours = open_source("hf://org/name/single")
    assert {each.name: list(each.shape or ()) for each in ours.tensors} == {
        name: list(info.shape) for name, info in theirs.tensors.items()
    }
