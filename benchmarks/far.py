"""`python -m benchmarks.far`: how long far models take on loopback, how many requests and how many bytes.

The server is a process beside, of this project's own. Its files are headers of safetensors with zeros behind them, made as they are
asked for, so that 140 GB take no room.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from scripts.servers.hub import Hub
from scripts.servers.ranges import RangeServer
from scripts.servers.shards import INDEX, make_shards

SHARDS = 160
NBYTES = 140 * 10**9
TENSOR = "model.layers.7.mlp.experts.3.weight"

MAX_MEGABYTES = 20.0
MAX_SECONDS = 3.0
"""Budgets for a list of the whole model."""

PEER = "import huggingface_hub as h; print(len(h.get_safetensors_metadata('org/large').weight_map))"
FLOOR = "benchmarks.floors.fetch_heads"


class Work(NamedTuple):
    """One command.

    Attributes:
        label: In the table.
        command: Arguments of the process.
        server: Whose traffic counts.
        has_budget: Whether the budgets are for it.
    """

    label: str
    command: tuple[str, ...]
    server: RangeServer
    has_budget: bool = False


class Found(NamedTuple):
    """Medians of several runs: seconds, requests, millions of bytes of bodies; and the worst exit status."""

    seconds: float
    requests: int
    megabytes: float
    status: int


def main() -> int:
    """Exit status 0 if the budgets are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.far", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="runs of each command (default: %(default)s)")
    parser.add_argument("--output", metavar="FILE", help="write the table there as well")
    options = parser.parse_args()
    files = make_shards(SHARDS, NBYTES)
    with RangeServer({f"/{name}": content for name, content in files.items()}) as web, Hub({"org/large": files}) as hub:
        environ = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_TELEMETRY": "1"}
        works = _make_works(web, hub)
        found = {work.label: _measure(work, environ, options.rounds) for work in works}
    text = _table(works, found, options.rounds)
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    return int(not all(_keeps(work, found[work.label]) for work in works))


def _make_works(web: RangeServer, hub: Hub) -> list[Work]:
    program = str(Path(sys.executable).parent / "paraminspect")
    index, model = f"{web.url}/{INDEX}", "hf://org/large"
    return [
        Work("`paraminspect list https://…`", (program, "list", index), web, has_budget=True),
        Work("`paraminspect list hf://…`", (program, "list", model), hub, has_budget=True),
        Work("`paraminspect tree hf://…`", (program, "tree", model), hub),
        Work("`paraminspect shared hf://…`", (program, "shared", model), hub),
        Work("`paraminspect check hf://…`", (program, "check", model), hub),
        Work("`paraminspect stats hf://… --select` of one tensor", (program, "stats", model, "--select", TENSOR), hub),
        Work("huggingface_hub `get_safetensors_metadata`", (sys.executable, "-c", PEER), hub),
        Work("bare requests for the index and every header", (sys.executable, "-m", FLOOR, index), web),
    ]


def _measure(work: Work, environ: Mapping[str, str], rounds: int) -> Found:
    seconds, requests, sent, status = [], [], [], 0
    for _ in range(rounds):
        work.server.log.clear()
        start = time.perf_counter()
        done = subprocess.run(work.command, env=environ, stdout=subprocess.DEVNULL, check=False)
        seconds.append(time.perf_counter() - start)
        requests.append(len(work.server.log))
        sent.append(work.server.sent / 1e6)
        status = max(status, abs(done.returncode))
    median: Callable[[list[float]], float] = statistics.median
    return Found(median(seconds), int(statistics.median(requests)), median(sent), status)


def _keeps(work: Work, found: Found) -> bool:
    within = found.megabytes < MAX_MEGABYTES and found.seconds < MAX_SECONDS
    return not found.status and (within or not work.has_budget)


def _table(works: list[Work], found: Mapping[str, Found], rounds: int) -> str:
    lines = [
        "# Far models\n",
        f"Written by `python -m benchmarks.far`: {SHARDS} shards, {NBYTES // 10**9} GB, over HTTP on loopback, medians of",
        f"{rounds} runs. A list of all may take {MAX_SECONDS:g} s and move {MAX_MEGABYTES:g} MB.\n",
        "| command | s | requests | MB moved | budgets |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for work in works:
        its = found[work.label]
        verdict = ("met" if _keeps(work, its) else "**missed**") if work.has_budget else ""
        verdict = f"**exit status {its.status}**" if its.status else verdict
        lines.append(f"| {work.label} | {its.seconds:.2f} | {its.requests} | {its.megabytes:.2f} | {verdict} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
