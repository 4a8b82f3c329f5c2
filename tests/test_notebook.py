"""What a notebook shows of a model: cells run by nbclient, and the frame of a report looked at in a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import paraminspect as pi
from scripts.browser import BROWSER, FLAGS

pytestmark = pytest.mark.extra

HOSTILE = "<script>document.title='taken'</script>"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file({"h.0.weight": np.ones((3, 4), "f4"), "h.0.bias": np.ones(3, "f4"), HOSTILE: np.ones(1, "f4")}, path)
    return path


RUN = """
import json, sys
import jupyter_client, nbclient, nbformat
cells = [nbformat.v4.new_code_cell(source) for source in json.loads(sys.argv[1])]
kernel = jupyter_client.AsyncKernelManager()
kernel.kernel_spec.argv[0] = sys.executable
notebook = nbformat.v4.new_notebook(cells=cells)
nbclient.NotebookClient(notebook, km=kernel, resources={"metadata": {"path": "."}}).execute()
print(json.dumps([cell.outputs[-1]["data"] for cell in notebook.cells if cell.outputs]))
"""


def run_cells(folder: Path, *sources: str) -> list[dict[str, str]]:
    """The last output of each cell: what it is as which type. In a process of its own, as nbclient leaves sockets open."""
    pytest.importorskip("nbclient", reason="nbclient is not installed: pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install nbclient ipykernel")
    words = [sys.executable, "-W", "ignore", "-c", RUN, json.dumps(sources)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def test_a_model_is_a_table_and_its_report_a_frame(model: Path) -> None:
    table, frame, selected = run_cells(
        model.parent,
        "import paraminspect as pi\nmodel = pi.open('model.safetensors')",
        "model",
        "model.report()",
        "model.select('*.bias')",
    )
    assert table["text/plain"] == "Checkpoint(model.safetensors, safetensors, 3 tensors, 16 parameters)"
    assert "<caption>model.safetensors: safetensors, 3 tensors, 16 parameters</caption>" in table["text/html"]
    assert "<td>h.0.weight</td><td>[3, 4]</td><td>float32</td><td>12</td>" in table["text/html"]
    assert HOSTILE not in table["text/html"]
    assert frame["text/html"].startswith('<iframe title="paraminspect report"')
    assert "h.0.weight" not in selected["text/html"]


@pytest.fixture
def page() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("there is no chromium here")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser.new_page(viewport={"width": 1000, "height": 800})
        browser.close()


def test_the_frame_is_the_page(page: Any, model: Path) -> None:
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_content(f"<title>notebook</title><div class=output>{pi.open(model).report()._repr_html_()}</div>")
    frame = page.frame_locator("iframe")
    frame.locator("main").wait_for()
    frame.get_by_role("button", name="Tensors").click()
    frame.locator("#filter").fill("*.bias")
    frame.get_by_role("status").filter(has_text="1 of").wait_for()
    assert [each.strip() for each in frame.locator(".rows .row > div:first-child").all_inner_texts()] == ["h.0.bias"]
    assert (page.title(), wrong) == ("notebook", [])
