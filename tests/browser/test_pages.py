"""Pages that commands write, as a browser shows them: complete, and with nothing of a file at work in them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from paraminspect.cli.app import run
from scripts.browser import BROWSER, FLAGS

HOSTILE = "<script>document.title='taken'</script>&amp;.weight"

pytestmark = [pytest.mark.extra, pytest.mark.skipif(BROWSER is None, reason="there is no chromium here")]


def shown(page: Path, profile: Path) -> str:
    """The document after the browser has run whatever there is to run."""
    assert BROWSER is not None
    command = [BROWSER, "--headless", *FLAGS, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.parametrize("command", [["stats"], ["stats", "--all"]])
def test_a_plot_of_statistics(command: list[str], tmp_path: Path) -> None:
    safetensors.numpy.save_file(
        {"fc.weight": np.arange(8.0), HOSTILE: np.ones(4), "é.层": np.zeros(3)}, tmp_path / "model.safetensors"
    )
    page = tmp_path / "plot.html"
    assert run([*command, str(tmp_path / "model.safetensors"), "--plot", str(page)]) == 0
    text = shown(page, tmp_path / "profile")
    assert "fc.weight" in text
    assert "é.层" in text
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "<title>taken" not in text


@pytest.mark.torch
def test_a_plot_of_gradients(tmp_path: Path) -> None:
    page = tmp_path / "plot.html"
    assert run(["grad", "configs/mlp.yaml", "--plot", str(page)]) == 0
    text = shown(page, tmp_path / "profile")
    assert "2.weight" in text
    assert text.count("<svg") == 1
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
