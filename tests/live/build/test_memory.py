from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from paraminspect.live.build import memory
from paraminspect.live.build.memory import available_memory, is_out_of_memory, needed_memory


def test_a_model_needs_each_tensor_once_and_a_gradient_of_what_trains() -> None:
    net = nn.ModuleDict(
        {"a": nn.Linear(10, 10, bias=False), "b": nn.Linear(10, 10, bias=False), "n": nn.BatchNorm1d(3)}
    )
    assert needed_memory(net) == (2 * 2 * 100 + 2 * 6 + 6) * 4 + 8
    net["b"].weight = net["a"].weight  # type: ignore[assignment]
    assert needed_memory(net) == (2 * 100 + 2 * 6 + 6) * 4 + 8
    net.requires_grad_(False)
    assert needed_memory(net) == (100 + 6 + 6) * 4 + 8


def test_what_says_that_memory_did_not_do() -> None:
    said = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes")
    assert all(map(is_out_of_memory, [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), said]))
    assert not any(map(is_out_of_memory, [RuntimeError("shapes"), ValueError("out of memory")]))


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "_CGROUP", str(tmp_path))
    monkeypatch.setattr(memory, "_from_proc", lambda: 10**6)
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("3000\n")
    (tmp_path / "memory.stat").write_text("anon 1\nactive_file 100\ninactive_file 20\nfile 999\n")
    return tmp_path


def test_a_container_leaves_its_limit_without_what_is_used_but_for_cached_files(group: Path) -> None:
    assert available_memory() == 5000 - 3000 + 120


@pytest.mark.parametrize(
    ("file", "text", "due"),
    [("memory.max", "max\n", 10**6), ("memory.current", "9000\n", 0), ("memory.max", "9999999999\n", 10**6)],
)
def test_the_least_of_both_counts(group: Path, file: str, text: str, due: int) -> None:
    (group / file).write_text(text)
    assert available_memory() == due


def test_no_container_and_no_word_of_the_system(group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (group / "memory.stat").unlink()
    assert available_memory() == 10**6
    monkeypatch.setattr(memory, "_from_proc", lambda: None)
    assert available_memory() is None
    assert available_memory("mps") is None
