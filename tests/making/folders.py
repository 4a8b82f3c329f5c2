"""Folders of models: files of safetensors written and read by safetensors itself, and indexes of them."""

from __future__ import annotations

import json
import os
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from paraminspect.records import Checkpoint, TensorRecord

INDEX = "model.safetensors.index.json"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


class Reader:
    """The `read_file` that is handed in; it remembers what it was asked to open."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def __call__(self, path: str) -> Checkpoint:
        self.opened.append(path)
        tensors = []
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            for name in file.keys():  # noqa: SIM118 (no mapping)
                shape = tuple(file.get_slice(name).get_shape())
                tensors.append(TensorRecord(name, shape, "float32", prod(shape), 4 * prod(shape)))
        return Checkpoint("safetensors", tensors, metadata, nbytes=os.path.getsize(path), files=(path,))


def save(path: Path, *names: str, metadata: dict[str, str] | None = None, size: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.zeros(size, np.float32) for name in names}, path, metadata)


def write_index(folder: Path, weight_map: Any, name: str = INDEX, **more: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({"weight_map": weight_map, **more}))
    return path


def names(checkpoint: Checkpoint) -> list[str]:
    return [tensor.name for tensor in checkpoint.tensors]
