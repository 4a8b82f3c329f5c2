"""The page in a real browser: what a person does with it, with a mouse, with keys, in the dark, on a telephone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

import paraminspect as pi
from scripts.browser import BROWSER, FLAGS

HOSTILE = [
    "</script><script>document.title='taken'</script>", "<img src=x onerror=\"document.title='taken'\">.w",
    "\u202ereversed.w", "javascript:alert(1).w", "&amp;<!--.w", "a b\tc\nd.w", "__proto__.w", "constructor.w",
]  # fmt: skip

pytestmark = [pytest.mark.extra, pytest.mark.skipif(BROWSER is None, reason="there is no chromium here")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()


class Seen:
    """A page, and everything that went wrong on it."""

    def __init__(self, browser: Any, path: Path, fragment: str = "", **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 860}, **options)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.wrong.append(request.url) if request.url != self.url else None)
        self.url = path.as_uri()
        self.page.goto(self.url + fragment)
        self.page.wait_for_selector("main")

    def until(self, expression: str) -> None:
        """Wait for JavaScript to be true: by evaluation from outside, since the page itself may evaluate nothing."""
        for _ in range(200):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(expression)

    def names(self) -> list[str]:
        """Of the lines in sight."""
        return [each.strip() for each in self.page.locator(".rows .row > div:first-child").all_inner_texts()]


@pytest.fixture
def see(browser: Any, tmp_path: Path) -> Iterator[Any]:
    opened: list[Seen] = []

    def open_(path: Path, fragment: str = "", **options: Any) -> Seen:
        opened.append(Seen(browser, path, fragment, **options))
        return opened[-1]

    yield open_
    for each in opened:
        assert each.wrong == []  # no error, and no request to anywhere
        each.context.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    tensors = {f"net.h.{i}.{name}": torch.randn(8, 8) for i in range(12) for name in ("attn.weight", "mlp.weight")}
    tensors["net.h.7.mlp.weight"] *= 40
    tensors["net.embed.weight"] = torch.randn(50, 8)
    tensors["head.weight"] = tensors["net.embed.weight"]
    tensors["net.h.3.attn.weight"][0, 0] = torch.nan
    path = tmp_path_factory.mktemp("model") / "model.pt"
    torch.save(tensors, path)
    pi.report(path).write(str(path.with_suffix(".html")))
    return path.with_suffix(".html")


def test_filter_from_the_keyboard_and_state_in_the_address(see: Any, model: Path) -> None:
    seen = see(model)
    seen.page.keyboard.press("/")
    seen.until("document.activeElement.id === 'filter'")
    seen.page.keyboard.type("*.mlp.*")
    seen.until("document.querySelector('[role=status]').innerText.startsWith('12 of')")
    assert all(".mlp." in name for name in seen.names())
    assert "filter=*.mlp.*" in seen.page.url
    again = see(model, "#" + seen.page.url.split("#")[1])
    assert again.names() == seen.names()
    seen.page.keyboard.press("Escape")
    seen.page.keyboard.press("1")
    seen.page.wait_for_selector(".treemap svg")


@pytest.mark.parametrize(
    ("text", "count"), [("dtype:float", 26), ("!attn", 14), ("embed", 1), ("*.h.?.* weight", 20), ("(", 0)]
)
def test_what_can_be_filtered(see: Any, model: Path, text: str, count: int) -> None:
    seen = see(model, f"#view=tensors&filter={text}")
    seen.until(f"document.querySelector('[role=status]').innerText.startsWith('{count} of')")


def test_sort_by_a_statistic(see: Any, model: Path) -> None:
    seen = see(model, "#view=tensors")
    seen.page.get_by_role("button", name="std").click()
    seen.until("document.querySelector('.rows .row').innerText.startsWith('net.h.7.mlp.weight')")
    seen.page.get_by_role("button", name="std").click()
    assert seen.names()[0] != "net.h.7.mlp.weight"


def test_a_tree_that_keys_fold(see: Any, model: Path) -> None:
    seen = see(model, "#view=tensors")
    grid = seen.page.get_by_role("treegrid", name="Tensors")
    grid.focus()
    before = len(seen.names())
    seen.page.keyboard.press("ArrowLeft")
    seen.until(f"document.querySelectorAll('.rows .row').length < {before}")
    assert seen.names()[0].replace("\n", "").lstrip("▸") == "net"
    seen.page.keyboard.press("ArrowRight")
    seen.page.keyboard.press("End")
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_selector(".drawer")
    assert "head.weight" in seen.page.locator(".drawer h2").inner_text()
    assert "net.embed.weight" in seen.page.locator(".drawer").inner_text()
    seen.page.keyboard.press("Escape")
    seen.page.wait_for_selector(".drawer", state="detached")


def test_the_map_zooms(see: Any, model: Path) -> None:
    seen = see(model)
    seen.page.locator(".box", has=seen.page.locator("title", has_text="net.h: ")).first.click(position={"x": 5, "y": 5})
    seen.until("location.hash.includes('module=net.h')")
    assert seen.page.locator(".crumbs button").all_inner_texts() == ["the model", "net", "h"]
    seen.page.get_by_role("button", name="the model").click()
    seen.until("!location.hash.includes('module')")


def test_the_odd_layer_is_seen(see: Any, model: Path) -> None:
    seen = see(model, "#view=layers")
    cell = seen.page.locator("td[title^='net.h.7.mlp.weight']")
    assert cell.get_attribute("class") == "above"
    off = "getComputedStyle(document.querySelector(\"td[title^='net.h.{}.mlp.weight']\")).getPropertyValue('--off')"
    assert float(seen.page.evaluate(off.format(7))) == 1
    assert float(seen.page.evaluate(off.format(6))) < 0.9
    cell.locator("button").click()
    assert "net.h.7.mlp.weight" in seen.page.locator(".drawer h2").inner_text()


def test_two_models(see: Any, model: Path, tmp_path: Path) -> None:
    after = torch.load(model.with_suffix(".pt"))
    after["net.h.2.attn.weight"] = after["net.h.2.attn.weight"] + 1
    torch.save(after, tmp_path / "after.pt")
    pi.report(model.with_suffix(".pt"), tmp_path / "after.pt").write(str(tmp_path / "r.html"))
    seen = see(tmp_path / "r.html", "#view=changes")
    assert seen.names() == ["net.h.2.attn.weight"]
    assert "model.pt → after.pt" in seen.page.title()


def test_gradients(see: Any, tmp_path: Path) -> None:
    pi.report("configs/shared_linear.yaml", gradients=True).write(str(tmp_path / "r.html"))
    seen = see(tmp_path / "r.html", "#view=gradients")
    assert seen.names() == ["0.weight"]
    assert "+" in seen.page.locator(".rows").inner_text()  # one part a use


def test_one_row_and_all_rows_are_copied_as_tsv(see: Any, model: Path) -> None:
    seen = see(model, "#view=tensors&sort=name", permissions=["clipboard-read", "clipboard-write"])
    copied = "navigator.clipboard.readText()"
    seen.page.locator("[role=treegrid]").focus()
    seen.page.keyboard.press("ArrowDown")
    seen.page.keyboard.press("c")
    row = seen.page.evaluate(copied).split("\t")
    seen.page.get_by_role("button", name="copy as tsv").click()
    seen.page.wait_for_timeout(100)
    lines = [line.split("\t") for line in seen.page.evaluate(copied).split("\n")]
    assert lines[0][:6] == ["name", "shape", "dtype", "numel", "nbytes", "tied_to"]
    assert lines[2] == row
    assert {len(line) for line in lines} == {len(row)}


@pytest.mark.parametrize("fragment", ["", "#view=tensors&sort=name", "#view=layers"])
def test_nothing_is_cut_on_paper(see: Any, model: Path, fragment: str) -> None:
    seen = see(model, fragment, color_scheme="dark")
    seen.page.emulate_media(media="print", color_scheme="dark")
    seen.page.set_viewport_size({"width": 1000, "height": 700})  # landscape, of A4 and of letter
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen.page.wait_for_timeout(200)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 1000
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not seen.page.locator("#filter, footer, header nav").filter(visible=True).count()
    cut = """[...document.querySelectorAll('.list, .scroll, .heat')].filter(
      (each) => each.scrollHeight > each.clientHeight + 2 && getComputedStyle(each).overflowY !== 'visible').length"""
    assert seen.page.evaluate(cut) == 0
    if "tensors" in fragment:
        assert seen.page.locator(".rows .row").count() == 26
        heights = seen.page.evaluate("[...document.querySelectorAll('.rows .row')].map((each) => each.offsetTop)")
        assert heights == sorted(set(heights))
    seen.page.evaluate("dispatchEvent(new Event('afterprint'))")


def test_paper_has_as_many_pages_as_rows_take(see: Any, tmp_path: Path) -> None:
    safetensors.numpy.save_file(
        {f"h.{i}.{name}": np.ones(2) for i in range(90) for name in ("w", "norm")}, tmp_path / "m"
    )
    pi.report(tmp_path / "m").write(str(tmp_path / "m.html"))
    seen = see(tmp_path / "m.html", "#view=tensors&sort=name")
    pages = [seen.page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n")]
    seen.page.locator("#filter").fill("h.1?.norm")
    seen.page.wait_for_timeout(200)
    pages.append(seen.page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n"))
    assert pages[0] > pages[1] >= 1


def test_hostile_names_are_text(see: Any, tmp_path: Path) -> None:
    tensors = {name: np.zeros(2, np.float32) for name in HOSTILE}
    safetensors.numpy.save_file(tensors, tmp_path / "m.safetensors", {"<b>": "<script>document.title='taken'</script>"})
    pi.report(tmp_path / "m.safetensors").write(str(tmp_path / "r.html"))
    for view in ("overview", "tensors&filter=*", "layers"):
        seen = see(tmp_path / "r.html", f"#view={view}")
        assert seen.page.title() == "m.safetensors · paraminspect"
        assert seen.page.locator("img, main script, iframe, a[href^='javascript']").count() == 0
    seen = see(tmp_path / "r.html", "#view=tensors&filter=*")
    assert len(seen.names()) == len(HOSTILE)
    assert "\\u202ereversed.w" in seen.names()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(see: Any, model: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_core_python", reason="axe is not installed")
    script = next(Path(axe.__file__).parent.rglob("axe.min.js")).read_text("utf-8")
    for view in ("overview", "tensors", "layers", "ties", "tensors&tensor=net.embed.weight"):
        seen = see(model, f"#view={view}", color_scheme=scheme)
        seen.page.evaluate(script)
        found = seen.page.evaluate("axe.run()")
        serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
        assert serious == [], json.dumps([(each["id"], each["nodes"][0]["html"]) for each in serious])


def test_dark_and_light_differ(see: Any, model: Path) -> None:
    colours = {
        see(model, color_scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert len(colours) == 2


def test_twenty_thousand_tensors(see: Any, tmp_path: Path) -> None:
    names = [f"model.layers.{i}.experts.{j}.weight" for i in range(40) for j in range(500)]
    safetensors.numpy.save_file({name: np.zeros((1, 1), np.uint8) for name in names}, tmp_path / "m.safetensors")
    pi.report(tmp_path / "m.safetensors", values=False).write(str(tmp_path / "r.html"))
    seen = see(tmp_path / "r.html", "#view=tensors&filter=experts.499.")
    seen.until("document.querySelector('[role=status]').innerText.startsWith('40 of 20,000')")
    seen.page.locator("#filter").fill("")
    seen.page.get_by_role("button", name="unfold", exact=True).click()
    seen.page.get_by_role("treegrid", name="Tensors").focus()
    seen.page.keyboard.press("End")
    seen.until("document.querySelector('.rows').innerText.includes('99.weight')")
    assert seen.page.locator(".rows .row").count() < 200  # only what is in sight
