"""TorchScript archives, held against the module that was scripted or traced."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from paraminspect.errors import CheckpointError, LimitExceededError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats.pytorch import script as torchscript
from paraminspect.formats.pytorch.script import is_torchscript, read_torchscript
from paraminspect.formats.source import open_source
from paraminspect.formats.zip_file import read_zip_directory
from paraminspect.records import Checkpoint
from tests.making.torch_files import script_bytes
from tests.making.zips import zip_bytes

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

LikeTorch = Callable[..., None]


class Block(nn.Module):
    """Tensors of every standing: parameter, frozen, buffer, plain attribute, in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.arange(3.0))
        self.frozen = nn.Parameter(torch.arange(4.0), requires_grad=False)
        self.register_buffer("mask", torch.ones(2, 2))
        self.register_buffer("hidden", torch.zeros(5, dtype=torch.int64), persistent=False)
        self.ignored = torch.ones(6)
        self.several = [torch.ones(2), torch.ones(3)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale.sum() + self.frozen.sum() + self.mask.sum() + self.ignored.sum() + self.several[0].sum()


class Net(nn.Module):
    """Submodules in lists, one of them twice, tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.shared = Block()
        self.same = self.shared
        self.first = nn.Linear(2, 2)
        self.second = nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.norm(self.second(self.first(self.same(self.shared(x)))))


def script() -> torch.jit.ScriptModule:
    return torch.jit.script(Net())


def read(data: bytes) -> Checkpoint:
    return read_torchscript(read_zip_directory(Blob.from_bytes(data)))


MODULES: dict[str, Callable[[], torch.jit.ScriptModule]] = {
    "script": script,
    "trace": lambda: torch.jit.trace(Net().eval(), torch.ones(3, 2), check_trace=False),
    "function": lambda: torch.jit.script(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 3))),
    "lstm": lambda: torch.jit.script(nn.LSTM(3, 4, num_layers=2)),
    "half": lambda: torch.jit.script(nn.Linear(3, 4).half()),
    "empty": lambda: torch.jit.script(nn.ReLU()),
}


@pytest.mark.parametrize("name", MODULES)
def test_like_torch(name: str, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    path = tmp_path / "model.pt"
    torch.jit.save(MODULES[name](), path)
    checkpoint = open_source(path)
    assert checkpoint.format == "torchscript"
    assert_like_torch(checkpoint, torch.jit.load(path))


def test_a_frozen_module_has_attributes_only(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    frozen = torch.jit.freeze(torch.jit.script(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))).eval())
    torch.jit.save(frozen, path)
    assert [record.name for record in open_source(path).tensors] == list(torch.jit.load(path).state_dict())


def test_attributes_that_are_neither_parameter_nor_buffer_are_no_part_of_the_model() -> None:
    checkpoint = read(script_bytes(script()))
    ignored = [record.name for record in checkpoint.tensors if record.role == "attribute"]
    blocks = ("blocks.0", "blocks.1", "shared", "same")
    assert ignored == [f"{block}.{name}" for block in blocks for name in ("ignored", "several.0", "several.1")]
    assert checkpoint.notes == ()


def test_classes_are_named_without_what_torchscript_adds() -> None:
    types = {record.name: record.module_type for record in read(script_bytes(script())).tensors}
    assert types["first.weight"] == "torch.nn.modules.linear.Linear"
    around = {record.name: record.classes.around for record in read(script_bytes(script())).tensors}
    assert [each.rpartition(".")[2] for each in around["blocks.0.scale"]] == ["ModuleList", "Net"]
    blocks = {types["blocks.0.scale"], types["shared.scale"]}
    assert len(blocks) == 1
    assert blocks.pop().endswith("test_script.Block")  # type: ignore[union-attr]


def test_nothing_of_the_standard_library_of_torchscript_is_noted_as_dangerous() -> None:
    for make in MODULES.values():
        assert not any("run code" in note for note in read(script_bytes(make())).notes)


# --- archives that torch never wrote ----------------------------------------------------------------------------

CODE = b'class M(Module):\n  __parameters__ = ["w", ]\n  __buffers__ = []\n'
WEIGHT = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\nU\x010U\3cpuK\1tQ"
    b"K\0K\1\x85K\1\x85\x88ccollections\nOrderedDict\n)RtR"
)
ROOT = b"\x80\2c__torch__\nM\n)\x81}(U\1w" + WEIGHT + b"U\1x" + WEIGHT + b"ub."


def archive(root: bytes = ROOT, code: bytes | None = CODE, file: str = "__torch__.py") -> bytes:
    members = {"a/data.pkl": root, "a/constants.pkl": b"\x80\2).", "a/data/0": b"\0\0\x80?"}
    if code is not None:
        members[f"a/code/{file}"] = code
    return zip_bytes(members, zipfile.ZIP_DEFLATED)


def test_the_code_says_what_is_a_parameter() -> None:
    checkpoint = read(archive())
    assert [(record.name, record.kind, record.role) for record in checkpoint.tensors] == [
        ("w", "parameter", "model"),
        ("x", "tensor", "attribute"),
    ]
    buffers = CODE.replace(b"__buffers__ = []", b'__buffers__ = ["x"]')
    assert [record.kind for record in read(archive(code=buffers)).tensors] == ["parameter", "buffer"]


def test_a_mangled_class_name() -> None:
    root = ROOT.replace(b"c__torch__\nM", b"c__torch__.pkg.___torch_mangle_7\nM")
    record = read(archive(root, file="__torch__/pkg/___torch_mangle_7.py")).tensors[0]
    assert (record.kind, record.module_type) == ("parameter", "pkg.M")


@pytest.mark.parametrize("code", [None, b"", b"class Other(Module):\n", b"\xff\xfe", b"class M(NamedTuple):\n"])
def test_without_code_every_tensor_is_listed(code: bytes | None) -> None:
    assert [(record.name, record.kind) for record in read(archive(code=code)).tensors] == [
        ("w", "tensor"),
        ("x", "tensor"),
    ]


def test_a_name_that_runs_code_is_noted() -> None:
    assert "os.system" in read(archive(b"cos\nsystem\nU\1x\x85R.")).notes[0]


def test_a_module_that_holds_itself() -> None:
    cyclic = b"\x80\2c__torch__\nM\n)\x81q\0}(U\1w" + WEIGHT + b"U\2meh\0ub."
    assert [record.name for record in read(archive(cyclic)).tensors] == ["w"]


def codes(data: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return [opened.read(name) for name in opened.namelist() if name.endswith(".py")]


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchscript, "MAX_CODE_BYTES", len(CODE))
    read(archive())
    with pytest.raises(LimitExceededError, match="bytes in 'a/code/__torch__"):
        read(archive(code=CODE + b"#"))
    sizes = [len(code) for code in codes(script_bytes(script()))]
    monkeypatch.setattr(torchscript, "MAX_CODE_BYTES", max(sizes))  # of all files together
    with pytest.raises(LimitExceededError, match="bytes in"):
        read(script_bytes(script()))
    shared = b"\x80\2}q\0(U\1aNU\1bNu0c__torch__\nM\nq\1}(U\x010h\1)\x81h\0bU\x011h\1)\x81h\0bu"
    rooted = shared.replace(b"q\1}(", b"q\1)\x81}(") + b"b."
    monkeypatch.setattr(torchscript, "MAX_ATTRIBUTES", 6)
    read(archive(rooted))
    monkeypatch.setattr(torchscript, "MAX_ATTRIBUTES", 5)
    with pytest.raises(LimitExceededError, match="attributes of scripted modules"):
        read(archive(rooted))
    monkeypatch.setattr(torchscript, "MAX_NESTING", 3)
    monkeypatch.setattr(torchscript, "MAX_ATTRIBUTES", 99)
    for depth, raises in ((3, False), (4, True)):
        nested = b"\x80\2" + b"c__torch__\nM\n)\x81}U\1m" * depth + b"c__torch__\nM\n)\x81}b" + b"sb" * depth + b"."
        with pytest.raises(LimitExceededError, match="nesting") if raises else contextlib.nullcontext():
            read(archive(nested))


def test_code_that_would_be_slow_to_search() -> None:
    quotes = b'class M(Module):\n  __parameters__ = ["' + b'\\"' * 300_000 + b"]\n"
    lines = b"class M(Module):\n" + b"  __parameters__ = [\n" * 100_000
    for code in (quotes, lines):
        assert [record.role for record in read(archive(code=code)).tensors] == ["attribute", "attribute"]


@cache
def seed() -> bytes:
    return script_bytes(torch.jit.script(Block()))


def test_no_prefix_is_a_file() -> None:
    for length in range(0, len(seed()), 101):
        with pytest.raises(CheckpointError):
            read(seed()[:length])


@given(st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 255)), min_size=1, max_size=3))
def test_flipped_bytes_give_records_or_an_error(flips: list[tuple[int, int]]) -> None:
    data = bytearray(seed())
    for position, byte in flips:
        data[position % len(data)] = byte
    with contextlib.suppress(ParamInspectError):
        directory = read_zip_directory(Blob.from_bytes(bytes(data)))
        if is_torchscript(directory):
            read_torchscript(directory)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_pickle_and_any_code(root: bytes, code: bytes) -> None:
    with contextlib.suppress(ParamInspectError):
        read(archive(root + b".", code))
