"""The examples that the help of every command ends with: taken from the commands, and run by a shell as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from paraminspect.cli.app import COMMANDS, find_declared, make_group

Command = tuple[list[str], dict[str, str]]

ANSWERS_NO = {
    "paraminspect diff base.safetensors tuned.safetensors",
    "paraminspect diff old.pt new.gguf --map 'module.*=*' -f names | sort -u",
    "paraminspect check *.pt -f jsonl | jq 'select(.severity == \"danger\").name'",
}
"""Examples that end with exit status 1 on these files: there is a difference, or a danger."""

PRINTS_NOTHING = {
    "paraminspect check -q model.pt || echo bad",
    "paraminspect report base.safetensors tuned.safetensors | gzip > changes.gz",
}

MODEL = """
vars: {dim: 4}
model:
  - {Embedding: [8, $dim], name: wte}
  - Sequential:
      - Sequential:
          - {Sequential: [{Linear: [$dim, 12], name: c_attn}, {Linear: [12, $dim], name: c_proj}], name: attn}
        name: "0"
    name: h
  - {Linear: [$dim, 8, {bias: false}], name: lm_head}
tie: {lm_head.weight: wte.weight}
input: {shape: [2, 3], dtype: int64, high: 8}
init: {gaussian: ['*=normal(std=0.02)']}
"""

BUILD = """
from torch import nn

def make_net():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))
    net[0].bias.requires_grad_(False)
    return net
"""


class Payload:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("true",)


def examples() -> list[str]:
    return [*make_group().declared.examples, *(line for name in COMMANDS for line in find_declared(name).examples)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that examples name, small."""
    folder = tmp_path_factory.mktemp("examples")
    table = torch.randn(8, 4)
    state = OrderedDict(
        {
            "wte.weight": table, "h.0.attn.c_attn.weight": torch.randn(12, 4), "h.0.attn.c_attn.bias": torch.randn(12),
            "h.0.attn.c_proj.weight": torch.randn(4, 12), "h.0.attn.c_proj.bias": torch.randn(4),
            "lm_head.weight": table,
        }
    )  # fmt: skip
    for name in ("a.pt", "b.pt"):
        torch.save(state, folder / name)
    torch.save(OrderedDict({**state, "fc.bias": torch.randn(3)}), folder / "model.pt")
    torch.save({"model": state, "optimizer": {"state": {}}}, folder / "training.pt")
    torch.save({"w": torch.zeros(1), "extra": Payload()}, folder / "evil.pt")
    stored = {name: tensor for name, tensor in state.items() if name != "lm_head.weight"}
    save_file(stored, folder / "model.safetensors")
    save_file(stored, folder / "base.safetensors")
    save_file({**stored, "wte.weight": table + 1}, folder / "tuned.safetensors")
    torch.save({"module.w": torch.zeros(2), "module.v": torch.zeros(2)}, folder / "old.pt")
    writer = gguf.GGUFWriter(folder / "new.gguf", "llama")
    writer.add_tensor("w", np.zeros(2, np.float32))
    writer.add_tensor("v", np.ones(2, np.float32))
    for write in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        write()
    for name in ("model.yaml", "gpt2.yaml"):
        (folder / name).write_text(MODEL)
    (folder / "build.py").write_text(BUILD)
    configs = Path(__file__).resolve().parents[2] / "configs"
    shutil.copy(configs / "mlp.yaml", folder)
    (folder / "configs").symlink_to(configs)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_two_examples_one_of_them_a_pipe(name: str) -> None:
    lines = find_declared(name).examples
    assert len(lines) == 2
    assert any(" | " in line for line in lines)
    assert all(line.startswith(f"paraminspect {name} ") for line in lines)
    assert max(map(len, lines)) <= 76, "the help indents them by four, on a terminal of 80 columns"


@pytest.mark.parametrize("example", examples())
def test_example(example: str, command: Command, files: Path, tmp_path: Path) -> None:
    tools = {"bash", *re.findall(r"\| (\w+)", re.sub(r"'[^']*'", "", example))} - {"paraminspect"}
    for tool in sorted(tools):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} here")
    folder, binaries = tmp_path / "work", tmp_path / "bin"
    shutil.copytree(files, folder, symlinks=True)
    for written in re.findall(r"-o (\S+)", example):
        (folder / written).unlink(missing_ok=True)
    program, environ = command
    binaries.mkdir()
    (binaries / "paraminspect").write_text(f'#!/bin/sh\nexec {" ".join(program)} "$@"\n')
    (binaries / "paraminspect").chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {example}"], cwd=folder, capture_output=True, text=True, check=False,
        env={**environ, "PATH": f"{binaries}:{environ['PATH']}"}, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert done.returncode == (example in ANSWERS_NO), done.stderr
    assert "error" not in done.stderr
    assert bool(done.stdout or done.stderr) != (example in PRINTS_NOTHING)
