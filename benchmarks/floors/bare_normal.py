"""Floor of `init`: the bare `normal_` calls for GPT-2 of some size; with a file's name, also what most scripts do then.

python bare_normal.py WIDTH LAYERS [FILE.safetensors]
"""

from __future__ import annotations

import os
import sys

import torch

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from scripts.gpt2 import gpt2_shapes

shapes = gpt2_shapes(width=int(sys.argv[1]), layers=int(sys.argv[2]))
if len(sys.argv) == 3:
    for shape in shapes.values():
        torch.empty(shape).normal_(std=0.02)
else:
    from safetensors.torch import save_file

    save_file({name: torch.empty(shape).normal_(std=0.02) for name, shape in shapes.items()}, sys.argv[3])
