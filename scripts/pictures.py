"""Pictures of what commands print on a terminal, to look at: every command at several widths, on dark and on light.

    python -m scripts.pictures             all into build/pictures/, one sheet a command
    python -m scripts.pictures list stats  those whose names begin so

Wants a Chromium and the files of `make demo`; makes those that are hard to show (long names, NaN, a dangerous pickle) itself.
"""

from __future__ import annotations

import html
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from scripts import demo
from scripts.browser import BROWSER, FLAGS
from scripts.terminal import run_on_terminal

INTO: Final = demo.ROOT / "build" / "pictures"
FILES: Final = INTO / "files"

WIDTHS: Final = (60, 80, 120, 200)
MOST_LINES: Final = 34
"""Of one picture; what follows is cut off."""

SVG: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; \
line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""rich's own template without the web font it loads."""

_ANSI: Final = [
    (0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229),
]  # fmt: skip
"""As xterm has them; what is fixed does not ask for them."""

DARK: Final = TerminalTheme((0, 0, 0), (220, 220, 220), _ANSI)
LIGHT: Final = TerminalTheme((255, 255, 255), (20, 20, 20), _ANSI)

COMMANDS: Final = {
    "info": "paraminspect training.pt",
    "list": "paraminspect list gpt2.pt",
    "list-7b": "paraminspect list configs/llama-7b.yaml",
    "list-long": "paraminspect list long.safetensors",
    "list-all": "paraminspect list --all training.pt",
    "list-depth": "paraminspect list --depth 2 gpt2.pt",
    "tree": "paraminspect tree gpt2.pt",
    "tree-long": "paraminspect tree long.safetensors",
    "tree-spec": "paraminspect tree configs/resnet18.yaml --with-shapes",
    "show": "paraminspect show gpt2.pt transformer.ln_f.weight",
    "stats": "paraminspect stats gpt2.pt --select '*h.[01].*'",
    "stats-long": "paraminspect stats long.safetensors",
    "stats-nan": "paraminspect stats tuned.safetensors --fail-on nan,zero",
    "diff": "paraminspect diff base.pt tuned.safetensors",
    "diff-long": "paraminspect diff long.safetensors longer.safetensors",
    "shared": "paraminspect shared gpt2.pt long.safetensors --equal",
    "check": "paraminspect check hostile.pt gpt2.pt tuned.safetensors",
    "check-table": "paraminspect check hostile.pt -f table -c severity,code,name,message",
    "convert": "paraminspect convert gpt2.pt -o out.safetensors --dry-run",
    "init": "paraminspect init configs/mlp.yaml --rule '*weight=kaiming_uniform(a=0.1)' --rule '*bias=zeros'",
    "grad": "paraminspect grad configs/autoencoder.yaml",
    "grad-table": "paraminspect grad configs/gpt2.yaml -f table",
    "cost": "paraminspect cost configs/vit-b16.yaml",
    "cost-7b": "paraminspect cost configs/llama-7b.yaml --depth 3",
    "rules": "paraminspect rules",
    "help": "paraminspect -h; paraminspect stats -h",
    "error": "paraminspect list nothing.pt; paraminspect lst gpt2.pt; paraminspect list configs/gpt2.yaml -D dmi=3",
}


class Shot(NamedTuple):
    """What a command printed on a terminal so many columns wide."""

    name: str
    columns: int
    text: str


def draw(printed: str, columns: int, title: str, theme: TerminalTheme = DARK) -> str:
    """The SVG of a terminal on which this was printed."""
    console = Console(
        width=columns, file=io.StringIO(), record=True, force_terminal=True, color_system="truecolor",
        legacy_windows=False,
    )  # fmt: skip
    for line in Text.from_ansi(printed.rstrip("\n")).split(allow_blank=True):
        for piece in line.divide(range(columns, len(line.plain), columns)):  # as a terminal does
            console.print(piece, soft_wrap=True)
    return console.export_svg(title=title, code_format=SVG, unique_id="terminal", theme=theme)


def make_files(folder: Path) -> None:
    """Make the files that are hard to show."""
    import numpy as np
    import safetensors.numpy

    folder.mkdir(parents=True, exist_ok=True)
    drawn = np.random.default_rng(0)
    stem = "vision_language_backbone.encoder.transformer_layers"
    parts = ("self_attention.query_key_value_projection", "feed_forward.gate_and_up_projection")
    long = {
        f"{stem}.{layer}.{part}.{kind}": drawn.normal(0, 0.02, shape).astype(np.float32)
        for layer in range(4)
        for part in parts
        for kind, shape in (("weight", (48, 16)), ("bias", (48,)))
    }
    long["embeddings.positions.wide_名前_ünïcode.weight"] = np.zeros((3, 5, 7), np.float32)
    long["hostile\x1b[31m\u202e.weight"] = np.ones((2, 2), np.float16)
    later = {name: value.copy() for name, value in long.items()}
    first, second, *_ = later
    later[first][0] += 1
    later[second][:3] = np.nan
    later[f"{stem}.4.added"] = later.pop("hostile\x1b[31m\u202e.weight")
    safetensors.numpy.save_file(long, folder / "long.safetensors")
    safetensors.numpy.save_file(later, folder / "longer.safetensors")


def photograph(names: list[str]) -> Iterator[Shot]:
    """Run every command whose name begins with one of these, all if there are none, at every width."""
    demo.link(FILES)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}", "HOME": str(FILES), "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color", "COLORTERM": "truecolor", "TTY_INTERACTIVE": "0",
    }  # fmt: skip
    for name, command in COMMANDS.items():
        if names and not name.startswith(tuple(names)):
            continue
        for columns in WIDTHS:
            _, printed = run_on_terminal(["/bin/sh", "-c", command], environment, columns, FILES)
            lines = re.sub(r"\x1b\]8;[^\x1b]*\x1b\\", "", printed).splitlines()
            yield Shot(name, columns, "\n".join(lines[:MOST_LINES]))


def sheet(shots: list[Shot]) -> str:
    """A page of one command: narrow terminals beside each other, the others below, and one of them on white."""
    pictures: list[str] = []
    for shot, theme in [*[(shot, DARK) for shot in shots], *[(shot, LIGHT) for shot in shots[1:3]]]:
        svg = draw(shot.text, shot.columns, f"{shot.name}, {shot.columns} columns", theme)
        width = round(shot.columns * 7.6 + 30)
        data = html.escape(svg.replace("terminal-", f"t{len(pictures)}-"), quote=True)
        ratio = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
        assert ratio is not None
        height = round(width * float(ratio[2]) / float(ratio[1])) + 8
        pictures.append(
            f'<iframe srcdoc="<body style=&quot;margin:0&quot;>{data}" width={width} height={height}></iframe>'
        )
    return f"<meta charset=utf-8><style>iframe {{ border: 0; margin: 4px }}</style>{''.join(pictures)}"


def main() -> int:
    """Make the sheets; 1 without a browser."""
    if BROWSER is None:
        sys.stderr.write("error: there is no chromium here\n")
        return 1
    from playwright.sync_api import sync_playwright

    make_files(FILES)
    shots: dict[str, list[Shot]] = {}
    for shot in photograph(sys.argv[1:]):
        shots.setdefault(shot.name, []).append(shot)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, args=FLAGS)
        for name, each in shots.items():
            page = browser.new_page(viewport={"width": 1600, "height": 400})
            page.set_content(sheet(each))
            page.screenshot(path=INTO / f"{name}.png", full_page=True)
            page.close()
            sys.stdout.write(f"build/pictures/{name}.png\n")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
