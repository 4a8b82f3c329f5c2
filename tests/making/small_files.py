"""Small files for command lines: values, specs right and wrong, code, pickles that run something."""

from __future__ import annotations

import math
import struct

from tests.making.safetensors_files import floats, safetensors_bytes


def before() -> bytes:
    """Numbers whose sums and squares are exact in any order."""
    return safetensors_bytes(
        {
            "model.fc.weight": ("F32", [4, 4], floats(*[number / 8 for number in range(-8, 8)])),
            "model.fc.bias": ("F32", [4], floats(0, 0, 0, 0)),
            "model.norm.weight": ("F32", [3], floats(1, 1, 1)),
            "model.odd": ("F32", [5], floats(math.nan, math.inf, -math.inf, -0.0, 2)),
            "model.half": ("BF16", [2], floats(0.5)[2:] + floats(-4)[2:]),
            "model.steps": ("I8", [2, 2], bytes([0, 1, 2, 255])),
            "model.nothing": ("F32", [0], b""),
        },
        {"model.tied": "model.fc.weight", "format": "pt"},
    )


def after() -> bytes:
    """The same without a prefix, trained for a step, with some changes more."""
    return safetensors_bytes(
        {
            "fc.weight": ("F32", [4, 4], floats(*[number / 8 for number in range(-8, 7)], 1.375)),
            "fc.bias": ("F32", [4], floats(-0.0, 0, 0, 0)),
            "norm.weight": ("F32", [1, 3], floats(1, 1, 1)),
            "odd": ("F32", [5], floats(math.nan, math.inf, 1, -0.0, 2)),
            "half": ("F32", [2], floats(0.5, -4)),
            "tied": ("F32", [4, 4], floats(*[number / 8 for number in range(-8, 8)])),
            "added": ("F32", [2], floats(3, 4)),
            "nothing": ("F32", [0], b""),
        }
    )


def mixed() -> bytes:
    """A GGUF file of a block that can be decoded and two that cannot."""
    kinds = (("a.q8_0", 32, 8), ("b.q2_0", 256, 42), ("c.q2_0", 256, 42))
    infos = b"".join(
        struct.pack(f"<Q{len(name)}sIQIQ", len(name), name.encode(), 1, numel, kind, 128 * place)
        for place, (name, numel, kind) in enumerate(kinds)
    )
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(kinds), 0) + infos
    block = struct.pack("<e", 0.5) + bytes(range(32))
    return head.ljust(-(-len(head) // 32) * 32, b"\0") + block.ljust(128, b"\0") + bytes(128 + 72)


def hostile_metadata() -> bytes:
    """Metadata that would clear a screen, turn text around, forge a line, and fill a terminal."""
    metadata = {
        "title": "\x1b[2J\u202egpj.exe",
        "author\nsafety": "line one\nsafety      fine\r",
        "notes": "long " * 400,
        "tab\t": "\\",
    }
    return safetensors_bytes({"h.0.w": ("F32", [2], floats(1, 2)), "h.1.w": ("F32", [2], floats(1, 2))}, metadata)


_ARRAY = (
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01K\x02\x85cnumpy\ndtype\n"
    b"(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89C\x08" + floats(1, 2) + b"tb"
)
"""A pickled array of two numbers."""


def owned() -> bytes:
    """A training checkpoint that runs a command when it is loaded."""
    text = b"X\x05\x00\x00\x00epochK\x03X\x01\x00\x00\x00w" + _ARRAY
    return b"\x80\x03}(" + text + b"X\x01\x00\x00\x00xcposix\nsystem\nX\x02\x00\x00\x00id\x85Ru."


FILES = {
    "before.safetensors": before,
    "after.safetensors": after,
    "mixed.gguf": mixed,
    "metadata.safetensors": hostile_metadata,
    "owned.pkl": owned,
}
"""Read as they are."""

SPECS = {
    "unknown_type.yaml": "model:\n  - Linear: [4, 3]\n  - RELU\n",
    "wrong_argument.yaml": "model:\n  - name: body\n    Sequential:\n      - {Linear: {in_features: 4, out: 3}}\n",
    "bad_value.yaml": "model:\n  - {Conv2d: [3, 16, 3, {groups: 2}]}\n",
    "duplicate_key.yaml": "model: [ReLU]\nmodel: [GELU]\n",
    "duplicate_name.yaml": "model:\n  - {ReLU, name: act}\n  - {GELU, name: act}\n",
    "yes_no.yaml": "model:\n  - {Linear: [4, 3, {bias: no}]}\n",
    "glob.yaml": "model: [ReLU]\ninit: [*.weight=zeros]\n",
    "cycle.yaml": "blocks:\n  A: {layers: [B]}\n  B: {layers: [A]}\nmodel: [A]\n",
    "repeat.yaml": "model:\n  - {ReLU, name: h, repeat: 1000000000}\n",
    "power.yaml": "model:\n  - Linear: [4, $(9**9**9)]\n",
    "unknown_variable.yaml": "vars: {dim: 4}\nmodel:\n  - Linear: [$dmi, 3]\n",
    "tie_shapes.yaml": "model:\n  - Linear: [4, 3]\n  - Linear: [3, 5]\ntie: {1.weight: 0.weight}\n",
    "undefined_use.yaml": "shared: {linear: {Linear: [4, 4]}}\nmodel: [{use: linaer}]\n",
    "unused_shared.yaml": "shared: {linear: {Linear: [4, 4]}}\nmodel: [ReLU]\n",
    "forward.yaml": "model:\n  - Linear: [4, 3]\n  - name: body\n    Sequential: [ReLU, {Linear: [4, 2]}]\ninput: [2, 4]\n",
    "scaled.yaml": "model:\n  - Linear: [4, 3]\n  - Scale: 3\ninput: [2, 4]\n",
    "folded.yaml": "blocks:\n  Block: {layers: [{Linear: [400, 400]}, ReLU]}\nmodel:\n  - {Block, name: h, repeat: 12}\n  - {Linear: [400, 5], name: head}\n",
    "import.yaml": "model:\n  - os.system: [ls]\n",
    "utils.yaml": "model:\n  - utils: []\n",
    "syntax.yaml": "model:\n  - Linear: [4, 3\n  - ReLU\n",
    "wrong_model.yaml": "model: 3\n",
    "spec.json": '{"model": [{"Linear": [4, 3]}, "ReLU"]}\n',
    "huge.yaml": "model:\n  - Linear: [4000000000, 4000000000]\n",
    "aliased.yaml": "model:\n  - &block {Linear: [4, 4]}\n  - ReLU\n  - *block\n",
    "lazy.yaml": "model:\n  - LazyLinear: 3\n  - ReLU\ninput: [2, 5]\n",
    "lazy_no_input.yaml": "model:\n  - LazyLinear: 3\n",
}


CODE = {
    "models.py": """import torch
from torch import nn

made = nn.Linear(2, 2)
number = 7

class Scale(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))
        self.register_buffer("shift", torch.zeros(size))
    def forward(self, x):
        return x * self.gain + self.shift

def make(width=8):
    return nn.Sequential(nn.Linear(4, width), Scale(width))

def broken():
    raise ValueError("no data here")

def text():
    return "a model"

def real():
    return nn.Linear(int(torch.ones(3).sum()), 2)
""",
    "fault.py": "import nothing_of_that_name\n",
}


HOSTILE = {
    "evil.pkl": b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.",
    "odd.pkl": b"\x80\x04\x8c\x06a\x1b[2Jb\x8c\x03f\ng\x93.",
    "text.pkl": b"c__builtin__\neval\n(S'1'\ntR.",
    "cut.npy": b"\x93NUMPY\x01\x00",
}
"""Files for `check`, which looks at bytes."""
