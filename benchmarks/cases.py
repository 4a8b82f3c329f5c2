"""What is measured: commands on one input, and the budgets they must keep."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

LIST = "paraminspect list"
STATS = "paraminspect stats"
DIFF = "paraminspect diff"
READ_SUM = "read once and sum"
GGUF_SUM = "gguf.dequantize, summed"
READ_COMPARE = "read both and compare"
TORCH_STATS = "torch, the same statistics"
SHARED = "paraminspect shared"
SHARED_EQUAL = "paraminspect shared --equal"
CHECK = "paraminspect check"
CHECK_DEEP = "paraminspect check --deep"
INIT = "paraminspect init -o"
GRAD = "paraminspect grad"
GRAD_USES = "paraminspect grad --uses"
BARE_BACKWARD = "bare forward and backward"
BARE_NORMAL = "bare normal_ calls"
NORMAL_SAVE = "normal_ and save_file"
TYPER = 'python -c "import typer"'
TORCH = 'python -c "import torch"'
BARE_JSON = "bare json, printed"
BARE_PICKLE = "bare C unpickler, printed"
SAFE_OPEN = "safetensors.safe_open"
TORCH_LOAD = "torch.load"
TORCH_MMAP = "torch.load(mmap=True)"
ONNX_LOAD = "onnx.load, printed"
GGUF_DUMP = "gguf-dump"
SHA256SUM = "sha256sum"
CONVERT = "paraminspect convert"
COMPLETION = "completion of a name"
ON_TERMINAL = "paraminspect list, on a terminal"
IN_A_PIPE = "paraminspect list, in a pipe"
CP_SYNC = "start-up, cp, sync"
TORCH_CONVERT = "torch.load and save_file"


@dataclass(frozen=True, slots=True)
class Budget:
    """A bound on a ratio of times, on a time, or on memory.

    Attributes:
        quantity: "slower": time of our command over that of `other`; "faster": the other way round; "seconds": its time;
            "megabytes": peak.
        other: Label of the other command, "" where there is none.
        bound: The most that "slower", "seconds" and "megabytes" may be, the least that "faster" may be.
    """

    quantity: Literal["slower", "faster", "seconds", "megabytes"]
    bound: float
    other: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One input.

    Attributes:
        name: For `--only`.
        title: What the input is.
        commands: Label -> command line; `ours` among them.
        budgets: That our command must keep.
        slow: Some command takes seconds, so that fewer rounds must do.
        ours: Label of our command.
        makes: A file that commands write, which is not there before.
    """

    name: str
    title: str
    commands: Mapping[str, tuple[str, ...]]
    budgets: tuple[Budget, ...]
    slow: bool = False
    ours: str = LIST
    makes: str = ""


MEMORY = "/dev/shm"
"""A folder whose files take no disk, on Linux: where a disk is slower than drawing, it would be what is measured."""

MEDIUM = ("1024", "24")
"""Width and layers of GPT-2 medium."""

INIT_MEGABYTES = 2 * 50_257 * 1024 * 4 / 1e6 + 350
"""Two of its largest tensors, and 350 MB."""

CHECK_SLOWER = 1.3
"""Times that of `list`, from which `check` takes what it read and traced."""

CHECK_PIECES_SLOWER = 1.7
"""The same where each tensor is an archive of its own, which `list` does not open."""

SECOND = "128"
"""Tokens of which GPT-2 takes a second on one core."""

TOKENS = f"{{shape: [1, {SECOND}], dtype: int64, high: 50257}}"

START_UP = (Budget("slower", 1.25, TYPER), Budget("megabytes", 25))
SPEC = (Budget("slower", 1.5, TYPER), Budget("megabytes", 35))

MANY_MEGABYTES = Budget("megabytes", 120)
"""Of 100,000 tensors: a kilobyte each, and 20 MB to start."""


def make_cases(data: str, binaries: str) -> list[Case]:
    """Every case.

    Args:
        data: Folder of the inputs.
        binaries: Folder of `paraminspect` and `gguf-dump`.
    """
    python = sys.executable
    drawn = os.path.join(MEMORY if os.path.isdir(MEMORY) else data, "paraminspect-bench.safetensors")

    def listing(name: str) -> tuple[str, ...]:
        return (f"{binaries}/paraminspect", "list", f"{data}/{name}")

    def script(floor: str, name: str, *options: str) -> tuple[str, ...]:
        return (python, f"benchmarks/floors/{floor}.py", f"{data}/{name}", *options)

    def values(command: str, *names: str) -> tuple[str, ...]:
        return (f"{binaries}/paraminspect", command, *(f"{data}/{name}" for name in names))

    def completion(path: str) -> tuple[str, ...]:
        line = f"paraminspect show {path} "
        environ = ("_PARAMINSPECT_COMPLETE=complete_zsh", f"_PARAMINSPECT_BEFORE={line}")
        return ("env", *environ, f"{binaries}/paraminspect")

    def watched(end: str, name: str) -> tuple[str, ...]:
        return (python, "benchmarks/floors/watched.py", end, *listing(name))

    def on_terminal(count: int, name: str, bound: float) -> Case:
        return Case(
            f"terminal-{count}",
            f"{count:,} rows for somebody who looks at them",
            {ON_TERMINAL: watched("pty", name), IN_A_PIPE: watched("pipe", name)},
            (Budget("slower", bound, IN_A_PIPE),),
            ours=ON_TERMINAL,
        )

    typer = (python, "-c", "import typer")
    twins = (f"{data}/gpt2.safetensors", f"{data}/gpt2.pt")
    return [
        Case(
            "gpt2-safetensors",
            "GPT-2, 500 MB, `.safetensors`",
            {
                TYPER: typer,
                LIST: listing("gpt2.safetensors"),
                BARE_JSON: script("bare_json", "gpt2.safetensors"),
                SAFE_OPEN: script("safe_open", "gpt2.safetensors"),
            },
            START_UP,
        ),
        Case(
            "gpt2-torch",
            "GPT-2, 500 MB, `.pt`",
            {
                TYPER: typer,
                LIST: listing("gpt2.pt"),
                BARE_PICKLE: script("bare_pickle", "gpt2.pt"),
                TORCH_MMAP: script("torch_load", "gpt2.pt", "--mmap"),
            },
            START_UP,
        ),
        Case(
            "gpt2-legacy",
            "GPT-2, 500 MB, `.pt` of the legacy format",
            {
                TYPER: typer,
                LIST: listing("gpt2-legacy.pt"),
                BARE_PICKLE: script("bare_pickle", "gpt2-legacy.pt"),
                TORCH_LOAD: script("torch_load", "gpt2-legacy.pt"),
            },
            START_UP,
        ),
        Case(
            "many-safetensors",
            "100,000 tensors, `.safetensors`",
            {
                LIST: listing("many.safetensors"),
                BARE_JSON: script("bare_json", "many.safetensors"),
                SAFE_OPEN: script("safe_open", "many.safetensors"),
            },
            (Budget("slower", 1.5, BARE_JSON), MANY_MEGABYTES),
        ),
        Case(
            "many-torch",
            "100,000 tensors, `.pt`",
            {
                LIST: listing("many.pt"),
                BARE_PICKLE: script("bare_pickle", "many.pt"),
                TORCH_MMAP: script("torch_load", "many.pt", "--mmap"),
            },
            (Budget("slower", 1.25, BARE_PICKLE), MANY_MEGABYTES),
            slow=True,
        ),
        Case(
            "many-legacy",
            "100,000 tensors, `.pt` of the legacy format",
            {
                LIST: listing("many-legacy.pt"),
                BARE_PICKLE: script("bare_pickle", "many-legacy.pt"),
                TORCH_LOAD: script("torch_load", "many-legacy.pt"),
            },
            (Budget("slower", 1.5, BARE_PICKLE), MANY_MEGABYTES),
            slow=True,
        ),
        Case(
            "many-onnx",
            "100,000 initializers, `.onnx`",
            {LIST: listing("many.onnx"), ONNX_LOAD: script("onnx_load", "many.onnx")},
            (Budget("slower", 2, ONNX_LOAD),),
        ),
        Case(
            "shards",
            "1 TB in 160 shards, 1,440 tensors, `.safetensors`",
            {TYPER: typer, LIST: listing("shards"), SAFE_OPEN: script("safe_open", "shards")},
            START_UP,
        ),
        Case(
            "ranks",
            "torch.distributed.checkpoint of 873 tensors by 256 ranks, 223,488 pieces, 39 MB of metadata",
            {LIST: listing("ranks"), BARE_PICKLE: script("bare_metadata", "ranks")},
            (Budget("slower", 2, BARE_PICKLE), Budget("megabytes", 100)),
        ),
        Case(
            "gguf",
            "256 tensors and a vocabulary of 32,000 tokens, `.gguf`",
            {TYPER: typer, LIST: listing("small.gguf"), GGUF_DUMP: (f"{binaries}/gguf-dump", f"{data}/small.gguf")},
            START_UP,
        ),
        *[
            Case(
                f"spec-{name}",
                f"{title} as a spec, `configs/{name}.yaml`",
                {TYPER: typer, LIST: (f"{binaries}/paraminspect", "list", f"configs/{name}.yaml")},
                SPEC,
            )
            for name, title in (("gpt2", "GPT-2"), ("llama-7b", "Llama 7B"))
        ],
        *[
            Case(
                f"spec-{words[0]}",
                f"`{' '.join(words)}` of GPT-2 as a spec, `configs/gpt2.yaml`",
                {
                    TYPER: typer,
                    f"paraminspect {words[0]}": (f"{binaries}/paraminspect", *words, "configs/gpt2.yaml", *more),
                },
                SPEC,
                ours=f"paraminspect {words[0]}",
            )
            for words, more in (
                (("tree",), ()),
                (("shared",), ()),
                (("rules",), ()),
                (("info",), ()),
                (("init", "--dry-run"), ()),
                (("report", "--no-values"), ("--force", "-o", f"{data}/page.html")),
            )
        ],
        Case(
            "completion-spec",
            "the tab key behind `show FILE`, of GPT-2 as a spec",
            {TYPER: typer, COMPLETION: completion("configs/gpt2.yaml")},
            SPEC,
            ours=COMPLETION,
        ),
        Case(
            "spec-many",
            "a spec of 30,000 layers",
            {TORCH: (python, "-c", "import torch"), LIST: listing("layers.yaml")},
            (Budget("slower", 1, TORCH), Budget("megabytes", 300)),
        ),
        *[
            Case(
                f"stats-{name.rpartition('.')[2]}",
                f"Values of GPT-2, 500 MB, `.{name.rpartition('.')[2]}`",
                {
                    READ_SUM: script("read_sum", name),
                    STATS: values("stats", name),
                    TORCH_STATS: script("torch_stats", name),
                },
                (Budget("slower", 1.25, READ_SUM), Budget("megabytes", 60), Budget("faster", 5, TORCH_STATS)),
                slow=True,
                ours=STATS,
            )
            for name in ("gpt2.safetensors", "gpt2.pt")
        ],
        *[
            Case(
                f"stats-{short}",
                f"Values of GPT-2 in {kind}, {size} MB, `.safetensors`",
                {
                    READ_SUM: script("read_sum", f"gpt2-{short}.safetensors", kind),
                    STATS: values("stats", f"gpt2-{short}.safetensors"),
                },
                (Budget("slower", 1.25, READ_SUM), Budget("megabytes", 60)),
                ours=STATS,
            )
            for short, kind, size in (("bf16", "bfloat16", 249), ("f16", "float16", 249), ("f8", "float8_e4m3fn", 124))
        ],
        Case(
            "stats-q4",
            "Values of GPT-2, matrices in blocks of 4 bits (Q4_0), 70 MB, `.gguf`",
            {GGUF_SUM: script("gguf_sum", "gpt2-q4.gguf"), STATS: values("stats", "gpt2-q4.gguf")},
            (Budget("slower", 1.25, GGUF_SUM), Budget("megabytes", 60)),
            ours=STATS,
        ),
        Case(
            "diff",
            "Values of GPT-2, 500 MB, `.safetensors` against `.pt`",
            {
                READ_COMPARE: (
                    python,
                    "benchmarks/floors/compare_files.py",
                    f"{data}/gpt2.safetensors",
                    f"{data}/gpt2.safetensors",
                ),
                DIFF: values("diff", "gpt2.safetensors", "gpt2.pt"),
            },
            (Budget("slower", 1.25, READ_COMPARE), Budget("megabytes", 60)),
            ours=DIFF,
        ),
        Case(
            "convert",
            "GPT-2, 500 MB, `.pt` to `.safetensors`, on the disk",
            {
                CP_SYNC: (
                    "sh",
                    "-c",
                    f"{binaries}/paraminspect convert -h >/dev/null && cp {data}/gpt2.pt {data}/copy && sync {data}/copy",
                ),
                CONVERT: (
                    f"{binaries}/paraminspect",
                    "convert",
                    f"{data}/gpt2.pt",
                    "-o",
                    f"{data}/copy.safetensors",
                    "--force",
                ),
                TORCH_CONVERT: script("torch_convert", "gpt2.pt", f"{data}/copy-torch.safetensors"),
            },
            (Budget("slower", 1.3, CP_SYNC), Budget("megabytes", 60), Budget("faster", 2, TORCH_CONVERT)),
            slow=True,
            ours=CONVERT,
        ),
        Case(
            "shared",
            "ties of GPT-2, 500 MB, `.pt`",
            {TYPER: typer, SHARED: (f"{binaries}/paraminspect", "shared", f"{data}/gpt2.pt")},
            START_UP,
            ours=SHARED,
        ),
        Case(
            "shared-equal",
            "two files of 500 MB with the same contents: `.safetensors` and `.pt`",
            {
                SHARED_EQUAL: (f"{binaries}/paraminspect", "shared", "--equal", *twins),
                SHA256SUM: ("sha256sum", *twins),
            },
            (Budget("slower", 2, SHA256SUM), Budget("megabytes", 60)),
            slow=True,
            ours=SHARED_EQUAL,
        ),
        *[
            Case(
                f"completion-{name.rpartition('.')[2]}",
                f"the tab key behind `show FILE`, of GPT-2, `.{name.rpartition('.')[2]}`",
                {TYPER: typer, COMPLETION: completion(f"{data}/{name}")},
                START_UP,
                ours=COMPLETION,
            )
            for name in ("gpt2.safetensors", "gpt2.pt")
        ],
        Case(
            "completion-many",
            "the tab key behind `show FILE`, of 100,000 tensors, `.safetensors`",
            {LIST: listing("many.safetensors"), COMPLETION: completion(f"{data}/many.safetensors")},
            (Budget("seconds", 0.3),),
            ours=COMPLETION,
        ),
        Case(
            "check",
            "`check` of GPT-2, 500 MB, `.pt`",
            {LIST: listing("gpt2.pt"), CHECK: values("check", "gpt2.pt")},
            (Budget("slower", CHECK_SLOWER, LIST), Budget("megabytes", 40)),
            ours=CHECK,
        ),
        *[
            Case(
                f"check-{name}",
                f"`check` of {title}",
                {LIST: listing(file), CHECK: values("check", file)},
                (Budget("slower", bound, LIST),),
                ours=CHECK,
            )
            for name, file, title, bound in (
                ("many", "many.pt", "100,000 tensors, `.pt`", CHECK_SLOWER),
                ("legacy", "many-legacy.pt", "100,000 tensors, `.pt` of the legacy format", CHECK_SLOWER),
                ("script", "script.pt", "8,000 tensors, TorchScript", CHECK_SLOWER),
                ("ranks", "ranks", "torch.distributed.checkpoint, 223,488 pieces, their values left out", CHECK_SLOWER),
                ("pieces", "pieces", "torch.distributed.checkpoint, 2,000 pieces with values", CHECK_PIECES_SLOWER),
            )
        ],
        Case(
            "check-deep",
            "`check --deep` of GPT-2, 500 MB, `.pt`",
            {
                SHA256SUM: ("sha256sum", f"{data}/gpt2.pt"),
                CHECK_DEEP: (f"{binaries}/paraminspect", "check", "--deep", f"{data}/gpt2.pt"),
            },
            (Budget("megabytes", 300),),
            slow=True,
            ours=CHECK_DEEP,
        ),
        Case(
            "init",
            "GPT-2 of 355 million parameters drawn, 1.4 GB, to a new `.safetensors` in memory",
            {
                BARE_NORMAL: (python, "benchmarks/floors/bare_normal.py", *MEDIUM),
                INIT: (
                    f"{binaries}/paraminspect",
                    "init",
                    "configs/gpt2.yaml",
                    "-D",
                    f"dim={MEDIUM[0]}",
                    "-D",
                    f"depth={MEDIUM[1]}",
                    "--rule",
                    "*=normal(std=0.02)",
                    "-o",
                    drawn,
                ),
                NORMAL_SAVE: (python, "benchmarks/floors/bare_normal.py", *MEDIUM, drawn),
            },
            (Budget("slower", 0.8, BARE_NORMAL), Budget("megabytes", INIT_MEGABYTES)),
            slow=True,
            ours=INIT,
            makes=drawn,
        ),
        *[
            Case(
                f"{name}-uses" if uses else name,
                f"{title}, the gradient of the tied embedding split" if uses else title,
                {
                    label: (f"{binaries}/paraminspect", "grad", "configs/gpt2.yaml", "--no-init", *batch, *uses),
                    BARE_BACKWARD: (python, "benchmarks/floors/bare_backward.py", *length),
                },
                (Budget("slower", bound, BARE_BACKWARD), Budget("megabytes", megabytes)),
                ours=label,
            )
            for name, title, length, batch, bounds, megabytes in (
                ("grad", "GPT-2 as a spec, one batch of 16 tokens, `configs/gpt2.yaml`", (), (), (1.1, 1.1), 1_700),
                (
                    "grad-second",
                    f"GPT-2 as a spec, {SECOND} tokens, a second of forward and backward",
                    (SECOND,),
                    ("--input", TOKENS, "--target", TOKENS),
                    (1.05, 1.3),
                    1_850,
                ),
            )
            for label, uses, bound in ((GRAD, (), bounds[0]), (GRAD_USES, ("--uses",), bounds[1]))
        ],
        on_terminal(1_000, "many-1000.safetensors", 1.5),
        on_terminal(10_000, "many-10000.safetensors", 1.5),
        on_terminal(100_000, "many.safetensors", 2),
    ]
