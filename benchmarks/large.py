"""`python -m benchmarks.large FOLDER`: what is too large for every run of the benchmarks, once, and removed again.

A model of 7 billion parameters drawn to a disk, 13.5 GB, beside which stands how fast the disk takes bytes that are there
already, as `dd` writes them past the page cache; and the metadata of 3.5 million pieces, 615 MB, that 4,010 ranks wrote.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Final

from benchmarks.measure import MEGABYTE, Run, run_once

BLOCKS: Final = 512
"""Of 4 MiB, that dd writes."""

PROGRAM: Final = os.path.join(os.path.dirname(sys.executable), "paraminspect")

GATHERED: Final = "gathered"
"""Of the inputs: 873 tensors, each in a piece by each of 4,010 ranks."""


def drawn(folder: str) -> list[str]:
    """Rows of the table: a model drawn to a disk."""
    to, bare_to = (os.path.join(folder, f"paraminspect-large{end}") for end in (".safetensors", ".raw"))
    rule = ("--rule", "*=normal(std=0.02)", "--dtype", "bfloat16")
    try:
        ours = _run(PROGRAM, "init", "configs/llama-7b.yaml", *rule, "-o", to)
        bare = _run("dd", "if=/dev/zero", f"of={bare_to}", "bs=4M", f"count={BLOCKS}", "oflag=direct", "conv=fsync")
        nbytes = os.path.getsize(to)
    finally:
        for path in (to, bare_to):
            Path(path).unlink(missing_ok=True)
    seconds = nbytes * bare.elapsed_s / (BLOCKS * (4 << 20))
    return [
        _row(
            f"`init configs/llama-7b.yaml` with `*=normal(std=0.02)`, bfloat16, {nbytes / 1e9:.1f} GB to a disk", ours
        ),
        f"| as many bytes by `dd`, reckoned from {BLOCKS * 4 / 1024:.0f} GiB | {seconds:.1f} | | |",
    ]


def gathered(folder: str) -> list[str]:
    """Rows of the table: the metadata of many ranks."""
    place = os.path.join(folder, GATHERED)
    try:
        _run(sys.executable, "-m", "benchmarks.make_inputs", folder, GATHERED)
        ours = _run(PROGRAM, "list", place)
        bare = _run(sys.executable, "benchmarks/floors/bare_metadata.py", place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return [
        _row("`list` of a torch.distributed.checkpoint of 873 tensors by 4,010 ranks, 3.5 million pieces", ours),
        _row("the same by the bare C unpickler, printed", bare),
    ]


def document(rows: list[str], load: float) -> str:
    """The page, as Markdown.

    Args:
        load: Of the machine before, by others: seconds of a clock tell as much as it is near to 0.
    """
    return "\n".join(
        [
            "# A large model",
            "",
            f"Written by `python -m benchmarks.large FOLDER` on {platform.machine()}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}, in one run. The load of the machine was {load:.1f} before.",
            "",
            "| what | seconds | processor seconds | peak MB |",
            "| --- | ---: | ---: | ---: |",
            *rows,
            "",
        ]
    )


def _run(*command: str) -> Run:
    run = run_once(command)
    if run.status:
        raise SystemExit(f"a command failed: {' '.join(command)}")
    return run


def _row(what: str, run: Run) -> str:
    return f"| {what} | {run.elapsed_s:.1f} | {run.cpu_s:.1f} | {run.peak / MEGABYTE:,.0f} |"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("folder", help="on a disk with room for 16 GB")
    parser.add_argument("--output", help="file to write")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    page = document([*drawn(options.folder), *gathered(options.folder)], load)
    print(page)
    if options.output:
        Path(options.output).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
