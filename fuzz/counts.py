"""Fuzz every reader for a share of processor time, one after another, and write down the counts.

    PYTHONPATH=src:. nice -n 19 build/fuzz/bin/python -m fuzz.counts build/seeds 3600 fuzz/RESULTS.md [TARGET ..]

The seconds are those of the processor, of all targets together. Corpora grow in the folder of seeds; inputs that break a
reader are left in `build/crashes`. A target that breaks goes on behind its crash. Counts add up over runs with one file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

ROUND_S: Final = 60
"""Of the clock, before the processor time is looked at again."""

SLOW_S: Final = 10
"""One input that takes longer is a fault."""

CRASHES: Final = Path("build/crashes")

_ROW: Final = re.compile(r"\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|")
_HEAD: Final = """# Fuzzing

What came of fuzzing every reader with coverage (`fuzz/__main__.py`), for so many seconds of processor. An input breaks a
reader if it raises anything but a `ParamInspectError`, takes more than {slow} seconds or more than 2 GB.

    {command}

| target | inputs | seconds | features | broken by |
| --- | ---: | ---: | ---: | ---: |
"""


class Count(NamedTuple):
    """What one target took and gave: inputs, seconds of processor, features reached, inputs that broke it."""

    inputs: int = 0
    seconds: int = 0
    features: int = 0
    broken: int = 0

    def plus(self, other: Count) -> Count:
        """Both together."""
        most = max(self.features, other.features)
        return Count(self.inputs + other.inputs, self.seconds + other.seconds, most, self.broken + other.broken)


def fuzz(target: str, seeds: Path, seconds: int) -> Count:
    """One target, until it has had its time."""
    total = Count()
    CRASHES.mkdir(parents=True, exist_ok=True)
    (seeds / target).mkdir(parents=True, exist_ok=True)
    while total.seconds < seconds:
        process = subprocess.Popen(
            [sys.executable, "-m", "fuzz", target, str(seeds / target), f"-max_total_time={min(ROUND_S, seconds)}",
             f"-timeout={SLOW_S}", "-rss_limit_mb=2048", "-max_len=16384", f"-artifact_prefix={CRASHES}/{target}-"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        )  # fmt: skip
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        lines = re.findall(r"^#(\d+)\s.*?ft: (\d+)", said, re.MULTILINE)
        done = re.findall(r"^#(\d+)|Done (\d+) runs", said, re.MULTILINE)
        inputs = max((int(a or b) for a, b in done), default=0)
        features = max((int(each) for _, each in lines), default=0)
        spent = max(1, round(usage.ru_utime + usage.ru_stime))
        total = total.plus(Count(inputs, spent, features, int(process.returncode != 0)))
        if process.returncode:
            (CRASHES / f"{target}.log").write_text(said[-20_000:])
    return total


def main() -> None:
    """Fuzz, and write the file anew after every target."""
    from fuzz.targets import TARGETS

    seeds, seconds, file = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    targets = sys.argv[4:] or list(TARGETS)
    counts = {row[0]: Count(*(int(each.replace(",", "")) for each in row[1:])) for row in _rows(file)}
    command = "PYTHONPATH=src:. nice -n 19 build/fuzz/bin/python -m fuzz.counts build/seeds 3600 fuzz/RESULTS.md"
    for target in targets:
        counts[target] = counts.get(target, Count()).plus(fuzz(target, seeds, seconds // len(targets)))
        total = Count()
        for each in counts.values():
            total = total.plus(each)
        rows = [f"| `{name}` | " + " | ".join(f"{each:,}" for each in count) + " |" for name, count in counts.items()]
        last = f"| all | {total.inputs:,} | {total.seconds:,} | | {total.broken:,} |"
        file.write_text(_HEAD.format(slow=SLOW_S, command=command) + "\n".join([*rows, last]) + "\n")


def _rows(file: Path) -> list[tuple[str, ...]]:
    return [match.groups() for match in _ROW.finditer(file.read_text())] if file.exists() else []


if __name__ == "__main__":
    main()
