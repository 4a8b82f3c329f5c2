"""Command lines run in this process on made-up checkpoints."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from paraminspect import formats
from paraminspect.cli import app
from paraminspect.errors import SourceError, TruncatedError
from paraminspect.formats.source import open_source as open_file
from paraminspect.records import Checkpoint, Storage, TensorRecord


class Result(NamedTuple):
    status: int
    stdout: str
    stderr: str


class Stream(io.TextIOWrapper):
    """What sys.stdout is, on memory: a pipe, or a terminal."""

    def __init__(self, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="backslashreplace")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


SIZES = {"float32": 4, "bfloat16": 2, "int64": 8}


def tensor(name: str, *shape: int, dtype: str = "float32", storage: Storage | None = None, **more: Any) -> TensorRecord:
    numel = math.prod(shape)
    return TensorRecord(name, shape, dtype, numel, numel * SIZES[dtype], storage=storage, **more)


def gpt2() -> Checkpoint:
    head = Storage("0", 50257 * 768 * 4)
    tensors = [tensor("wte.weight", 50257, 768, storage=head), tensor("wpe.weight", 1024, 768)]
    # The order of a safetensors file, in which h.10 comes before h.2.
    for layer in sorted(map(str, range(12))):
        for part, shape in (
            ("ln_1", [768]), ("attn.c_attn", [768, 2304]), ("attn.c_proj", [768, 768]),
            ("ln_2", [768]), ("mlp.c_fc", [768, 3072]), ("mlp.c_proj", [3072, 768]),
        ):  # fmt: skip
            tensors += [tensor(f"h.{layer}.{part}.weight", *shape), tensor(f"h.{layer}.{part}.bias", shape[-1])]
    tensors += [
        tensor("ln_f.weight", 768),
        tensor("ln_f.bias", 768),
        tensor("lm_head.weight", 50257, 768, storage=head),
    ]
    return Checkpoint("safetensors", tensors)


def whole_module() -> Checkpoint:
    """A pickled module, of which the file says everything."""
    linear, norm = "torch.nn.modules.linear.Linear", "torch.nn.modules.batchnorm.BatchNorm1d"
    known = {"kind": "parameter", "trainable": True}
    return Checkpoint(
        "torch zip",
        [
            tensor("0.weight", 3, 4, module_type=linear, **known),
            tensor("0.bias", 3, module_type=linear, kind="parameter", trainable=False),
            tensor("1.weight", 3, module_type=norm, **known),
            tensor("1.running_mean", 3, module_type=norm, kind="buffer"),
            tensor("1.num_batches_tracked", dtype="int64", module_type=norm, kind="buffer"),
            tensor("scale", module_type="mylib.Net", role="attribute"),
        ],
    )


def training() -> Checkpoint:
    return Checkpoint(
        "torch zip",
        [
            tensor("model.embed.weight", 10, 4, dtype="bfloat16", part="model"),
            tensor("model.head.weight", 10, 4, dtype="bfloat16", part="model"),
            tensor("model.head.bias", 10, part="model"),
            tensor("optimizer.state.0.exp_avg", 10, 4, part="optimizer", role="optimizer"),
            tensor("optimizer.state.0.exp_avg_sq", 10, 4, part="optimizer", role="optimizer"),
            tensor("rng", 16, dtype="int64", role="state"),
        ],
        notes=("the pickle names argparse.Namespace, which was not imported",),
    )


def hostile() -> Checkpoint:
    return Checkpoint(
        "safetensors",
        [
            tensor("clear\x1b[2J\nnew|line\ttab", 2),
            tensor("\u202eevil\u200b", 1),
            tensor("层.权重", 3),
            tensor('back\\slash,"quoted"`', 1),
            tensor("lone\udc80", 1),
        ],
        notes=("odd\x1b[31m note",),
    )


def shared() -> Checkpoint:
    """Layers that share with the first one, and a view."""
    first, table = Storage("0", 64), Storage("1", 48)
    layers = [tensor(f"layers.{i}.weight", 4, 4, storage=first) for i in range(4)]
    return Checkpoint(
        "torch zip", [*layers, tensor("a.table", 3, 4, storage=table), tensor("b.table", 12, storage=table)]
    )


def odd() -> Checkpoint:
    """Nothing but what is seldom."""
    return Checkpoint(
        "torch zip",
        [
            tensor("", 2),
            TensorRecord("ragged", None, "float32", 5, None),
            tensor("empty", 0, 7),
            tensor("module"),
            tensor("module.inside"),
            tensor("module..gap"),
        ],
    )


CHECKPOINTS: dict[str, Callable[[], Checkpoint]] = {
    "gpt2.safetensors": gpt2,
    "net.pt": whole_module,
    "training.pt": training,
    "hostile.safetensors": hostile,
    "shared.pt": shared,
    "odd.pt": odd,
    "-": whole_module,
    "nothing.pt": lambda: Checkpoint("torch zip", []),
}


def safetensors(tensors: dict[str, tuple[str, list[int], bytes]], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a file."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def before() -> bytes:
    """Numbers whose sums and squares are exact in any order."""
    return safetensors(
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
    return safetensors(
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
    kinds = (("a.q8_0", 32, 8), ("b.iq2_xxs", 256, 16), ("c.iq2_xxs", 256, 16))
    infos = b"".join(
        struct.pack(f"<Q{len(name)}sIQIQ", len(name), name.encode(), 1, numel, kind, 128 * place)
        for place, (name, numel, kind) in enumerate(kinds)
    )
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(kinds), 0) + infos
    block = struct.pack("<e", 0.5) + bytes(range(32))
    return head.ljust(-(-len(head) // 32) * 32, b"\0") + block.ljust(128, b"\0") + bytes(128 + 66)


FILES = {"before.safetensors": before, "after.safetensors": after, "mixed.gguf": mixed}
"""Whose values are read."""


def open_stub(source: str) -> Checkpoint:
    if source in FILES:
        return open_file(source)
    if source == "broken.pt":
        raise TruncatedError("the file ends at byte 7", hint="fetch it again", source=source)
    if source == "bug.pt":
        raise ZeroDivisionError("division by zero")
    if source == "deep.pt":
        raise RecursionError
    if source == "big.pt":
        raise MemoryError
    if source not in CHECKPOINTS and os.path.exists(source):
        return open_file(source)
    if source not in CHECKPOINTS:
        raise SourceError("no such file or folder", source=source)
    return replace(CHECKPOINTS[source](), source=source)


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


CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a command line: specs that are wrong, a Python file, and `configs`."""
    for name, text in {**SPECS, **CODE}.items():
        (tmp_path / name).write_text(text, "utf-8")
    for name, make in FILES.items():
        (tmp_path / name).write_bytes(make())
    for name, data in HOSTILE.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "configs").symlink_to(CONFIGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command line: `run("list", "gpt2.safetensors", terminal=True, COLUMNS="60")`."""

    def run_line(*arguments: str, terminal: bool = False, encoding: str = "utf-8", **environ: str) -> Result:
        monkeypatch.setattr(formats, "open_source", open_stub)
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PARAMINSPECT_DEBUG"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        stdout, stderr = Stream(terminal, encoding), Stream(terminal)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            patch.setattr(sys, "stderr", stderr)
            status = app.run(arguments)
        return Result(status, stdout.text(), stderr.text())

    return run_line


@pytest.fixture
def command() -> tuple[list[str], dict[str, str]]:
    """How to start the program as a process of its own, and with what environment."""
    source = str(Path(app.__file__).parents[2])
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return [sys.executable, "-m", "paraminspect"], {**keep, "PYTHONPATH": source}


def write_safetensors(path: Path, shapes: dict[str, list[int]]) -> Path:
    """A file of tensors without elements."""
    entries = {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    header = json.dumps(entries).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of a few tensors."""
    return write_safetensors(tmp_path / "model.safetensors", {f"h.{i}.weight": [i, 0] for i in range(3)})


@pytest.fixture
def large_model(tmp_path: Path) -> Path:
    """A model that prints more text than a pipe holds, in every format."""
    return write_safetensors(tmp_path / "large.safetensors", {f"layers.{i}.weight": [i, 0] for i in range(10_000)})
