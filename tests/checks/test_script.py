"""Code of TorchScript archives, held against what torch compiles and the operators it has."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

import pytest
import torch
from torch import nn

from paraminspect.checks.script import DANGEROUS_NAMESPACES, KNOWN_NAMESPACES, _judge
from paraminspect.summaries import Finding
from tests.making.torch_files import script_bytes

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

Check = Callable[..., list[Finding]]


class Maps(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("/tmp/anything", True, 3)


class Saves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "/tmp/anything")
        return x


class Computes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        name = "torch.save(this is only text"
        return torch.relu(self.linear(x)) + torch.zeros(len(name) * 0 + 2)


@pytest.mark.parametrize(("module", "word"), [(Maps(), "maps a file"), (Saves(), "writes a file")])
def test_code_that_touches_files(module: nn.Module, word: str, check: Check) -> None:
    (finding,) = [each for each in check(script_bytes(module)) if each.code == "script-danger"]
    assert word in finding.message
    assert finding.severity == "danger"
    assert finding.name.endswith(".py")


def test_code_that_computes(check: Check) -> None:
    assert [each for each in check(script_bytes(Computes())) if each.severity != "info"] == []


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("_0 = ops.image.read_file(name)", {"script-danger"}),
        ("_0 = ops.rpc.rpc_sync(to, func)", {"script-danger"}),
        ("_0 = ops.aten.save(x, name)", {"script-danger"}),
        ("_0 = ops.mylib.anything(x)", {"script-unknown"}),
        ("_0 = ops.torchvision.nms(x)", set()),
        ("  def save(self: __torch__.Net) -> None:", set()),
        ("_0 = (self.encoder).save(x)", set()),
        ("codec : __torch__.torch.classes.torchaudio.Codec", {"script-unknown"}),
        ("packed : __torch__.torch.classes.quantized.LinearPackedParamsBase", set()),
    ],
)
def test_lines(line: str, codes: set[str], check: Check) -> None:
    data = script_bytes(Computes())
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as new:
        for name, content in members.items():
            new.writestr(name, content + (f"\n{line}\n".encode() if name.endswith(".py") else b""))
    assert {each.code for each in check(stream.getvalue()) if each.severity != "info"} == codes


def test_every_operator_that_takes_the_name_of_a_file_is_dangerous() -> None:
    for schema in torch._C._jit_get_all_schemas():
        if any(re.search("filename|filepath|url", each.name) for each in schema.arguments):
            namespace, _, name = schema.name.partition("::")
            verdict = _judge(f"ops.{namespace}.{name}")
            assert verdict is not None, schema.name
            assert verdict[0] == "script-danger"


CORE = {"aten", "prim", "prims", "quantized", "sparse", "mkldnn", "onednn", "profiler", "static_runtime", "c10d"}
"""Namespaces that `import torch` alone registers; others come with what else is imported."""


def test_every_namespace_of_torch_itself_is_known() -> None:
    own = {schema.name.partition("::")[0] for schema in torch._C._jit_get_all_schemas()}
    assert own >= CORE
    assert KNOWN_NAMESPACES | set(DANGEROUS_NAMESPACES) >= CORE
