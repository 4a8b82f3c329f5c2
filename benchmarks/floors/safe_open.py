"""Peer for safetensors: its own reader, names and shapes of a file or of a folder of shards."""

from __future__ import annotations

import os
import sys

from safetensors import safe_open

path = sys.argv[1]
files = sorted(os.path.join(path, name) for name in os.listdir(path)) if os.path.isdir(path) else [path]
rows = []
for file in files:
    if file.endswith(".safetensors"):
        with safe_open(file, framework="np") as opened:
            for name in opened.keys():  # noqa: SIM118 - no mapping
                part = opened.get_slice(name)
                rows.append(f"{name}\t{part.get_shape()}\t{part.get_dtype()}\n")
sys.stdout.write("".join(rows))
