"""Make the files that `make demo` and the README look into: `python -m scripts.make_demo FOLDER`.

- gpt2.pt: GPT-2's 148 tensors with random values and its head tied to the embedding.
- training.pt: a training checkpoint: model, optimizer, epoch, arguments.
- base.pt, tuned.safetensors: a small model before and after fine-tuning, of numbers that are exact in binary.
- finetuned.safetensors: another head on the first layer of training.pt, which stayed as it was.
- quantised.gguf: four tensors of a small model, in three types of blocks; all numbers are 0.
- hostile.pt: a checkpoint whose pickle calls `os.system` when `torch.load(weights_only=False)` reads it.
- configs: a link to the specs, so that what the documents show can be typed in this folder.
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from paraminspect import convert
from scripts.demo import ROOT
from scripts.gpt2 import EMBEDDING, HEAD, gpt2_shapes

STD = 0.02
"""Of the random weights, as GPT-2 was initialised."""


def gpt2_state_dict() -> dict[str, torch.Tensor]:
    """Random weights in GPT-2's shapes; `lm_head.weight` is the embedding itself."""
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=generator).mul_(STD) for name, shape in gpt2_shapes().items()}
    state[HEAD] = state[EMBEDDING]
    return state


def training_checkpoint() -> dict[str, Any]:
    """What a training loop saves, after one step of a small classifier."""
    model = nn.Sequential(nn.Linear(784, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 784)).sum().backward()
    optimizer.step()
    # exact values: documents print them, and random ones differ from machine to machine
    model.get_buffer("1.running_mean").copy_(torch.arange(256) / 8 - 16)
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "args": argparse.Namespace(lr=1e-3, data="mnist"),
    }


def base_state_dict() -> dict[str, torch.Tensor]:
    """Numbers between -1/4 and 1/4, most of them near 0, that every machine prints alike."""

    def weight(*shape: int) -> torch.Tensor:
        count = torch.arange(torch.Size(shape).numel())
        return ((count * 7 % 64 + count * 13 % 61 - 62) / 256).reshape(shape)

    embedding = weight(96, 32)
    return {
        "embed.weight": embedding,
        "fc.weight": weight(48, 32),
        "fc.bias": torch.zeros(48),
        "norm.weight": torch.ones(48),
        "head.weight": embedding,
    }


def tuned_state_dict() -> dict[str, torch.Tensor]:
    """The same after fine-tuning: one weight moved, one went wrong, one is stored in half the bits, one is new."""
    state = {name: tensor.clone() for name, tensor in base_state_dict().items()}
    state["fc.weight"][::4] += 1 / 64
    state["fc.bias"][5] = torch.nan
    state["head.weight"] = state["head.weight"].bfloat16()
    state["adapter.weight"] = torch.zeros(4, 32)
    return state


def finetuned_state_dict(training: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The first layer of the training checkpoint, and a head of its own."""
    first = {f"backbone.{name}": training["model"][f"0.{name}"].clone() for name in ("weight", "bias")}
    return {**first, "head.weight": torch.arange(5 * 256.0).view(5, 256), "head.bias": torch.arange(5.0)}


def save_safetensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """As the command `convert` writes them: the package brings no other writer."""
    saved = path.with_suffix(".tmp")
    torch.save(tensors, saved)
    convert(saved, path, force=True)
    saved.unlink()


def gguf_bytes(tensors: dict[str, tuple[tuple[int, ...], int, int]]) -> bytes:
    """A GGUF file, version 3, whose blocks are all zeros.

    Args:
        tensors: Name -> shape as torch has it, number of the type, bytes of one row.
    """

    def text(word: str) -> bytes:
        return struct.pack("<Q", len(word)) + word.encode()

    header = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), 1)
    header += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    offset = 0
    for name, (shape, kind, row_nbytes) in tensors.items():
        header += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, offset)
        offset += row_nbytes * (shape[0] if len(shape) > 1 else 1)
    return header + bytes(-len(header) % 32) + bytes(offset)


GGUF_TENSORS = {
    "token_embd.weight": ((512, 256), 12, 144),  # q4_k: 144 bytes for 256 numbers
    "blk.0.attn_q.weight": ((256, 256), 12, 144),
    "blk.0.ffn_down.weight": ((256, 512), 14, 420),  # q6_k: 210 bytes for 256 numbers
    "output_norm.weight": ((256,), 0, 1024),  # float32
}


class RunsACommand:
    """Unpickled by calling `os.system`, harmlessly."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo this file ran a command",)


def main() -> None:
    """Write the files, the one that `make` waits for last."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "configs").exists():
        (folder / "configs").symlink_to(os.path.relpath(ROOT / "configs", folder))
    training = training_checkpoint()
    torch.save(training, folder / "training.pt")
    save_safetensors(finetuned_state_dict(training), folder / "finetuned.safetensors")
    torch.save(base_state_dict(), folder / "base.pt")
    save_safetensors(tuned_state_dict(), folder / "tuned.safetensors")
    (folder / "quantised.gguf").write_bytes(gguf_bytes(GGUF_TENSORS))
    weights = {"fc.weight": torch.zeros(10, 784), "fc.bias": torch.zeros(10)}
    torch.save({**weights, "version": RunsACommand()}, folder / "hostile.pt")
    torch.save(gpt2_state_dict(), folder / "gpt2.pt")


if __name__ == "__main__":
    main()
