"""`python -m benchmarks.scale`: how file work scales, measured by processes here, and reckoned for a thousand hosts.

Processor seconds are measured, not seconds of a clock: processes that share cores wait for each other, hosts do not. The
longest rank is the process that was busy for longest; with n ranks its share of all work is 1/n at best.
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from paraminspect.engines.dask import BLOCK_BYTES, LOT_BYTES
from paraminspect.engines.local import processes
from paraminspect.engines.pool import Answer, Errand
from paraminspect.formats.source import open_source
from paraminspect.limits import SHARED, one_effort
from paraminspect.records import Storage, TensorRecord
from paraminspect.values.collecting import Made, summarise_lot
from paraminspect.values.parts import Part, cut, put_together, size_of

RANKS: Final = (1, 2, 4)
HOSTS: Final = (1, 10, 100, 1000)
TENSORS: Final = 2000
"""Of the header whose reading is measured."""

TASKS: Final = 400
"""That do nothing, to measure what the scheduler takes for each."""


class Model(NamedTuple):
    """A checkpoint to reckon with.

    Attributes:
        tensors: How many.
        nbytes: Of all.
        largest: Bytes of the largest.
    """

    name: str
    tensors: int
    nbytes: int
    largest: int


MODELS: Final = (
    Model("405B in bfloat16", 1_138, 812 * 10**9, 4_202_692_608),
    Model("671B of 58 x 256 experts in bfloat16", 45_600, 1_342 * 10**9, 1_853_358_080),
    Model("405B with Adam's state in float32", 4_552, 4_872 * 10**9, 8_405_385_216),
)


class Ranks(NamedTuple):
    """What was measured of so many processes: processor seconds of all, and the share of the longest."""

    ranks: int
    cpu_s: float
    longest: float


class Found(NamedTuple):
    """What one task takes.

    Attributes:
        rate: Bytes a processor second.
        errand: Bytes of the message that asks for a lot of one tensor.
        answer: Bytes of statistics of one tensor.
        partial: Bytes of what a part of a tensor gives.
        open_s: To read the header of one tensor.
        task_s: Of the client and the scheduler for one task of Dask; None where it was not measured.
    """

    rate: float
    errand: int
    answer: int
    partial: int
    open_s: float
    task_s: float | None


def timed_lot(lot: Sequence[Part], advance: Callable[[int], None]) -> tuple[int, float]:
    """Statistics, thrown away: by which process, and for how long it was busy."""
    start = time.process_time()
    summarise_lot(lot, advance)
    return os.getpid(), time.process_time() - start


def make_input(path: Path) -> None:
    """A gigabyte in tensors of many sizes, as a model has them."""
    import ml_dtypes
    import numpy as np
    from safetensors.numpy import save_file

    drawn = np.random.default_rng(0)
    sizes = [64 << 20] + [4 << 20] * 64 + [1 << 20] * 64 + [4096] * 500
    save_file(
        {
            f"layers.{at}.weight": drawn.standard_normal(size, np.float32).astype(ml_dtypes.bfloat16)
            for at, size in enumerate(sizes)
        },
        path,
    )


def lots_of(records: Sequence[TensorRecord], most: int, lot: int) -> list[tuple[Part, ...]]:
    """Tasks for statistics of these tensors."""
    parts = [part for at, record in enumerate(records) for part in cut(at, 0, [record], most)]
    return list(put_together(parts, lot))


def measure_ranks(path: Path, ranks: int) -> Ranks:
    """Statistics of a file by so many processes."""
    pool = processes(ranks, "fork")
    busy: dict[int, float] = {}
    with one_effort():
        records = open_source(path).tensors
        for _, (process, seconds) in pool.run(timed_lot, lots_of(records, pool.cut, pool.lot), size_of):
            busy[process] = busy.get(process, 0.0) + seconds
    total = sum(busy.values())
    return Ranks(ranks, total, max(busy.values()) / total)


def measure_task(records: Sequence[TensorRecord], cpu_s: float, *, dask: bool) -> Found:
    """What one task takes, in bytes and seconds."""
    whole, halves = cut(0, 0, [records[-1]], 1 << 40), cut(0, 0, [records[0]], 1 << 20)

    def send(made: list[Made]) -> int:
        return len(pickle.dumps(Answer(made, (0,) * len(SHARED))))

    storage = Storage("s", 8 * TENSORS, "/data/model-00001-of-00191.safetensors", 1 << 20)
    header = [
        TensorRecord(f"model.layers.{at}.w", (4, 4), "bfloat16", 16, 32, storage=storage) for at in range(TENSORS)
    ]
    start = time.process_time()
    pickle.loads(pickle.dumps(header))
    lots_of(header, BLOCK_BYTES, LOT_BYTES)
    open_s = (time.process_time() - start) / TENSORS
    errand = Errand(summarise_lot, tuple(whole), 1 << 40, "/home/user", {}, {}, "0" * 32)
    return Found(
        sum(record.nbytes or 0 for record in records) / cpu_s,
        len(pickle.dumps(partial(int, errand))),
        send(summarise_lot(whole, _nobody)),
        send(summarise_lot(halves[:1], _nobody)),
        open_s,
        measure_dask() if dask else None,
    )


def _nobody(nbytes: int) -> None:
    """Nobody asked."""


def measure_dask() -> float:
    """Seconds of client and scheduler for a task, on a cluster of two workers here."""
    from concurrent.futures import wait

    import distributed

    library: Any = distributed
    with (
        library.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        library.Client(cluster) as client,
    ):
        executor = client.get_executor(pure=False)
        start = time.process_time()
        wait([executor.submit(abs, task) for task in range(TASKS)])
        return (time.process_time() - start) / TASKS


class Plan(NamedTuple):
    """What so many hosts would do: bytes that each reads, messages, and processor seconds until the last is done."""

    hosts: int
    bytes_each: float
    tasks: int
    messages: int
    read_s: float
    client_s: float
    floor_s: float


def reckon(model: Model, found: Found, hosts: int, task_s: float) -> Plan:
    """One process a host.

    A host reads its share, or the largest block if that takes longer: the floor, which more hosts do not lower. The client
    hands out tasks one after the other, beside that.
    """
    blocks = sum(-(-size // BLOCK_BYTES) for size in (model.largest,))
    tasks = max(min(model.tensors, -(-model.nbytes // LOT_BYTES)), blocks)
    floor = min(model.largest, BLOCK_BYTES) / found.rate
    return Plan(
        hosts,
        model.nbytes / hosts,
        tasks,
        tasks * (found.errand + found.answer),
        max(model.nbytes / hosts / found.rate, floor),
        tasks * task_s + model.tensors * found.open_s,
        floor,
    )


def document(ranks: Sequence[Ranks], found: Found) -> str:
    """The page, as Markdown."""
    task_s = found.task_s if found.task_s is not None else 1e-3
    lines = [
        "# File work past one machine",
        "",
        f"Written by `python -m benchmarks.scale --dask --output benchmarks/SCALE.md` on {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}. Seconds are processor seconds: processes that share",
        "cores wait for each other, hosts do not.",
        "",
        "## Measured: `stats` of 800 MB of bfloat16, 629 tensors",
        "",
        "| processes | processor seconds | share of the longest | at best | so many times as fast, had each a core |",
        "| --- | --- | --- | --- | --- |",
    ]
    one = ranks[0].cpu_s
    lines += [
        f"| {each.ranks} | {each.cpu_s:.2f} | {each.longest:.0%} | {1 / each.ranks:.0%} | "
        f"{one / (each.cpu_s * each.longest):.1f} |"
        for each in ranks
    ]
    asked = f"{found.task_s * 1e3:.1f} ms" if found.task_s is not None else "1 ms, not measured"
    lines += [
        "",
        "| what | measured |",
        "| --- | --- |",
        f"| bytes read and counted in a processor second | {found.rate / 1e9:.2f} GB |",
        f"| message that asks for a tensor | {found.errand:,} bytes |",
        f"| its statistics | {found.answer:,} bytes |",
        f"| what a block of a larger tensor gives, to be put together | {found.partial:,} bytes |",
        f"| a tensor's header at the client | {found.open_s * 1e6:.0f} µs |",
        f"| client and scheduler, a task of Dask | {asked} |",
        "",
        "## Reckoned: one process a host",
        "",
        "Hosts that read at least as fast as they count; storage that gives them that. The largest block (4 GiB) is the",
        "floor. The client's seconds go on beside those of the hosts.",
        "",
        "| model | hosts | each reads | tasks | messages | hosts are busy | client is busy | floor |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for model in MODELS:
        for hosts in HOSTS:
            plan = reckon(model, found, hosts, task_s)
            lines.append(
                f"| {model.name} | {hosts:,} | {plan.bytes_each / 1e9:,.1f} GB | {plan.tasks:,} | "
                f"{plan.messages / 1e6:.1f} MB | {plan.read_s:,.0f} s | {plan.client_s:.1f} s | {plan.floor_s:.1f} s |"
            )
    lines += [
        "",
        "Past some hundred hosts the largest block and the client decide, not the bytes: smaller blocks would lower the",
        "first and raise the second.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--data", default="build/bench", help="folder of the input, 0.8 GB (default: %(default)s)")
    parser.add_argument("--dask", action="store_true", help="measure a task of Dask too")
    parser.add_argument("--output", help="file to write")
    options = parser.parse_args()
    path = Path(options.data) / "scale.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        make_input(path)
    records = open_source(path).tensors
    measure_ranks(path, 1)  # so that the file is in memory
    ranks = [measure_ranks(path, each) for each in RANKS]
    page = document(ranks, measure_task(records, ranks[0].cpu_s, dask=options.dask))
    print(page)
    if options.output:
        Path(options.output).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
