"""`python -m benchmarks.large FOLDER`: a model of 7 billion parameters drawn to a disk, once: 13.5 GB, removed again.

Beside it stands how fast the disk takes bytes that are there already, as `dd` writes them past the page cache.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Final

from benchmarks.measure import MEGABYTE, Run, run_once

BLOCKS: Final = 512
"""Of 4 MiB, that dd writes."""


def document(drawn: Run, nbytes: int, bare: Run, load: float) -> str:
    """The page, as Markdown.

    Args:
        load: Of the machine before, by others: seconds of a clock tell as much as it is near to 0.
    """
    rate = BLOCKS * (4 << 20) / bare.elapsed_s
    return "\n".join(
        [
            "# A large model",
            "",
            f"Written by `python -m benchmarks.large FOLDER` on {platform.machine()}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}, in one run. The load of the machine was {load:.1f} before.",
            "",
            "| what | measured |",
            "| --- | ---: |",
            f"| `init configs/llama-7b.yaml --dtype bfloat16` with `*=normal(std=0.02)`, to a disk | {nbytes / 1e9:.1f} GB |",
            f"| seconds | {drawn.elapsed_s:.1f} |",
            f"| processor seconds | {drawn.cpu_s:.1f} |",
            f"| peak memory | {drawn.peak / MEGABYTE:.0f} MB |",
            f"| seconds in which `dd` writes as many bytes there, reckoned from {BLOCKS * 4 / 1024:.0f} GiB "
            f"| {nbytes / rate:.1f} |",
            "",
        ]
    )


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("folder", help="on a disk with room for 16 GB")
    parser.add_argument("--output", help="file to write")
    options = parser.parse_args()
    drawn_to, bare_to = (os.path.join(options.folder, f"paraminspect-large{end}") for end in (".safetensors", ".raw"))
    program = os.path.join(os.path.dirname(sys.executable), "paraminspect")
    rule = ("--rule", "*=normal(std=0.02)", "--dtype", "bfloat16")
    load = os.getloadavg()[0]
    try:
        drawn = run_once((program, "init", "configs/llama-7b.yaml", *rule, "-o", drawn_to))
        bare = run_once(
            ("dd", "if=/dev/zero", f"of={bare_to}", "bs=4M", f"count={BLOCKS}", "oflag=direct", "conv=fsync")
        )
        if drawn.status or bare.status:
            raise SystemExit("a command failed")
        page = document(drawn, os.path.getsize(drawn_to), bare, load)
    finally:
        for path in (drawn_to, bare_to):
            Path(path).unlink(missing_ok=True)
    print(page)
    if options.output:
        Path(options.output).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
