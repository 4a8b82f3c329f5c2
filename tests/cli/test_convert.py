"""`paraminspect convert` as a process: pipes, exit status, what it imports, the corpus."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, load_file

from paraminspect import convert
from paraminspect.errors import ParamInspectError
from paraminspect.formats.source import open_source
from tests.making.running import modules_after, run_apart

CORPUS = Path(os.environ.get("PARAMINSPECT_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))
CANARY = Path("/var/tmp/paraminspect-canary")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    weight = torch.randn(4, 3)
    torch.save({"model": {"module.w": weight, "module.tied": weight}, "epoch": 1}, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def converting(model: Path, *options: str, before: str = "") -> set[str]:
    """What a conversion imports."""
    out = model.with_name("out.safetensors")
    status, modules = modules_after("convert", model, "-o", out, "--force", *options, before=before)
    assert status == 0
    return modules


def test_a_copy_imports_neither_torch_nor_numpy(model: Path) -> None:
    assert not {"torch", "numpy", "ml_dtypes", "safetensors", "rich"} & converting(model)


def test_a_cast_imports_no_torch(model: Path) -> None:
    modules = converting(model, "--dtype", "bfloat16", "--verify")
    assert "numpy" in modules
    assert "torch" not in modules


def test_the_probe_can_fail(model: Path) -> None:
    assert "numpy" in converting(model, before="import numpy")


def test_from_pipe_to_pipe(model: Path) -> None:
    done = run_apart("convert", "-", "--module", "model", "--rename", "module.*=*", "-o", "-", stdin=model.read_bytes())
    assert done.status == 0
    due = torch.load(model, weights_only=True)["model"]["module.w"]
    assert torch.equal(load(done.data)["w"], due)
    assert done.stderr == ""


def test_a_device_is_written_into(model: Path) -> None:
    done = run_apart("convert", model, "-o", "/dev/stdout")
    assert (done.status, set(load(done.data))) == (0, {"model.module.w"})


def test_a_spec_is_initialised_first(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("model: [{Linear: [4, 3]}, {BatchNorm1d: [3]}]\n")
    done = run_apart("convert", spec, "--rule", "*weight=constant(2)", "-o", tmp_path / "net.safetensors", "--verify")
    assert (done.status, done.stdout) == (0, "")
    loaded = load_file(tmp_path / "net.safetensors")
    assert set(loaded) == {"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
                           "1.num_batches_tracked"}  # fmt: skip
    assert (loaded["0.weight"] == 2).all()


def test_buffers_that_are_not_saved_stay_behind(tmp_path: Path) -> None:
    factory = tmp_path / "net.py"
    factory.write_text(
        "import torch\n\ndef make():\n    net = torch.nn.Linear(2, 2).bfloat16()\n"
        "    net.register_buffer('kept', torch.ones(1))\n"
        "    net.register_buffer('gone', torch.ones(1), persistent=False)\n    return net\n"
    )
    assert run_apart("convert", f"{factory}:make", "-o", tmp_path / "net.safetensors").status == 0
    loaded = load_file(tmp_path / "net.safetensors")
    assert sorted(loaded) == ["bias", "kept", "weight"]
    assert loaded["weight"].dtype == torch.bfloat16


def test_a_truncated_file_writes_nothing(model: Path) -> None:
    cut = model.with_name("cut.pt")
    cut.write_bytes(model.read_bytes()[:500])
    done = run_apart("convert", cut, "-o", model.with_name("x.safetensors"))
    assert done.status == 2
    assert done.stderr.startswith(f"error: {cut}: ")
    assert sorted(file.name for file in model.parent.iterdir()) == ["cut.pt", "model.pt"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus: set PARAMINSPECT_CORPUS")
def test_every_readable_file_of_the_corpus_is_converted_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # which takes longer than all the rest
    CANARY.mkdir(parents=True, exist_ok=True)  # or no payload could leave a trace
    before = set(CANARY.iterdir())
    written = 0
    for path in sorted([*CORPUS.glob("real/*/*"), *CORPUS.glob("edge/*/*")]):
        try:
            checkpoint = open_source(path)
        except ParamInspectError:
            continue
        is_real = "real" in path.parts
        try:
            convert(checkpoint, tmp_path / "out.safetensors", everything=True, force=True, verify=True)
            written += 1
        except ParamInspectError:
            assert not is_real, path
    assert written > 100
    assert set(CANARY.iterdir()) == before
