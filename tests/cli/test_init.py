"""`init` as a user runs it: real files in and out, read back by torch and safetensors."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from paraminspect import ties as find_ties
from paraminspect.cli import app
from paraminspect.formats.source import open_source
from paraminspect.live.build.seeds import make_generator

pytestmark = pytest.mark.usefixtures("workplace")

TINY = ["configs/gpt2.yaml", "-D", "depth=2", "-D", "dim=24", "-D", "heads=2", "-D", "vocab=50", "-D", "context=8"]
Init = Callable[..., tuple[int, str, str]]


@pytest.fixture
def init(monkeypatch: pytest.MonkeyPatch) -> Init:
    """Run `init` in this process: (status, standard output, standard error)."""

    def run(*words: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            stdout, stderr = io.StringIO(), io.StringIO()
            patch.setattr(sys, "stdout", stdout)
            patch.setattr(sys, "stderr", stderr)
            status = app.run(["init", *words])
        return status, stdout.getvalue(), stderr.getvalue()

    return run


@pytest.fixture
def done(init: Init) -> Callable[..., str]:
    """The same for a run that has to succeed; standard output."""

    def run(*words: str) -> str:
        status, stdout, stderr = init(*words)
        assert status == 0, stderr
        return stdout

    return run


def due_normal(seed: int, name: str, shape: tuple[int, ...], std: float) -> Tensor:
    """What torch draws when it is called directly on the tensor's own generator."""
    return nn.init.normal_(torch.empty(shape), 0.0, std, generator=make_generator(seed, name))


def assert_tiny_gpt2(state: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
    """That a state dict is the model of TINY as its own rules draw it."""
    assert len(state) - ("lm_head.weight" in state) == 28
    for name, tensor in state.items():
        if "ln_" in name:
            due = torch.ones(24) if name.endswith("weight") else torch.zeros(24)
        elif name.endswith("bias"):
            due = torch.zeros(tensor.shape)
        else:
            std = 0.02 / 2 if "c_proj" in name else 0.02
            source = "transformer.wte.weight" if name == "lm_head.weight" else name
            due = due_normal(0, source, tuple(tensor.shape), std)
        assert tensor.dtype == dtype
        assert torch.equal(tensor, due.to(dtype)), name


def test_safetensors_read_by_the_reference(done: Any) -> None:
    done(*TINY, "-o", "out.safetensors")
    assert_tiny_gpt2(load_file("out.safetensors"))
    with safe_open("out.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "lm_head.weight": "transformer.wte.weight"}


def test_torch_file_read_by_torch_with_the_tie_as_one_storage(done: Any) -> None:
    done(*TINY, "-o", "out.pt")
    state = torch.load("out.pt", weights_only=True)
    assert_tiny_gpt2(state)
    assert state["lm_head.weight"].data_ptr() == state["transformer.wte.weight"].data_ptr()


def test_shards_read_by_their_index(done: Any) -> None:
    done(*TINY, "-o", "out", "--shard-size", "10KB", "--dtype", "bfloat16")
    index = json.loads(Path("out/model.safetensors.index.json").read_text())
    state = {}
    for file in set(index["weight_map"].values()):
        part = load_file(f"out/{file}")
        assert all(index["weight_map"][name] == file for name in part)
        assert sum(tensor.nbytes for tensor in part.values()) <= 10_000
        state |= part
    assert len(set(index["weight_map"].values())) > 2
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in state.values())
    assert_tiny_gpt2(state, torch.bfloat16)


@pytest.mark.parametrize("out", ["out.safetensors", "out.pt", "folder/", "again.safetensors"])
def test_every_form_has_the_same_tensors_and_the_tie(done: Any, out: str) -> None:
    done(*TINY, "-o", out)
    checkpoint = open_source(out.rstrip("/"))
    assert [group.names for group in find_ties(checkpoint)] == [("transformer.wte.weight", "lm_head.weight")]
    done(out.rstrip("/"), "--rule", "*.ln_f.bias=add(0)", "-o", "edited.pt")
    assert_tiny_gpt2(torch.load("edited.pt", weights_only=True))


def test_a_pipe(command: Any) -> None:
    program, environ = command
    ran = subprocess.run([*program, "init", *TINY, "-o", "-"], env=environ, capture_output=True, check=True)
    Path("out.safetensors").write_bytes(ran.stdout)
    assert_tiny_gpt2(load_file("out.safetensors"))


def test_a_pipe_that_user_code_cannot_spoil(command: Any) -> None:
    Path("rules.py").write_text("import os\ndef one(t):\n    print('x')\n    os.write(1, b'y')\n    t.fill_(1)\n")
    program, environ = command
    line = [*program, "init", "configs/mlp.yaml", "--rules-file", "rules.py", "--rule", "*=one", "-o", "-"]
    ran = subprocess.run(line, env=environ, capture_output=True, check=True)
    Path("out.safetensors").write_bytes(ran.stdout)
    assert all(bool((tensor == 1).all()) for tensor in load_file("out.safetensors").values())
    assert ran.stderr.count(b"x") >= 4


def test_a_checkpoint_gets_what_the_spec_gets(done: Any) -> None:
    done(*TINY, "--rule", "*=constant(7)", "-o", "sevens.safetensors")
    rules = ["*weight=normal(std=0.02)", "*bias=zeros", "/ln_.*weight/=ones", "*.c_proj.weight=normal(std=0.01)"]
    done("sevens.safetensors", *[word for rule in rules for word in ("--rule", rule)], "-o", "out.safetensors")
    assert_tiny_gpt2(load_file("out.safetensors"))


def make_training(path: str) -> None:
    model = nn.Sequential(OrderedDict(a=nn.Linear(30, 20), b=nn.BatchNorm1d(20)))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(4, 30)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "lr": [0.1]}, path)


def test_an_edit_of_a_training_checkpoint_leaves_everything_else(done: Any) -> None:
    make_training("train.pt")
    done("train.pt", "--rule", "model.a.bias=add(1)", "-o", "out.pt")
    before, after = torch.load("train.pt", weights_only=True), torch.load("out.pt", weights_only=True)
    assert torch.equal(after["model"].pop("a.bias"), before["model"].pop("a.bias") + 1)
    assert (after["epoch"], after["lr"]) == (3, [0.1])
    assert all(torch.equal(after["model"][name], tensor) for name, tensor in before["model"].items())
    assert str(after["optimizer"]) == str(before["optimizer"])
    old, new = Path("train.pt").read_bytes(), Path("out.pt").read_bytes()
    assert len(old) == len(new)
    changed = [place for place, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
    (record,) = [each for each in open_source("train.pt").tensors if each.name == "model.a.bias"]
    assert record.byte_range is not None
    _, begin, end = record.byte_range
    outside = [place for place in changed if not begin <= place < end]
    assert changed
    assert len(outside) <= 8  # its CRC-32, behind the data and in the directory


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_that_are_not_row_major_are_edited_where_they_lie(done: Any, legacy: bool) -> None:
    images = torch.randn(4, 3, 5, 2).to(memory_format=torch.channels_last)
    state = {"conv": images, "turned": torch.randn(3, 7).T, "one": torch.randn(6, 1, 2).transpose(0, 2)}
    torch.save(state, "a.pt", _use_new_zipfile_serialization=not legacy)
    done("a.pt", "--rule", "*=mul(2)", "-o", "b.pt")
    after = torch.load("b.pt", weights_only=True)
    for name, tensor in state.items():
        assert torch.equal(after[name], 2 * tensor)
        assert after[name].stride() == tensor.stride()


def test_the_ending_of_the_source_is_known(done: Any) -> None:
    torch.save({"w": torch.ones(2, 3)}, "a.weights")
    done("a.weights", "--rule", "w=add(1)", "-o", "b.weights")
    assert torch.equal(torch.load("b.weights", weights_only=True)["w"], torch.full((2, 3), 2.0))


CONFIG = "vars: {sd: 0.5, dim: 8}\ninit: {mine: ['*weight=constant(sd)']}\n"


def test_each_definition_goes_where_its_variable_is(done: Any) -> None:
    Path("c.yaml").write_text(CONFIG)
    Path("m.yaml").write_text("vars: {dim: 4}\nmodel: [{Linear: [$dim, 1]}]\n")
    done("m.yaml", "--config", "c.yaml", "--rule", "mine", "-D", "sd=3", "-D", "dim=2", "-o", "m.safetensors")
    assert torch.equal(load_file("m.safetensors")["0.weight"], torch.full((1, 2), 3.0))
    done("m.safetensors", "--config", "c.yaml", "--rule", "mine", "-D", "sd=4", "-o", "again.safetensors")
    assert torch.equal(load_file("again.safetensors")["0.weight"], torch.full((1, 2), 4.0))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("m.yaml", "error: m.yaml: -D sdd: unknown variable\n"),
        ("m.pt", "error: m.pt: -D sdd: unknown variable\n\nhint: did you mean sd?\n"),
    ],
)
def test_a_definition_that_nobody_has(init: Any, source: str, message: str) -> None:
    Path("c.yaml").write_text(CONFIG)
    Path("m.yaml").write_text("vars: {dim: 4}\nmodel: [{Linear: [$dim, 1]}]\n")
    torch.save({"a.weight": torch.ones(1)}, "m.pt")
    status, stdout, stderr = init(source, "--config", "c.yaml", "--rule", "mine", "-D", "sdd=3")
    assert (status, stdout) == (2, "")
    assert stderr.startswith(message)


def test_what_is_no_config(init: Any) -> None:
    torch.save({"a.weight": torch.ones(1)}, "m.pt")
    Path("net.py").write_text("def net(): ...\n")
    for config in ("m.pt", "net.py"):
        status, _, stderr = init("m.pt", "--config", config, "--rule", "mine")
        assert (status, stderr.splitlines()[0]) == (2, f"error: {config}: neither a spec nor a config")


def test_an_output_without_a_name(init: Any) -> None:
    torch.save({"a.weight": torch.ones(1)}, "m.pt")
    status, stdout, stderr = init("m.pt", "--rule", "*=zeros", "-o", "")
    assert (status, stdout) == (2, "")
    assert stderr.startswith("error: -o without a name\n")


def test_require_all_says_that_nothing_was_done(init: Any) -> None:
    torch.save({"a.weight": torch.ones(1), "": torch.ones(2)}, "m.pt")
    status, stdout, stderr = init("m.pt", "--rule", "a*=zeros", "--require-all", "-o", "out.pt")
    assert (status, stdout, Path("out.pt").exists()) == (1, "", False)
    assert stderr == (
        'note: 1 parameter is matched by no rule and kept: ""\n'
        "note: nothing was done, since --require-all wants a rule for each\n"
    )


def test_a_base_class_in_a_rule(done: Any) -> None:
    Path("m.yaml").write_text("model: [{Conv2d: [1, 2, 3]}, {Linear: [2, 1]}]\n")
    stdout = done("m.yaml", "--rule", "_ConvNd:*=zeros", "--format", "names")
    assert stdout == "0.weight\n0.bias\n"


def test_onto_the_input_itself(done: Any, init: Any) -> None:
    save_file({"w": torch.ones(3, 4), "n": torch.arange(5)}, "in.safetensors", {"format": "pt", "made by": "hand"})
    status, _, stderr = init("in.safetensors", "--rule", "w=mul(3)", "-o", "in.safetensors")
    assert status == 2
    assert "--force" in stderr
    done("in.safetensors", "--rule", "w=mul(3)", "-o", "in.safetensors", "--force")
    state = load_file("in.safetensors")
    assert torch.equal(state["w"], torch.full((3, 4), 3.0))
    assert torch.equal(state["n"], torch.arange(5))
    with safe_open("in.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "made by": "hand"}


@pytest.mark.parametrize(
    ("dtype", "tensor"), [("int64", torch.arange(6)), ("bool", torch.ones(6, dtype=torch.bool)), ("uint8", torch.ones(6, dtype=torch.uint8))]
)  # fmt: skip
def test_an_integer_tensor_is_refused_by_name(init: Any, dtype: str, tensor: Tensor) -> None:
    save_file({"w": torch.ones(3), "table": tensor}, "in.safetensors")
    status, stdout, stderr = init("in.safetensors", "--rule", "*=normal", "-o", "out.safetensors")
    assert (status, stdout) == (2, "")
    assert f"rule 1 on table [6]: it is of {dtype}" in stderr
    assert "'table=keep'" in stderr
    assert not Path("out.safetensors").exists()
    assert init("in.safetensors", "--rule", "*=normal", "--rule", "table=keep", "-o", "out.safetensors")[0] == 0
    assert torch.equal(load_file("out.safetensors")["table"], tensor)


def test_a_rule_that_matches_nothing_writes_nothing(init: Any) -> None:
    status, stdout, stderr = init("configs/mlp.yaml", "--rule", "*=ones", "--rule", "x=zeros", "-o", "out.pt")
    assert (status, stdout) == (1, "")
    assert "rule 2 (x=zeros) matches no parameter" in stderr
    assert not Path("out.pt").exists()
    assert (
        init("configs/mlp.yaml", "--rule", "*=ones", "--rule", "x=zeros", "-o", "out.pt", "--allow-unmatched")[0] == 0
    )
    assert Path("out.pt").exists()


def test_default_initialisation_is_that_of_show(done: Any) -> None:
    done("configs/lstm_tagger.yaml", "--rule", "tag.bias=zeros", "-o", "out.safetensors")
    from tests.making.live_models import open_live

    live = open_live("configs/lstm_tagger.yaml", device="cpu")
    state = load_file("out.safetensors")
    assert state.keys() == live.model.state_dict().keys()
    for name in ("tag.weight",):
        assert torch.equal(state[name], live.model.state_dict()[name])


def test_buffers_are_written_and_no_rule_means_them(done: Any, init: Any) -> None:
    done("configs/unet.yaml", "-o", "out.safetensors")
    state = load_file("out.safetensors")
    assert torch.equal(state["down1.1.running_var"], torch.ones(16))
    assert state["down1.1.num_batches_tracked"].dtype == torch.int64
    _, _, stderr = init("configs/unet.yaml", "--rule", "*running_var=zeros")
    assert "matches no parameter: it matches only buffers, such as down1.1.running_var" in stderr


def test_weights_are_kept_and_edited(done: Any) -> None:
    done("configs/mlp.yaml", "--rule", "*=constant(5)", "-o", "fives.pt")
    done("configs/mlp.yaml", "--weights", "fives.pt", "--rule", "*bias=add(1)", "-o", "out.pt")
    state = torch.load("out.pt", weights_only=True)
    assert {name: float(tensor.mean()) for name, tensor in state.items()} == {
        "0.weight": 5, "0.bias": 6, "2.weight": 5, "2.bias": 6,
    }  # fmt: skip


def test_a_factory(done: Any) -> None:
    done("configs/my_model.py:MyModel", "--arg", "size=4", "--rule", "weight1=eye", "-o", "out.pt")
    state = torch.load("out.pt", weights_only=True)
    assert list(state) == ["weight1"]
    assert torch.equal(state["weight1"], torch.eye(4))


def test_a_config_apart_from_the_model(done: Any) -> None:
    Path("rules.yaml").write_text("vars: {k: 4}\ninit: {mine: ['*weight=constant(k/8)'], other: ['*=zeros']}\n")
    save_file({"weight": torch.zeros(2), "bias": torch.ones(2)}, "in.safetensors")
    done("in.safetensors", "--config", "rules.yaml", "--rule", "mine", "-o", "out.safetensors")
    assert load_file("out.safetensors")["weight"].tolist() == [0.5, 0.5]
    done("in.safetensors", "--config", "rules.yaml", "--rule", "mine", "-D", "k=16", "-o", "out.pt")
    assert torch.load("out.pt", weights_only=True)["weight"].tolist() == [2, 2]


@pytest.mark.parametrize(("end", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_end_leaves_the_old_file_and_nothing_else(command: Any, end: signal.Signals, status: int) -> None:
    program, environ = command
    Path("out.safetensors").write_text("old")
    line = [*program, "init", "configs/gpt2.yaml", "-D", "depth=4", "-o", "out.safetensors", "--force"]
    process = subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    partial = Path(".out.safetensors.paraminspect-partial")
    for _ in range(3000):
        if partial.exists():
            break
        time.sleep(0.02)
    os.kill(process.pid, end)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == status, stderr
    assert (stdout, stderr) == (b"", b"")
    assert Path("out.safetensors").read_text() == "old"
    assert not partial.exists()


def test_statistics_are_those_of_what_is_written(done: Any) -> None:
    stdout = done(*TINY, "--rule", "*=uniform(-1, 3)", "--dtype", "bfloat16", "-o", "out.safetensors", "-f", "json")
    state = load_file("out.safetensors")
    for step in json.loads(stdout)["steps"]:
        tensor = state[step["name"]].double()
        assert step["mean"] == pytest.approx(float(tensor.mean()), rel=1e-9, abs=1e-12)
        assert step["std"] == pytest.approx(float(tensor.std()), rel=1e-9)
        assert (step["min"], step["max"]) == (float(tensor.min()), float(tensor.max()))
