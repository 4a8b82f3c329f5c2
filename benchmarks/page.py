"""How soon the page of `paraminspect report` is there, and how soon it follows what is typed: of 20,000 tensors.

    python -m benchmarks.page

Wants playwright and a Chromium. `python -m benchmarks` writes the same into its tables.
"""

from __future__ import annotations

import json
import statistics
import struct
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from playwright.sync_api import Page, sync_playwright

import paraminspect as pi
from scripts.browser import BROWSER, FLAGS

TENSORS: Final = 20_000
ROUNDS: Final = 7
MOST_PAINT_MS, MOST_FILTER_MS = 1_000, 50
TITLE: Final = f"A page of {TENSORS:,} tensors"
TYPED: Final = ("attn", "experts.499", "*.3?.*", "dtype:uint8 499")

PAINT: Final = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
TYPE: Final = """(text) => new Promise((done) => {
  const box = document.getElementById("filter"), told = document.querySelector("[role=status]");
  const start = performance.now();
  const seen = new MutationObserver(() => {
    seen.disconnect();
    requestAnimationFrame(() => done(performance.now() - start));
  });
  seen.observe(told, {subtree: true, characterData: true, childList: true});
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(box, text);
  box.dispatchEvent(new Event("input", {bubbles: true}));
})"""


def make_model(path: Path) -> None:
    """Headers of a mixture of experts; its tensors are one byte each."""
    names = [f"model.layers.{i}.experts.{j}.weight" for i in range(TENSORS // 500) for j in range(500)]
    entries = {name: {"dtype": "U8", "shape": [1, 1], "data_offsets": [i, i + 1]} for i, name in enumerate(names)}
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(len(names)))


def measure(page: Page, url: str) -> tuple[float, list[float]]:
    """Milliseconds to the first paint, and to what follows each text that is typed."""
    page.goto(f"{url}#view=tensors")
    page.wait_for_selector("#filter")
    page.wait_for_timeout(300)
    return page.evaluate(PAINT), [page.evaluate(TYPE, text) for text in TYPED]


class Found(NamedTuple):
    """Medians, and the size of the page."""

    paint_ms: float
    filter_ms: float
    nbytes: int

    def rows(self) -> list[str]:
        """Lines of the table of budgets."""
        told = (
            ("first paint", self.paint_ms, MOST_PAINT_MS),
            ("what is typed into the filter", self.filter_ms, MOST_FILTER_MS),
        )
        return [
            f"| {TITLE} | `paraminspect report` | {what} at most {most:,} ms | {ms:.0f} ms | {'yes' if ms <= most else '**no**'} |"
            for what, ms, most in told
        ]

    def table(self) -> str:
        """What was measured."""
        return (
            f"### {TITLE}\n\n{ROUNDS} runs in Chromium, of which the medians: a page of {self.nbytes / 1000:,.0f} kB, first "
            f"paint after {self.paint_ms:.0f} ms, rows follow what is typed after {self.filter_ms:.0f} ms.\n"
        )


def find() -> Found:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        make_model(Path(folder, "model.safetensors"))
        report = pi.report(Path(folder, "model.safetensors"), values=False)
        report.write(f"{folder}/report.html")
        opened = running.chromium.launch(executable_path=BROWSER, args=FLAGS)
        found = []
        for _ in range(ROUNDS):
            page = opened.new_page(viewport={"width": 1280, "height": 860})
            found.append(measure(page, Path(folder, "report.html").as_uri()))
            page.close()
        opened.close()
    paint = statistics.median(first for first, _ in found)
    typed = statistics.median(each for _, all_typed in found for each in all_typed)
    return Found(paint, typed, len(report.html))


if __name__ == "__main__":
    print(find().table())
