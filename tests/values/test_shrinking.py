"""Files that become shorter after their headers were read: an error in words, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from paraminspect.values import stored_bytes
from tests.making.running import run_here

COMMANDS = {
    "show": ["show", "m.safetensors", "0.weight"],
    "full": ["show", "m.safetensors", "*", "--full"],
    "json": ["show", "m.safetensors", "0.weight", "--slice", "-1", "--format", "json"],
    "weights": ["show", "spec.yaml", "0.weight", "--weights", "m.safetensors"],
    "grad": ["grad", "spec.yaml", "--weights", "m.safetensors"],
    "edit": ["init", "m.safetensors", "--rule", "*=add(1)", "-o", "out.safetensors"],
    "kept": ["init", "m.safetensors", "--rule", "0.bias=zeros", "-o", "out.pt"],
    "init": ["init", "spec.yaml", "--weights", "m.safetensors", "--rule", "*=add(1)", "-o", "out.pt"],
    "convert": ["convert", "m.safetensors", "--dtype", "float16", "-o", "out.safetensors"],
    "stats": ["stats", "m.safetensors"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text("model: [{Linear: [1000, 100]}]\ninput: [1, 1000]\n")
    state = {"0.weight": torch.ones(100, 1000), "0.bias": torch.ones(100)}
    safetensors.torch.save_file(state, "m.safetensors")
    opened = stored_bytes.open_again

    def shrink(path: str | None) -> object:
        blob = opened(path)
        os.truncate("m.safetensors", 5000)
        return blob

    monkeypatch.setattr(stored_bytes, "open_again", shrink)
    done = run_here(*COMMANDS[command])
    assert done.status == 2
    assert "the file changed while it was read: it had" in done.stderr
    assert sorted(os.listdir()) == ["m.safetensors", "spec.yaml"]
