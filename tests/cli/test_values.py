"""`paraminspect stats` and `diff` on real files and specs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import safetensors.torch
import torch
from PIL import Image

from paraminspect.render.delimited import in_ascii, sparkline
from tests.making.running import run_apart

Command = tuple[list[str], dict[str, str]]
CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    weights = torch.arange(-32.0, 32).reshape(8, 8) / 8
    torch.save(
        {"h.10.w": weights, "h.2.w": weights.t().clone(), "evil<&>\x1b.b": torch.tensor([1, torch.nan])},
        tmp_path / "m.pt",
    )
    return tmp_path / "m.pt"


@pytest.mark.parametrize("name", ["stats", "diff"])
def test_values_of_files_are_read_without_torch(command: Command, model: Path, name: str) -> None:
    sources = [str(model)] * (2 if name == "diff" else 1)
    script = (
        f"import sys; from paraminspect.cli.app import run; run({[name, *sources]!r}); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=command[1], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.decode().count("rror")) == (0, 0)


def test_json_is_what_torch_says(model: Path) -> None:
    status, stdout, _ = run_apart("stats", model, "-f", "json")
    rows = {row["name"]: row for row in json.loads(stdout)["tensors"]}
    due = torch.load(model)["h.10.w"].double()
    assert status == 0
    assert rows["h.10.w"]["std"] == pytest.approx(float(due.std()))
    assert rows["h.10.w"]["q25"] == float(due.quantile(0.25))
    assert sum(rows["h.10.w"]["histogram"]) == 64
    assert rows["h.2.w"]["norm"] == rows["h.10.w"]["norm"]


def test_a_spec_has_the_statistics_that_init_reports() -> None:
    options = [CONFIGS / "mlp.yaml", "--rule", "*weight=normal(std=0.5)", "--seed", "3", "--columns", "name,std,min"]
    reported = run_apart("init", *options)[1].splitlines()
    status, stdout, _ = run_apart("stats", *options)
    assert status == 0
    assert len(reported) == 2
    assert set(reported) < set(stdout.splitlines())


def test_a_checkpoint_from_a_pipe(model: Path) -> None:
    from_pipe = run_apart("stats", "-", stdin=model.read_bytes())
    assert from_pipe[:2] == run_apart("stats", model)[:2]
    assert run_apart("diff", "-", model, stdin=model.read_bytes()) == (0, "", "")


def test_rules_are_for_what_is_built(model: Path) -> None:
    status, _, stderr = run_apart("stats", model, "--rule", "*=zeros")
    assert (status, stderr.splitlines()[0]) == (2, f"error: {model}: --rule has no meaning for a checkpoint")


def test_one_side_may_be_a_model(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    due = {"0.weight": torch.ones(3, 4), "0.bias": torch.ones(3), "2.weight": torch.ones(1, 3), "2.bias": torch.ones(1)}
    safetensors.torch.save_file(due, path)
    status, stdout, _ = run_apart("diff", CONFIGS / "mlp.yaml", path, "-f", "json")
    found = json.loads(stdout)["changes"]
    assert (status, {row["name"] for row in found}) == (1, set(due))
    assert run_apart("diff", CONFIGS / "mlp.yaml", path, "--weights", path)[:2] == (0, "")


# --- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["svg", "html"])
def test_a_picture_has_a_row_for_each_tensor(model: Path, ending: str) -> None:
    picture = model.with_suffix(f".{ending}")
    assert run_apart("stats", model, "--plot", picture, "--columns", "name")[0] == 0
    text = picture.read_text()
    assert "\x1b" not in text
    assert "evil&lt;&amp;&gt;\\x1b.b" in text
    root = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    texts = [(each.text or "").strip() for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.index("2.w") < texts.index("10.w")
    assert "1 NaN" in texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polygon"))) == 3


def test_a_png_has_room_for_letters_that_it_writes_by_their_numbers(tmp_path: Path) -> None:
    widths = {}
    for name, letters in (("ascii", "_u5c42" * 3), ("other", "层层层")):
        torch.save({f"{letters}.w": torch.ones(2)}, tmp_path / "model.pt")
        assert run_apart("stats", tmp_path / "model.pt", "--plot", tmp_path / f"{name}.png")[0] == 0
        with Image.open(tmp_path / f"{name}.png") as picture:
            widths[name] = picture.width
    assert widths["ascii"] == widths["other"]


def test_a_picture_of_another_kind_is_refused_before_anything_is_read(model: Path) -> None:
    status, stdout, stderr = run_apart("stats", model, "--plot", model.with_suffix(".gif"))
    assert (status, stdout) == (2, "")
    assert "hint: it ends in .svg, .html, .png" in stderr


def test_options_of_a_picture_need_one(model: Path) -> None:
    for option in ("--own-scale", "--no-fold"):
        status, stdout, stderr = run_apart("stats", model, option)
        assert (status, stdout) == (2, "")
        assert stderr.startswith(f"error: {option} is about a picture, and there is no --plot")


def test_a_picture_of_two_sources_names_them(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes(model.read_bytes())
    assert run_apart("stats", model, other, "--plot", tmp_path / "p.svg")[0] == 0
    text = (tmp_path / "p.svg").read_text()
    assert text.count("evil&lt;&amp;&gt;\\x1b.b</text>") == 2
    assert "other.pt</text>" in text


def test_sparklines() -> None:
    assert sparkline([0, 0, 1, 0, 100, 0, 0, 50]) == "▁▁▂▁█▁▁▅"
    assert sparkline([1] * 32) == "████████"
    assert sparkline([]) == ""
    assert in_ascii(sparkline([0, 0, 1, 0, 100, 0, 0, 50])) == "__._#__="
