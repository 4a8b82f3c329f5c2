"""`python -m benchmarks.growth`: time and memory of file work against tensors and bytes, as one chart and a table.

    python -m benchmarks.growth --output benchmarks/GROWTH.md

Processor seconds, the least of some runs of whole processes: on a busy machine a clock would measure the others. The
slope of a line is that of its last step, where what every run takes is least of it: 1 is ten times as much for ten times
the input.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import multiprocessing
import os
import platform
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.measure import run_once
from paraminspect.render.scales import log_scale
from paraminspect.render.svg import GRID, INK, SOFT, Line, Picture, Rect, Shape, Text, render_svg

COUNTS: Final = (1_000, 10_000, 100_000, 1_000_000)
MEGABYTES: Final = (100, 300, 1_000, 4_000, 16_000)
PIECE: Final = 16 << 20
"""Bytes of a tensor where bytes are what grows."""

SIZE: Final = 300
"""Of a panel, in pixels."""

LEFT, TOP, GAP, BOTTOM, RIGHT = 70, 80, 120, 50, 150
BARE: Final = "bare json"
COLOURS: Final = {
    "list": "#2f6fb0",
    "stats": "#b3261e",
    "check": "#59636e",
    "diff": "#8a6100",
    "convert": "#1a7f37",
    BARE: "#6639a6",
}
DOT: Final = 3
APART: Final = 14
"""Pixels between two labels, one below the other."""


class Point(NamedTuple):
    """One command on one input: how large it is, processor seconds, megabytes at the peak."""

    size: float
    cpu_s: float
    peak_mb: float


class Panel(NamedTuple):
    """A square of the chart: what lies along it, what is drawn upwards, and the lines by command."""

    along: str
    upward: str
    lines: dict[str, list[tuple[float, float]]]


def make_many(path: Path, count: int) -> None:
    """A mixture of experts, by short names, as a header may take 100 MB; its tensors are one byte each."""
    names = [f"h.{i // 1000}.e.{i // 4 % 250}.w{i % 4}" for i in range(count)]
    _write(path, {name: ("U8", [1], i, i + 1) for i, name in enumerate(names)}, [bytes(count)])


def make_large(path: Path, megabytes: int) -> None:
    """Float32 numbers in tensors of 16 MiB: the same drawn ones again and again, which nothing here can tell."""
    import numpy as np

    drawn = np.random.default_rng(0).standard_normal(PIECE // 4, np.float32).tobytes()
    count = max(1, round(megabytes * 1e6 / PIECE))
    entries = {f"layers.{i}.weight": ("F32", [1024, PIECE // 4096], i * PIECE, (i + 1) * PIECE) for i in range(count)}
    _write(path, entries, (drawn for _ in range(count)))


def _write(path: Path, entries: dict[str, tuple[str, list[int], int, int]], pieces: object) -> None:
    header = {name: {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]} for name, (dtype, shape, begin, end) in entries.items()}  # fmt: skip
    text = json.dumps(header, separators=(",", ":")).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for piece in pieces:  # type: ignore[attr-defined]
            file.write(piece)


def measure(command: Sequence[str], size: float, rounds: int) -> Point:
    """The least of some runs."""
    runs = [run_once(tuple(command)) for _ in range(rounds)]
    if failed := [run.status for run in runs if run.status]:
        sys.exit(f"exit status {failed[0]}: {' '.join(command)}")
    return Point(size, min(run.cpu_s for run in runs), min(run.peak for run in runs) / 1e6)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Decades upward for a decade along, of the last step."""
    (x1, y1), (x2, y2) = points[-2:]
    return math.log10(y2 / y1) / math.log10(x2 / x1)


def measure_counts(data: Path, program: str, rounds: int) -> dict[str, list[Point]]:
    """Against the number of tensors."""
    floor = (sys.executable, "benchmarks/floors/bare_json.py")
    found: dict[str, list[Point]] = {"list": [], "stats": [], "check": [], BARE: []}
    for count in COUNTS:
        path = _made(data / f"growth-{count}.safetensors", make_many, count)
        for name, points in found.items():
            command = floor if name == BARE else (program, name)
            points.append(measure((*command, str(path)), count, rounds if count < COUNTS[-1] else 1))
            _say(name, f"{count:,} tensors", points[-1])
    return found


def measure_bytes(data: Path, program: str, rounds: int, most: int) -> dict[str, list[Point]]:
    """Against the bytes of the weights."""
    found: dict[str, list[Point]] = {"stats": [], "diff": [], "convert": []}
    made = data / "growth-converted.safetensors"
    for megabytes in (each for each in MEGABYTES if each <= most):
        path = _made(data / f"growth-{megabytes}mb.safetensors", make_large, megabytes)
        size = path.stat().st_size
        words = {
            "stats": ("stats", str(path)),
            "diff": ("diff", str(path), str(path)),
            "convert": ("convert", str(path), "-o", str(made), "--force"),
        }
        for name, points in found.items():
            points.append(measure((program, *words[name]), size, rounds if size < 2e9 else 1))
            _say(name, f"{megabytes:,} MB", points[-1])
        made.unlink()
        if size > 2e9:
            path.unlink()
    return found


def _made(path: Path, make: Callable[[Path, int], None], size: int) -> Path:
    """An input, made by another process: this one stays small, since the peak of a child begins at that of its parent."""
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        process = multiprocessing.get_context("fork").Process(target=make, args=(unfinished, size))
        process.start()
        process.join()
        unfinished.rename(path)
    return path


def _say(name: str, size: str, point: Point) -> None:
    print(f"{name} of {size}: {point.cpu_s:.2f} s, {point.peak_mb:.0f} MB", file=sys.stderr, flush=True)


def panels_of(counts: dict[str, list[Point]], sizes: dict[str, list[Point]]) -> list[Panel]:
    """Seconds and megabytes, against tensors and against gigabytes."""
    return [
        Panel(
            along, upward, {name: [(each.size / unit, each[what]) for each in points] for name, points in found.items()}
        )
        for along, unit, found in (("tensors", 1, counts), ("gigabytes of weights", 1e9, sizes))
        for what, upward in ((1, "processor seconds"), (2, "megabytes at the peak"))
    ]


def draw(panels: Sequence[Panel]) -> Picture:
    """Two panels beside each other, two rows of them, each with a line of slope 1."""
    shapes: list[Shape] = [Text(16, 26, "How time and memory of file work grow", INK, bold=True)]
    shapes.append(
        Text(16, 44, "both axes are logarithmic; the grey line has slope 1; behind a name the slope at the end", SOFT)
    )
    for place, panel in enumerate(panels):
        left, top = LEFT + place % 2 * (SIZE + GAP + RIGHT), TOP + place // 2 * (SIZE + GAP)
        shapes += _draw_panel(panel, left, top)
    return Picture(LEFT + 2 * (SIZE + RIGHT) + GAP, TOP + 2 * SIZE + GAP + BOTTOM, "Growth of time and memory", shapes)


def _draw_panel(panel: Panel, left: float, top: float) -> list[Shape]:
    xs = log_scale([x for points in panel.lines.values() for x, _ in points])
    ys = log_scale([y for points in panel.lines.values() for _, y in points])

    def at(x: float, y: float) -> tuple[float, float]:
        return left + xs.fraction(x) * SIZE, top + (1 - ys.fraction(y)) * SIZE

    shapes: list[Shape] = [Text(left, top - 10, panel.upward, SOFT), Text(left + SIZE / 2, top + SIZE + 36, panel.along, SOFT, "middle")]  # fmt: skip
    for tick in xs.ticks(9):
        x = left + tick.fraction * SIZE
        shapes += [Line(x, top, x, top + SIZE, GRID), Text(x, top + SIZE + 18, tick.label, SOFT, "middle")]
    for tick in ys.ticks(9):
        y = top + (1 - tick.fraction) * SIZE
        shapes += [Line(left, y, left + SIZE, y, GRID), Text(left - 6, y + 4, tick.label, SOFT, "end")]
    decades = min(xs.high - xs.low, ys.high - ys.low)
    shapes.append(
        Line(*at(10.0**xs.low, 10.0**ys.low), *at(10.0 ** (xs.low + decades), 10.0 ** (ys.low + decades)), SOFT)
    )
    labels = []
    for name, points in panel.lines.items():
        spots = [at(*point) for point in points]
        shapes += [Line(*one, *other, COLOURS[name]) for one, other in itertools.pairwise(spots)]
        shapes += [Rect(x - DOT, y - DOT, 2 * DOT, 2 * DOT, COLOURS[name]) for x, y in spots]
        labels.append((spots[-1], f"{name} {slope(points):.2f}", COLOURS[name]))
    lowest = top
    for (_, y), label, colour in sorted(labels):
        lowest = max(y + 4, lowest)
        shapes.append(Text(left + SIZE + 10, lowest, label, colour))
        lowest += APART
    return shapes


def document(counts: dict[str, list[Point]], sizes: dict[str, list[Point]], command: str) -> str:
    """The page, as Markdown."""
    lines = [
        "# How time and memory grow",
        "",
        f"Written by `{command}` on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. Processor seconds, the least of some runs",
        "of whole processes. The slope is that of the last step: decades of time for a decade of input.",
        "",
        "![Time and memory against tensors and bytes](growth.svg)",
    ]
    for title, unit, found in (
        ("Tensors of one byte in one `.safetensors`", "tensors", counts),
        ("Bytes of float32 in tensors of 16 MiB, `.safetensors`", "GB", sizes),
    ):
        lines += [
            "",
            f"## {title}",
            "",
            f"| command | {unit} | processor s | peak MB | slope of time | slope of memory |",
        ]
        lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, points in found.items():
            for place, each in enumerate(points):
                size = f"{each.size:,.0f}" if unit == "tensors" else f"{each.size / 1e9:.1f}"
                known = points[: place + 1]
                slopes = [f"{slope([(p.size, p[what]) for p in known]):.2f}" if place else "" for what in (1, 2)]
                lines.append(f"| `{name}` | {size} | {each.cpu_s:.2f} | {each.peak_mb:.0f} | {' | '.join(slopes)} |")
    return "\n".join([*lines, "", REASONS, ""])


REASONS: Final = """\
## Where the slope is not 1

- **Few tensors, few bytes**: what every run takes is most of it: Python and Typer, and for values numpy, 0.07 to 0.2 s and 20 to
  45 MB. Lines bend there, and are straight past it.
- **Time against tensors** ends at 1 or a little above, and that of a bare JSON parser that prints names and shapes more so.
- **Memory against tensors** is 1 kB of records for each, on top of that.
- **Memory against bytes** has no slope: values are read in pieces, and `convert` of one type to the same leaves copying to the
  system. What is written is not waited for in processor seconds.
- **Time against bytes** ends above 1 where 16 GB, with what `convert` writes, do not fit in the page cache: from the disk
  `stats` of 1 GB took 0.2 to 0.3 s of a processor more than from memory, which is the system's reading.
- `stats` of a tensor of one element takes 0.1 ms: its quantiles, histogram and moments are some four hundred calls of Python.
"""


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("build/bench"), help="folder of the inputs (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs, of which the least counts (default: %(default)s)")
    parser.add_argument("--most", type=int, default=MEGABYTES[-1], help="megabytes of the largest file; as much again is written (default: %(default)s)")  # fmt: skip
    parser.add_argument("--output", type=Path, help="page to write; growth.svg goes beside it")
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    program = os.path.join(os.path.dirname(sys.executable), "paraminspect")
    counts = measure_counts(options.data, program, options.rounds)
    sizes = measure_bytes(options.data, program, options.rounds, options.most)
    page = document(counts, sizes, f"python -m benchmarks.growth {' '.join(sys.argv[1:])}".rstrip())
    print(page, end="")
    if options.output:
        options.output.write_text(page, "utf-8")
        options.output.with_name("growth.svg").write_text("".join(render_svg(draw(panels_of(counts, sizes)))), "utf-8")


if __name__ == "__main__":
    main()
