"""What each command takes of each hostile file, against its budget: `python -m fuzz.budget FOLDER [NAME ..]`.

The folder is what `fuzz.hostile` wrote. A line for each file and command that takes more than SECONDS of processor or
MEGABYTES of memory, or ends otherwise than with a status; and at the end how many were within.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

SECONDS: Final = 5.0
MEGABYTES: Final = 300

PATIENCE_S: Final = 15
"""Of processor, for each process."""

COMMANDS: Final = {
    "info": "info {}", "list": "list {}", "list --all": "list --all {}", "list table": "list --all --format table {}",
    "list json": "list --all --aliases -f json {}", "list -d": "list -d 2 --sort numel {}", "tree": "tree --all {}",
    "tree no-fold": "tree --no-fold {}", "show": "show {} *", "show full": "show --full {} /./", "stats": "stats {}",
    "stats --all": "stats --all {}", "shared": "shared --all {}", "shared --equal": "shared --equal --all {}",
    "diff": "diff --all {} {}", "diff shapes": "diff --only shapes --all {} {}", "convert": "convert --all {} -o out.safetensors",
    "convert dtype": "convert --all --dtype float32 {} -o out.safetensors", "convert pt": "convert --all {} -o out.pt", "convert npz": "convert --all {} -o out.npz", "check": "check {}",
    "check --deep": "check --deep {}",
}  # fmt: skip
"""By what they are called here; {} is the file."""


OF_SPECS: Final = {
    "info": "info {}", "list": "list {}", "list --all": "list --all {}", "list --aliases": "list --aliases -f json {}", "tree": "tree {}",
    "tree no-fold": "tree --no-fold {}", "tree shapes": "tree --with-shapes {}", "shared": "shared {}", "show": "show {} *",
    "stats": "stats {}", "diff": "diff {} {}", "shared --equal": "shared --equal {}", "check --deep": "check --deep {}",
    "init": "init {}", "init -o": "init {} -o out.safetensors", "grad": "grad {}", "convert": "convert {} -o out.pt",
}  # fmt: skip
"""The same of specs. What imports torch has two seconds and 500 MB more."""

_BOUNDED: Final = f"""
import resource, runpy
resource.setrlimit(resource.RLIMIT_CPU, ({PATIENCE_S}, {PATIENCE_S}))
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 30, 2 << 30))
runpy.run_module("paraminspect", run_name="__main__")
"""

TORCH: Final = (3.0, 500)


class Taken(NamedTuple):
    """What one command took of one file: itself and the processes it began."""

    status: int
    seconds: float
    megabytes: int
    said: str


def measure(words: list[str], folder: Path) -> Taken:
    """Run a command; nothing that it prints is kept but its last error."""
    program = [sys.executable, "-c", _BOUNDED, *words]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            program, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(max(0, errors.seek(0, 2) - 2000))
        lines = [line for line in errors.read().decode("utf-8", "replace").splitlines() if "error" in line]
    seconds = usage.ru_utime + usage.ru_stime
    return Taken(process.returncode, seconds, usage.ru_maxrss >> 10, lines[-1] if lines else "")


def measure_all(folder: Path, names: list[str]) -> Iterator[tuple[str, str, Taken]]:
    """Every command on every file, or those that ONLY names in the environment."""
    only = os.environ.get("ONLY", "").split(",") if os.environ.get("ONLY") else ()
    for path in sorted(folder.iterdir()):
        if names and path.name not in names:
            continue
        is_spec = path.suffix in (".yaml", ".json")
        for command, line in (OF_SPECS if is_spec else COMMANDS).items():
            if only and command not in only:
                continue
            with tempfile.TemporaryDirectory() as scratch:
                (Path(scratch) / path.name).symlink_to(path.resolve())
                yield (
                    path.name,
                    command,
                    measure([path.name if word == "{}" else word for word in line.split()], Path(scratch)),
                )
                shutil.rmtree(scratch, ignore_errors=True)


def main() -> None:
    """Print what is too much."""
    breaches = total = 0
    verbose = os.environ.get("VERBOSE")
    for name, command, taken in measure_all(Path(sys.argv[1]), sys.argv[2:]):
        total += 1
        seconds, megabytes = TORCH if name.endswith((".yaml", ".json")) else (0.0, 0)
        wrong = taken.seconds > SECONDS + seconds or taken.megabytes > MEGABYTES + megabytes
        wrong = wrong or taken.status not in (0, 1, 2)
        if "internal" in taken.said or "Traceback" in taken.said:
            wrong = True
        breaches += wrong
        if wrong or verbose:
            print(
                f"{'!' if wrong else ' '} {name:24} {command:15} {taken.status:4} {taken.seconds:6.1f} s {taken.megabytes:6} MB  {taken.said[:100]}",
                flush=True,
            )
    print(f"{total:,} commands, {breaches:,} past {SECONDS:g} s or {MEGABYTES} MB")
    sys.exit(breaches > 0)


if __name__ == "__main__":
    main()
