"""Code of TorchScript archives: what it calls beyond arithmetic on tensors.

TorchScript is a closed language, and most of its operators only compute. A few do not: they map, read or write files,
talk to other processes, or come from libraries that the user has loaded. The code is searched for their names, not
compiled; a name in a comment or a string counts too.

Source: operators of torch 2.13 (`torch._C._jit_get_all_schemas()`), their namespaces, and torchvision's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from paraminspect.checks.codes import find
from paraminspect.checks.container import Place
from paraminspect.errors import ParamInspectError
from paraminspect.formats.pytorch.script import MAX_CODE_BYTES
from paraminspect.formats.zip_file import ZipDirectory
from paraminspect.summaries import Finding

DANGEROUS_OPERATORS: Final[dict[str, str]] = {
    "from_file": "maps a file, and creates it if asked to",
    "save": "writes a file",
    "_save": "writes a file",
    "load": "reads a file",
    "read_file": "reads a file",
    "write_file": "writes a file",
    "open": "opens a file",
    "breakpoint": "stops in a debugger",
    "__import__": "imports code",
    "exec": "runs code",
    "eval": "runs code",
    "system": "runs commands",
}
"""Last part of the name of what is called."""

DANGEROUS_NAMESPACES: Final[dict[str, str]] = {
    "rpc": "talks to other processes",
    "dist_rpc": "talks to other processes",
    "distributed": "talks to other processes",
    "c10d": "talks to other processes",
    "c10d_functional": "talks to other processes",
    "_c10d_functional": "talks to other processes",
    "_c10d_functional_autograd": "talks to other processes",
    "symm_mem": "talks to other processes",
    "debugprims": "reads files",
    "image": "reads and writes files",
    "video_reader": "reads files",
    "torchaudio": "reads and writes files",
    "inductor": "runs compiled code",
    "aot_inductor": "runs compiled code",
}
"""Of operators, `ops.NAMESPACE.name`."""

KNOWN_NAMESPACES: Final = frozenset(
    {"aten", "prim", "prims", "quantized", "quantized_decomposed", "_quantized", "sparse", "mkldnn", "mkl", "torchvision",
     "torch_scatter", "torch_sparse", "profiler", "cuda", "xnnpack", "prepacked", "mkldnn_prepacked", "_nnapi", "metal",
     "metal_prepacked", "vulkan_prepack", "onnx", "static_runtime", "quantization", "onednn", "_dtensor", "rngprims",
     "inductor_prims", "_native", "export", "_test", "debug_mode_ops"}
)  # fmt: skip
"""Namespaces of operators that only compute."""

MAX_TOLD: Final = 20

_CALL: Final = re.compile(r"(?<![\w.\"'])((?:torch|ops|__torch__)(?:\.\w+)+|\w+)\(")
_CLASS: Final = re.compile(r"__torch__\.torch\.classes\.([\w.]+)")

_SIGNS: Final = (*(f"{name}(" for name in DANGEROUS_OPERATORS), "ops.", "__torch__.torch.classes.")
"""One of which there is in whatever is worth a word."""


def scan_code(directory: ZipDirectory, place: Place) -> Iterator[Finding]:
    left, told = MAX_CODE_BYTES, 0
    seen: set[tuple[str, str]] = set()
    for name, entry in directory.entries.items():
        if not (name.endswith(".py") and "/code/" in name):
            continue
        try:
            code = directory.read(entry, left).decode("utf-8", "replace")
        except ParamInspectError as error:
            yield find("malformed", name, error.message, path=place.path)
            continue
        left -= entry.size
        if not any(sign in code for sign in _SIGNS):
            continue  # as of nearly all, whose lines need not be told apart
        for number, line in enumerate(code.splitlines(), 1):
            for called, (kind, reason) in _judge_line(line):
                if (kind, called) in seen or (told := told + 1) > MAX_TOLD:
                    continue
                seen.add((kind, called))
                yield find(kind, name, f"line {number:,} calls {called}: {reason}", path=place.path)


def _judge_line(line: str) -> Iterator[tuple[str, tuple[str, str]]]:
    if "(" in line and not line.lstrip().startswith(("def ", "class ")):
        for called in _CALL.findall(line):
            verdict = _judge(called)
            if verdict is not None:
                yield called, verdict
    for name in _CLASS.findall(line):
        if not name.startswith(("quantized.", "_nnapi.", "rnn.", "xnnpack.", "mkldnn.", "sparse.")):
            yield (
                f"__torch__.torch.classes.{name}",
                ("script-unknown", "a class of a library that must be loaded first"),
            )


def _judge(called: str) -> tuple[str, str] | None:
    """Code and reason for what is called; None if it only computes."""
    parts = called.split(".")
    if parts[0] == "ops" and len(parts) > 2:
        reason = DANGEROUS_NAMESPACES.get(parts[1]) or DANGEROUS_OPERATORS.get(parts[-1])
        if reason:
            return "script-danger", reason
        return (
            None if parts[1] in KNOWN_NAMESPACES else ("script-unknown", "an operator of a library that must be loaded")
        )
    if parts[0] == "torch" or len(parts) == 1:
        reason = DANGEROUS_OPERATORS.get(parts[-1])
        if reason and (len(parts) == 2 or parts[0] == "torch" or called in {"open", "exec", "eval", "__import__"}):
            return "script-danger", reason
    return None
