"""Whole processes in turn: their time, their peak memory, what they print. No imports beyond what measuring needs.

The kernel starts a child's peak memory at that of the process it was forked from, so nothing below this process's own
size (about 12 MB) can be told apart.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MEGABYTE = 1_000_000
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in the unit of `ru_maxrss`."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Of one command over several runs.

    Attributes:
        median_s: Wall-clock seconds from the start of the process until it is gone.
        spread_s: (fastest, slowest) run.
        cpu_s: Median of the seconds it kept processors busy; on a busy machine less noisy than `median_s`.
        peak_mb: Largest resident set of any run, in millions of bytes.
        printed: Bytes it wrote to the pipe, in the last run.
        status: Exit status of the last run.
    """

    median_s: float
    spread_s: tuple[float, float]
    cpu_s: float
    peak_mb: float
    printed: int
    status: int


@dataclass(frozen=True, slots=True)
class Run:
    """One process: seconds of wall clock and of processors, peak and printed bytes, exit status."""

    elapsed_s: float
    cpu_s: float
    peak: int
    printed: int
    status: int


def measure_in_turn(commands: Mapping[str, tuple[str, ...]], rounds: int, makes: str = "") -> dict[str, Measurement]:
    """Run every command once a round, A B C A B C ..., after one round that is not counted.

    Args:
        commands: Label -> command line; its first word is a path. Standard output is a pipe that is read and dropped.
        rounds: Counted runs of each.
        makes: A file that they write, removed after each.
    """
    runs: dict[str, list[Run]] = {label: [] for label in commands}
    for counted in range(rounds + 1):
        for label, command in commands.items():
            run = run_once(command)
            if counted:
                runs[label].append(run)
            if makes and os.path.exists(makes):
                os.unlink(makes)
    return {label: summarise(of_one) for label, of_one in runs.items()}


def run_once(command: tuple[str, ...]) -> Run:
    """One run, whose standard output is a pipe that is read and dropped."""
    reading, writing = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writing, 1),
    ]
    started = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    os.close(writing)
    printed = 0
    while data := os.read(reading, 1 << 20):
        printed += len(data)
    _, status, usage = os.wait4(pid, 0)
    elapsed_s = time.perf_counter() - started
    os.close(reading)
    return Run(
        elapsed_s,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * RSS_UNIT,
        printed,
        os.waitstatus_to_exitcode(status),
    )


def summarise(runs: Sequence[Run]) -> Measurement:
    """Of the runs of one command, in the order they ran."""
    times = [run.elapsed_s for run in runs]
    return Measurement(
        median_s=_median(times),
        spread_s=(min(times), max(times)),
        cpu_s=_median([run.cpu_s for run in runs]),
        peak_mb=max(run.peak for run in runs) / MEGABYTE,
        printed=runs[-1].printed,
        status=runs[-1].status,
    )


def _median(numbers: Sequence[float]) -> float:
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
