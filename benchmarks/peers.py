"""`python -m benchmarks.peers`: other tools and ours on the same files, in one run.

    python -m venv build/peers
    build/peers/bin/pip install torch safetensors-print modelinfo-cli ckptkit sft-cli picklescan modelscan torchinfo gguf
    python -m benchmarks.peers --peers build/peers/bin --output benchmarks/PEERS.md

Whole processes in turn, standard output in a pipe. A tool that is not there has no row, and is named.
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.measure import Measurement, measure_in_turn

LARGEST: Final = "the ten largest of its tensors"
FIRST: Final = "fifty of its tensors"
OURS: Final = "paraminspect"
NEAR: Final = 1.05
"""Times of processors that differ by less are called equal."""


class Peer(NamedTuple):
    """One tool on one input.

    Attributes:
        package: Whose version is told.
        command: Its first word is a program beside the others, or `python`.
        less: What it does less than we do; then it is not compared.
    """

    package: str
    command: tuple[str, ...]
    less: str = ""


class Task(NamedTuple):
    """What is asked of everybody.

    Attributes:
        title: The input and the question.
        ours: Our command line.
        peers: By the label of their rows.
        finds: Whether an exit status of 1 says that something was found.
        rounds: Runs of each at most.
    """

    title: str
    ours: tuple[str, ...]
    peers: Mapping[str, Peer]
    finds: bool = False
    rounds: int = 99


def tasks_of(data: str) -> list[Task]:
    """Every task."""
    big, torch_file, many = f"{data}/big.safetensors", f"{data}/big.pt", f"{data}/many.safetensors"

    def floor(name: str, *words: str) -> tuple[str, ...]:
        return ("python", f"benchmarks/floors/{name}.py", *words)

    def listing(path: str) -> dict[str, Peer]:
        return {
            "safetensors-print": Peer("safetensors-print", ("safetensors-print", "--tensors", path)),
            "modelinfo": Peer("modelinfo-cli", ("modelinfo", "--tensors", path), LARGEST),
            "ckptkit info": Peer("ckptkit", ("ckptkit", "info", path), FIRST),
            "sft info": Peer("sft-cli", ("sft", "info", path), "a summary, no tensors"),
            "safe_open": Peer("safetensors", floor("safe_open", path)),
        }

    return [
        Task("`list`: 294 tensors, 1 GB, `.safetensors`", ("list", big), listing(big)),
        Task("`list`: 100,000 tensors, `.safetensors`", ("list", many), listing(many), rounds=3),
        Task(
            "`list`: 294 tensors, 1 GB, `.pt`",
            ("list", torch_file),
            {
                "ckptkit info": Peer("ckptkit", ("ckptkit", "info", torch_file), FIRST),
                "modelinfo": Peer("modelinfo-cli", ("modelinfo", torch_file), LARGEST),
                "torch.load(mmap=True)": Peer("torch", floor("torch_load", torch_file, "--mmap")),
                "torch.load": Peer("torch", floor("torch_load", torch_file)),
            },
            rounds=3,
        ),
        Task(
            "`list`: 256 tensors and a vocabulary of 32,000 tokens, `.gguf`",
            ("list", f"{data}/small.gguf"),
            {
                "gguf-dump": Peer("gguf", ("gguf-dump", f"{data}/small.gguf")),
                "modelinfo": Peer("modelinfo-cli", ("modelinfo", "--tensors", f"{data}/small.gguf"), LARGEST),
                "ckptkit info": Peer("ckptkit", ("ckptkit", "info", f"{data}/small.gguf")),
            },
        ),
        Task(
            "`stats`: 1 GB of float32, `.safetensors`",
            ("stats", big),
            {
                "sft stat": Peer("sft-cli", ("sft", "stat", big)),
                "ckptkit stats": Peer("ckptkit", ("ckptkit", "stats", big), "the header alone, no value is read"),
            },
            rounds=2,
        ),
        Task(
            "`diff`: two files of 500 MB, `.safetensors`, alike",
            ("diff", f"{data}/gpt2.safetensors", f"{data}/gpt2-copy.safetensors"),
            {
                "sft diff --delta": Peer(
                    "sft-cli", ("sft", "diff", "--delta", f"{data}/gpt2.safetensors", f"{data}/gpt2-copy.safetensors")
                ),
                "ckptkit diff": Peer(
                    "ckptkit",
                    ("ckptkit", "diff", f"{data}/gpt2.safetensors", f"{data}/gpt2-copy.safetensors"),
                    "the headers alone, no value is read",
                ),
            },
            rounds=2,
        ),
        Task(
            "`check`: 294 tensors, 1 GB, `.pt`, harmless",
            ("check", torch_file),
            {
                "picklescan": Peer("picklescan", ("picklescan", "-p", torch_file)),
                "modelscan": Peer("modelscan", ("modelscan", "scan", "-p", torch_file)),
                "ckptkit validate": Peer(
                    "ckptkit", ("ckptkit", "validate", torch_file), "whether it is whole, not what it would run"
                ),
            },
            finds=True,
            rounds=3,
        ),
        Task(
            "`check`: a pickle that calls os.system",
            ("check", f"{data}/hostile.pkl"),
            {
                "picklescan": Peer("picklescan", ("picklescan", "-p", f"{data}/hostile.pkl")),
                "modelscan": Peer("modelscan", ("modelscan", "scan", "-p", f"{data}/hostile.pkl")),
            },
            finds=True,
        ),
        Task(
            "`tree --with-shapes`: a transformer of a Python factory, 85 million parameters",
            ("tree", "benchmarks/floors/torchinfo_summary.py:make", "--with-shapes", "--input", "1,16,768"),
            {"torchinfo": Peer("torchinfo", floor("torchinfo_summary"))},
            rounds=3,
        ),
    ]


class _Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("true",)


def make_inputs(data: Path) -> None:
    """Those of `benchmarks.make_inputs`, twice GPT-2 in one file, and a pickle that nobody should load."""
    names = ("gpt2.safetensors", "gpt2.pt", "many.safetensors", "small.gguf")
    subprocess.run([sys.executable, "-m", "benchmarks.make_inputs", str(data), *names], check=True)
    if not (data / "big.pt").exists():
        code = (
            "import sys, torch; from safetensors.torch import load_file, save_file; state = load_file(sys.argv[1]);"
            "twice = {f'{half}.{name}': each.clone() for half in 'ab' for name, each in state.items()};"
            "save_file(twice, sys.argv[2]); torch.save(twice, sys.argv[3])"
        )
        files = (data / name for name in ("gpt2.safetensors", "big.safetensors", "big.pt"))
        subprocess.run([sys.executable, "-c", code, *map(str, files)], check=True)
    copy = data / "gpt2-copy.safetensors"
    if not copy.exists():
        subprocess.run(["cp", str(data / "gpt2.safetensors"), str(copy)], check=True)
    (data / "hostile.pkl").write_bytes(pickle.dumps(_Hostile()))


def find_program(word: str, folders: Sequence[str]) -> str | None:
    """Where a program is."""
    places = (os.path.join(folder, word) for folder in folders)
    return next((place for place in places if os.access(place, os.X_OK)), None)


def version_of(package: str, python: str) -> str:
    """Of an installed package; "" where it is not."""
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    done = subprocess.run([python, "-c", code, package], capture_output=True, text=True, check=False)
    return done.stdout.strip()


class Table(NamedTuple):
    """What was measured of one task.

    Attributes:
        rows: By label; ours first.
    """

    task: Task
    rounds: int
    rows: dict[str, Measurement]


def measure(task: Task, folders: Sequence[str], rounds: int) -> tuple[Table, list[str]]:
    """The table, and the labels of what is not there."""
    here = os.path.dirname(sys.executable)
    commands = {OURS: (f"{here}/paraminspect", *task.ours)}
    missing = []
    for label, peer in task.peers.items():
        program = find_program(peer.command[0], folders)
        if program is None or not version_of(peer.package, f"{folders[0]}/python"):
            missing.append(peer.package)
        else:
            commands[label] = (program, *peer.command[1:])
    rounds = min(rounds, task.rounds)
    return Table(task, rounds, measure_in_turn(commands, rounds)), missing


def outcome(task: Task, label: str, status: int) -> str:
    """What an exit status says, and what the tool does less."""
    if task.finds and status in (0, 1):
        said = "found" if status else "content"
    else:
        said = "" if status == 0 else f"failed, exit {status}"
    less = task.peers[label].less if label != OURS and not said.startswith("failed") else ""
    return ", ".join(filter(None, (said, less)))


def is_answer(task: Task, label: str, status: int) -> bool:
    """Whether a tool answers the question that we answer."""
    return not task.peers[label].less and (status == 0 or (task.finds and status == 1))


def write_table(table: Table) -> Iterator[str]:
    """Its heading, its rows, the fastest first, and who is faster than we are."""
    ours = table.rows[OURS]
    yield f"## {table.task.title}\n\n{table.rounds} {'run' if table.rounds == 1 else 'runs'} of each.\n\n"
    yield "| tool | median s | processor s | ÷ ours | peak MB | |\n| --- | ---: | ---: | ---: | ---: | --- |\n"
    for label, one in sorted(table.rows.items(), key=lambda row: row[1].cpu_s):
        name = f"**{label} {table.task.ours[0]}**" if label == OURS else label
        yield (
            f"| {name} | {one.median_s:.3f} | {one.cpu_s:.3f} | {one.cpu_s / ours.cpu_s:.2f} | {one.peak_mb:.0f} | "
            f"{outcome(table.task, label, one.status)} |\n"
        )
    yield "\n"


def sides(table: Table) -> tuple[list[str], list[str], list[str]]:
    """Tools that took less of the processors than we did, those that took as much or more, and those that do less."""
    ours = table.rows[OURS].cpu_s
    faster, slower, other = [], [], []
    for label, one in table.rows.items():
        if label == OURS:
            continue
        if not is_answer(table.task, label, one.status):
            other.append(f"{label}: {outcome(table.task, label, one.status)}")
        elif ours / one.cpu_s > NEAR:
            faster.append(f"{label} {ours / one.cpu_s:.1f} ×")
        else:
            slower.append(f"{label} {one.cpu_s / ours:.1f} ×")
    return faster, slower, other


def document(tables: Sequence[Table], versions: Mapping[str, str], missing: Sequence[str], command: str) -> str:
    """The page, as Markdown."""
    told = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    lines = [
        f"# Beside other tools\n\nWritten by `{command}`.\n\n"
        "Whole processes, run in turn with standard output in a pipe, after one uncounted round; files are in the page cache.\n"
        "Tools are in the order of the processor time they take; a tool that fails is named with its exit status.\n\n"
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}. {told}.\n\n"
    ]
    if missing:
        lines.append(f"Not installed here: {', '.join(sorted(set(missing)))}.\n\n")
    lines.append(f"{NOT_HERE}\n")
    lines.append(
        "| task | faster than we are | slower, by so many times | does less, or fails |\n| --- | --- | --- | --- |\n"
    )
    for table in tables:
        told = " | ".join(", ".join(side) or "–" for side in sides(table))
        lines.append(f"| {table.task.title} | {told} |\n")
    lines.append(f"\n{BEHIND}\n")
    for table in tables:
        lines += write_table(table)
    return "".join(lines).rstrip() + "\n"


NOT_HERE: Final = """\
`hf`, the command line of huggingface_hub, reads the tensors of no local file: it has no row.
"""

BEHIND: Final = """\
## Where we are behind, why, and what could be gained

- **safetensors-print**, on few tensors: it is argparse and one parser. `import typer` is four fifths of what `list` takes there
  (RESULTS.md): without it we would take as long. Fifteen commands with their help, completion and manual stand on it.
- **safe_open**, on 100,000 tensors: the header is parsed in Rust. Python's own JSON parser and a loop that prints take longer
  than all of that run. Beside that floor (*bare json* in RESULTS.md) ours takes a third more, for records that are checked,
  sorted and looked through for ties; a quarter of the time could be gained.
- **picklescan**: Typer again, half of our time on a small file. It looks for names that are called; `check` also reads where
  tensors lie and whether the file is whole. What either misses is in [scanners.md](../docs/scanners.md).
"""


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("build/bench"), help="folder of the inputs, 4 GB (default: %(default)s)")  # fmt: skip
    parser.add_argument("--peers", required=True, help="folder of their programs")
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each at most (default: %(default)s)")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    make_inputs(options.data)
    folders = [os.path.abspath(options.peers), os.path.dirname(sys.executable)]
    tables, missing = [], []
    for task in tasks_of(str(options.data)):
        print(f"{task.title} ...", file=sys.stderr, flush=True)
        table, absent = measure(task, folders, options.rounds)
        tables.append(table)
        missing += absent
    packages = {peer.package for table in tables for peer in table.task.peers.values()} - set(missing)
    versions = {package: version_of(package, f"{folders[0]}/python") for package in packages}
    page = document(tables, versions, missing, f"python -m benchmarks.peers {' '.join(sys.argv[1:])}")
    print(page, end="")
    if options.output:
        options.output.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
